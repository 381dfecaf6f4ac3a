import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from actors.engines.chain import build, cache_slots, layout
from actors.engines.torch import TorchEngine
from actors.messages import InvalidRequest, NotReady, Sampling
from actors.models.tokenizer import ModelTokenizer
from configs.schema import EngineSettings

if TYPE_CHECKING:
    from cluster.runtime import Ray

PROMPTS = [[5, 6, 7], list(range(10, 90)), [9], list(range(3, 300))]


def settings(**given: Any) -> EngineSettings:
    return EngineSettings(**{"dtype": "float32", "kv_cache_gib": 0.05} | given)


async def make(path: Path, **given: Any) -> TorchEngine:
    return await TorchEngine.create(settings(**given), path, ModelTokenizer(path))


async def play(
    engine: TorchEngine,
    prompt: list[int],
    count: int = 40,
    started: asyncio.Event | None = None,
    **sampling: Any,
) -> list[int]:
    asked = Sampling(**{"max_tokens": count, "temperature": 0.0, "ignore_eos": True} | sampling)
    tokens: list[int] = []
    async for delta in engine.generate(f"r{id(prompt)}", prompt, asked):
        tokens += delta.token_ids
        if started and len(tokens) >= 5:
            started.set()
    return tokens


@pytest.fixture(scope="module")
async def alone(tiny_model: Path) -> AsyncIterator[TorchEngine]:
    """One shard in this process: what all others must equal."""
    engine = await make(tiny_model)
    yield engine
    await engine.close()


def test_a_layout_is_read_without_loading(tiny_model: Path) -> None:
    plan = layout(tiny_model, 4)
    assert len(plan.parts.layers) > 1
    assert plan.cache_bytes > 0
    assert cache_slots(settings(kv_cache_gib=1e-9), plan) == 16
    assert sum(layout(tiny_model, 4, "int8").parts.layers) < sum(plan.parts.layers) / 3


@pytest.mark.parametrize("shards", [2, 3])
async def test_several_shards_in_this_process(tiny_model: Path, alone: TorchEngine, shards: int) -> None:
    engine = await make(tiny_model, shards=shards)
    answers = await asyncio.gather(*(play(engine, prompt) for prompt in PROMPTS))
    assert answers == [await play(alone, prompt) for prompt in PROMPTS]
    assert [facts.span.total for facts in await engine.facts()] == [
        len(layout(tiny_model, 4).parts.layers)
    ] * shards
    await engine.close()


async def test_an_adapter_that_one_shard_refuses_is_on_none(tiny_model: Path, tmp_path: Path) -> None:
    inputs = json.loads((tiny_model / "config.json").read_text())["hidden_size"]
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 2}')
    name = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    tensors = {
        name.format(layer, side): torch.zeros(shape)
        for layer, width in ((0, inputs), (2, inputs + 1))
        for side, shape in (("A", (2, width)), ("B", (inputs, 2)))
    }
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    engine = await make(tiny_model, shards=3)
    with pytest.raises(InvalidRequest):
        await engine.load_adapter("half", tmp_path)
    assert [facts.adapters for facts in await engine.facts()] == [()] * 3
    await engine.close()


async def test_more_shards_than_layers(tiny_model: Path) -> None:
    with pytest.raises(NotReady, match="layers"):
        await make(tiny_model, shards=99)


@pytest.mark.ray
async def test_a_killed_shard_comes_back_and_no_token_changes(
    ray_runtime: "Ray", tiny_model: Path, alone: TorchEngine
) -> None:
    engine = await make(tiny_model, shards=2)
    expected = [await play(alone, prompt, seed=7, temperature=1.0) for prompt in PROMPTS]
    before = await engine.facts()
    assert len({facts.pid for facts in before} - {os.getpid()}) == 2
    started = asyncio.Event()
    playing = [
        asyncio.create_task(play(engine, prompt, started=started, seed=7, temperature=1.0))
        for prompt in PROMPTS
    ]
    await started.wait()
    os.kill(before[1].pid, signal.SIGKILL)
    assert await asyncio.gather(*playing) == expected
    after = await engine.facts()
    assert after[0].pid == before[0].pid
    assert after[1].pid != before[1].pid
    await engine.close()


@pytest.mark.ray
async def test_no_room_on_the_cluster(ray_runtime: "Ray", tiny_model: Path) -> None:
    plan = layout(tiny_model, 4)
    with pytest.raises(NotReady, match="no room for 2 actors"):
        await build(settings(shards=2, threads=64), tiny_model, plan, patience_s=1)
