import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.compression.policy import Policy
from actors.messages import InvalidRequest
from actors.recorder import FILE
from configs.compression import CompressionTraining
from tune.prepare import prepare
from tune.training import CHECKPOINTS, MANIFEST, WEIGHTS, load, task_of, token_count, train

if TYPE_CHECKING:
    from cluster.runtime import Ray

ITERATIONS = 14


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = tmp_path_factory.mktemp("texts")
    for number in range(12):
        (texts / f"{number}.txt").write_text(
            f"In the spring of {1900 + number} it was Anna Karlsson who went to the town of Port Ellen, and "
            f"for {number + 2} weeks there was a great deal of talk of the {number * 7} boats that she had."
        )
    prepare([str(texts)], texts / "out", domain="letters", seed=1)
    return texts / "out"


def settings(data: Path, **changed: object) -> CompressionTraining:
    small = {"data": (data,), "chunks": 8, "minibatch": 4, "choices": 4, "checkpoint_every": 4}
    return CompressionTraining.model_validate({**small, "iterations": ITERATIONS, **changed})


@pytest.mark.ray
def test_a_killed_training_resumes_to_the_very_same_weights(
    data: Path, tmp_path: Path, ray_runtime: "Ray"
) -> None:
    whole = train(settings(data), tmp_path / "whole")
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(settings(data).model_dump(mode="json")))
    command = [sys.executable, "-m", "cluster", "train", "compression", config, "--out", tmp_path / "killed"]
    environ = {**os.environ, "RAY_ADDRESS": ray_runtime.address}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith(f"10/{ITERATIONS} "):
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL, "".join(told)
    assert not (tmp_path / "killed" / WEIGHTS).exists()
    resumed = train(settings(data), tmp_path / "killed", resume=True)
    assert resumed.resumed_at in (8, 12)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    lines = [(tmp_path / name / FILE).read_text() for name in ("whole", "killed")]
    assert lines[0] == lines[1]
    assert sorted(path.name for path in (tmp_path / "killed" / CHECKPOINTS).iterdir()) == ["000012", "000014"]
    manifest = json.loads((tmp_path / "killed" / MANIFEST).read_text())
    assert manifest["settings"]["iterations"] == ITERATIONS
    assert manifest["data"][0]["domain"] == "letters"
    assert manifest["held_out"]["letters"]["questions"] > 0
    Policy.load(whole.weights)
    with pytest.raises(InvalidRequest, match="holds a training already"):
        train(settings(data), tmp_path / "killed")
    with pytest.raises(InvalidRequest, match="another rate, seed"):
        train(settings(data, seed=2, rate=1.0), tmp_path / "killed", resume=True)


def test_what_cannot_be_trained_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no training to resume"):
        train(settings(data), tmp_path, resume=True)
    with pytest.raises(InvalidRequest, match="nothing to train on"):
        task_of(settings(data), [])
    with pytest.raises(InvalidRequest, match="no reader"):
        task_of(settings(data, reward={"reader": 1}), load([data], "train"))


@pytest.mark.model
def test_tokens_are_those_inside_a_text(model_dir: Path) -> None:
    count = token_count(model_dir / "tokenizer.json")
    assert (count("the"), count("1889")) == (1, 5)
