import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from actors.engines.schedule import KvPolicy
from actors.engines.torch import TorchEngine
from actors.messages import Sampling
from actors.models.tokenizer import ModelTokenizer
from configs.experiment import Experiment
from configs.planned import Planned, as_tree
from configs.schema import EngineSettings
from tune.longreading import LongReader
from tune.objective_long import ANSWERS
from tune.trials import Result, Run, carry_out, items_of

POLICY = KvPolicy(window=128, sinks=16)
WRITTEN = 4


async def engines(model: Path, prompts: list[list[int]]) -> list[list[int]]:
    """What the torch engine writes after each, in its own window."""
    how = {"kv_policy": "sinks", "window": POLICY.window, "sink_tokens": POLICY.sinks}
    settings = EngineSettings(dtype="float32", device="cpu", **how)
    engine = await TorchEngine.create(settings, model, ModelTokenizer(model))
    sampling = Sampling(max_tokens=WRITTEN, temperature=0.0, ignore_eos=True)
    found = []
    for prompt in prompts:
        deltas = [delta async for delta in engine.generate("x", prompt, sampling)]
        found.append([token for delta in deltas for token in delta.token_ids])
    await engine.close()
    return found


def test_a_window_reads_a_text_as_the_engine_does(tiny_model: Path) -> None:
    draw = torch.Generator().manual_seed(3)
    prompts = [torch.randint(3, 300, (size,), generator=draw).tolist() for size in (90, 401, 640)]
    reader = LongReader(tiny_model, POLICY)
    ours = []
    for prompt in prompts:
        kept, cache = reader.streamed(prompt[:-1], room=1)
        assert len(kept) <= POLICY.window
        assert kept[:16] == prompt[:16]
        assert kept[16:] == prompt[:-1][16 - len(kept) :]
        with torch.inference_mode():
            out = reader._model(torch.tensor([prompt[-1:]]), past_key_values=cache)
        ours.append(int(out.logits[0, -1].argmax()))
    assert ours == [tokens[0] for tokens in asyncio.run(engines(tiny_model, prompts))]


def carried_out(folder: Path, model: Path, **settings: Any) -> tuple[Run, Result, list[int]]:
    base = {"model": str(model), "lengths": [900, 1800], "texts": 1, "kinds": ["needle", "values"]}
    base |= {"needles": 2, "budget": 256, **settings}
    planned = Planned(Experiment(name="demo", objective="long"), base, folder)
    run = Run(
        folder=folder / "demo-0000-s0",
        number=0,
        seed=0,
        role="arm",
        arm="base",
        objective="long",
        values={},
        settings=as_tree(planned.settings({})),
        goals=(planned.described.goal,),
        experiment="demo",
        config_hash=planned.hash,
    )
    run.write()
    steps: list[int] = []
    result = carry_out(run, lambda step, _: not steps.append(step))
    assert result is not None
    return run, result, steps


@pytest.mark.parametrize("reading", ["full", "window", "compressed", "retrieved", "gathered"])
def test_the_same_is_asked_however_a_text_is_read(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, reading: str
) -> None:
    monkeypatch.setenv("PAL_MODELS__EMBEDDER", "hash")
    run, result, steps = carried_out(tmp_path, tiny_model, reading=reading)
    assert (result.state, steps) == ("complete", [1, 2]), result.said
    rows = [json.loads(line) for line in (run.folder / ANSWERS).read_text().splitlines()]
    assert [one.id for one in items_of(run.folder)] == [row["id"] for row in rows]
    assert [row["id"] for row in rows] == [
        f"{length}/0/{kind}" for length in (900, 1800) for kind in ("needle/0", "needle/1", "values/2")
    ]
    assert [round(row["depth"]) for row in rows if row["kind"] == "needle"] == [0, 1, 0, 1]
    assert {row["read"] > 700 for row in rows} == {reading == "full"}
    assert result.figures["found"] == sum(row["worth"] for row in rows) / len(rows)


def test_a_text_that_was_read_is_not_read_again(tmp_path: Path, tiny_model: Path) -> None:
    run, result, _ = carried_out(tmp_path, tiny_model)
    lines = (run.folder / ANSWERS).read_text().splitlines(keepends=True)
    (run.folder / ANSWERS).write_text("".join(lines[:3]))
    (run.folder / "result.json").unlink()
    steps: list[int] = []
    again = carry_out(run, lambda step, _: not steps.append(step))
    assert steps == [2]
    assert (run.folder / ANSWERS).read_text() == "".join(lines)
    assert again is not None
    assert again.figures["found"] == result.figures["found"]


def test_a_data_set_out_of_reach_ends_the_trial_with_advice(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    _, result, _ = carried_out(tmp_path, tiny_model, filler="hf:squad", kinds=["passages"])
    assert result.state == "failed"
    assert "Use files of your own" in result.said
