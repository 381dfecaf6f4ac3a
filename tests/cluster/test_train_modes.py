import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app


@pytest.fixture(scope="module")
def config(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a model that fits into a test."""
    folder = tmp_path_factory.mktemp("modes")
    text = folder / "story.txt"
    text.write_text("\n\n".join(f"The keeper wrote that {n} ships had passed." for n in range(200)))
    path = folder / "mine.yaml"
    told = f"[{{kind: text, path: {text}}}]"
    path.write_text(f"model: {tiny_model}\ndata: {told}\neval_data: {told}\nlength: 128\ndevice: cpu\n")
    return path


def test_a_profile_takes_steps_apart_and_writes_a_trace(config: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    run = CliRunner().invoke(
        app, ["train", "profile", str(config), "--steps", "2", "--trace", str(trace), "--json"]
    )
    assert run.exit_code == 0, run.stderr
    found = json.loads(run.stdout)
    seconds = {part["name"]: part["seconds"] for part in found["parts"]}
    assert set(seconds) == {"data", "forward", "loss", "backward", "optimiser"}
    assert min(seconds.values()) > 0
    assert sum(seconds.values()) == pytest.approx(found["seconds"], rel=0.01, abs=5e-4)
    assert found["steps"] == 2
    assert max(part["memory_gib"] for part in found["parts"]) <= found["memory_gib"]
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"forward", "backward", "aten::mm"} <= names


def test_a_result_is_read_with_and_a_checkpoint_is_the_same(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train = [
        "train",
        "long-context",
        str(config),
        "--set",
        "steps=2",
        "--set",
        "rate=0.01",
        "--out",
        str(out),
    ]
    assert CliRunner().invoke(app, train).exit_code == 0
    found = {}
    for name, more in {
        "base": [],
        "adapter": ["--adapter", str(out / "adapter")],
        "checkpoint": ["--checkpoint", str(out / "checkpoints")],
    }.items():
        given = ["train", "eval", str(config), "--length", "1024", "--texts", "1", "--json", *more]
        run = CliRunner().invoke(app, given)
        assert run.exit_code == 0, run.stderr
        found[name] = json.loads(run.stdout)
        assert len(found[name]["perplexity"]) == 8
    assert found["adapter"]["perplexity"] != found["base"]["perplexity"]
    assert found["adapter"] == found["checkpoint"]
