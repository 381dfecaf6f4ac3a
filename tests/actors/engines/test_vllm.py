import asyncio
import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from actors.engines.vllm import engine_arguments
from actors.generator import Generator
from actors.messages import ChatPrompt, EngineFailed, InvalidRequest, NotFound, Sampling, TextDelta
from configs.schema import EngineSettings, Settings

pytestmark = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
_numbers = itertools.count()
FRANCE = ChatPrompt(messages=({"role": "user", "content": "What is the capital of France?"},))


@pytest.mark.slow
def test_settings_become_arguments() -> None:
    path = Path("model")
    on_cpu = engine_arguments(EngineSettings(kv_cache_gib=0.5), path, cpu=True, devices=1)
    assert (on_cpu["kv_cache_memory_bytes"], on_cpu["enforce_eager"]) == (1 << 29, True)
    settings = EngineSettings(tensor_parallel=2, pipeline_parallel=2, max_adapters=0, max_context=100)
    on_gpu = engine_arguments(settings, path, cpu=False, devices=4)
    assert (on_gpu["enforce_eager"], on_gpu["enable_lora"], on_gpu["max_model_len"]) == (False, False, 100)
    assert on_cpu["max_loras"] == EngineSettings().max_adapters
    assert "worker_extension_cls" not in on_gpu
    assert "distributed_executor_backend" not in on_gpu
    wide = engine_arguments(settings, path, cpu=False, devices=2)
    assert wide["distributed_executor_backend"] == "ray"


def save_adapter(model: Path, path: Path, rank: int = 8, seed: int = 0) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=64, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(str(model)), config).save_pretrained(str(path))
    return path


async def _check_that_nothing_stale_is_cached(generator: Generator, v1: Path, other: Path) -> None:
    """Versions take each other's place; other weights under a name that was used before are new."""
    words = " ".join(f"word{number}" for number in range(150))
    prompt = ChatPrompt(messages=({"role": "user", "content": f"{words} What is this?"},))

    async def answer(name: str, path: Path) -> tuple[str, int]:
        asked = Sampling(max_tokens=16, temperature=0.0)
        source = generator.generate(f"cache-{name}-{next(_numbers)}", prompt, asked, name, path)
        deltas = [delta async for delta in source]
        return text_of(deltas), deltas[-1].cached_tokens

    first, again, before = await answer("v1", v1), await answer("v1", v1), await answer("v3", other)
    assert first[0] == again[0] != before[0]
    assert first[1] == before[1] == 0 < again[1]
    assert await answer("v1", v1) == again
    assert (await answer("v1", other))[0] == before[0]


async def play(
    generator: Generator, request: str, adapter: str | None = None, **sampling: Any
) -> list[TextDelta]:
    asked = Sampling(**{"max_tokens": 16, "temperature": 0.0} | sampling)
    return [delta async for delta in generator.generate(request, FRANCE, asked, adapter)]


def text_of(deltas: list[TextDelta]) -> str:
    return "".join(delta.text for delta in deltas)


@pytest.mark.slow
@pytest.mark.model
async def test_everything_that_vllm_does(model_dir: Path, tmp_path: Path) -> None:
    engine = EngineSettings(kind="vllm", model=str(model_dir), kv_cache_gib=0.5, max_adapters=1)
    generator = Generator(Settings(engine=engine))
    await generator.start()

    plain = await play(generator, "greedy", logprobs=2)
    assert "Paris" in text_of(plain)
    assert plain[-1].finish_reason == "stop"
    entries = [entry for delta in plain for entry in delta.logprobs]
    assert "".join(entry.token for entry in entries) == text_of(plain)
    assert all(len(entry.top) == 2 and entry.top[0].logprob >= entry.top[1].logprob for entry in entries)

    seeded = [
        text_of(await play(generator, f"s{n}", temperature=1.5, seed=seed))
        for n, seed in enumerate((1, 1, 2))
    ]
    assert seeded[0] == seeded[1] != seeded[2]
    assert text_of(await play(generator, "stop", stop=("is Par",))) == "The capital of France "
    cut = await play(generator, "cut", max_tokens=2, ignore_eos=True)
    assert (cut[-1].finish_reason, cut[-1].completion_tokens) == ("length", 2)

    schema = {
        "type": "object",
        "properties": {"a": {"enum": ["x", "y"]}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert json.loads(text_of(await play(generator, "json", json_schema=json.dumps(schema)))) in (
        {"a": "x"},
        {"a": "y"},
    )
    with pytest.raises(InvalidRequest):
        await play(generator, "bad", json_schema='{"type": "nonsense"}')

    true, false = [await generator.score(f"The capital of France is {city}.") for city in ("Paris", "cheese")]
    assert true[5].logprob > false[5].logprob

    stream = generator.generate("abort", FRANCE, Sampling(max_tokens=4000, ignore_eos=True))
    await anext(stream)
    await stream.aclose()
    assert (await generator.health()).running == 0

    v1, other = [save_adapter(model_dir, tmp_path / f"v{seed}", seed=seed) for seed in (1, 2)]
    await generator.load_adapter("v1", v1)
    adapted, same = await asyncio.gather(play(generator, "lora", "v1"), play(generator, "base"))
    assert text_of(adapted) != text_of(same) == text_of(plain)
    await _check_that_nothing_stale_is_cached(generator, v1, other)
    with pytest.raises(InvalidRequest, match="does not fit"):
        await generator.load_adapter("wide", save_adapter(model_dir, tmp_path / "wide", rank=256))
    await generator.load_adapter("v2", v1)
    assert text_of(await play(generator, "again", "v2")) == text_of(adapted)
    await generator.unload_adapter("v2")
    with pytest.raises(NotFound):
        await play(generator, "gone", "v1")

    stream = generator.generate("left", FRANCE, Sampling(max_tokens=4000, ignore_eos=True))
    await anext(stream)
    await generator.close()
    with pytest.raises(EngineFailed):
        async for _ in stream:
            pass
    assert not (await generator.health()).ok
