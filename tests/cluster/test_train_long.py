from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app
from cluster.commands.train_long import training_of


def test_pairs_override_the_file_down_to_groups(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("length: 512\nlora: {rank: 4}\n")
    training = training_of(config, ["lora.alpha=8", "clip=null", "curriculum=[{length: 64, steps: 2}]"])
    assert (training.length, training.lora.rank, training.lora.alpha, training.clip) == (512, 4, 8.0, None)
    assert training.curriculum[0].length == 64


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("steps", 2, "--set takes KEY=VALUE, not 'steps'"),
        ("lenght=1", 2, "lenght: no such setting; did you mean length?"),
        ("ranks=0", 2, "ranks: Input should be greater"),
        ("model=no-such-model", 1, "no model 'no-such-model'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(given: str, code: int, said: str) -> None:
    run = CliRunner().invoke(app, ["train", "long-context", "--set", given])
    assert run.exit_code == code
    assert said in run.stderr
