from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from configs.compression import read
from configs.training import LongContextTraining

TRAINING = Path(__file__).parents[2] / "configs" / "training"
PRESETS = sorted(TRAINING.glob("long-context*.yaml"))


def test_there_is_a_preset_for_each_kind_of_machine() -> None:
    assert [path.stem.rpartition("-")[2] for path in PRESETS] == ["cpu", "cuda", "mps"]


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_every_preset_loads(path: Path) -> None:
    training = LongContextTraining.model_validate(read(path))
    assert training.device == path.stem.rpartition("-")[2]
    assert training.data


def test_every_setting_has_its_sentence() -> None:
    assert all(field.description for field in LongContextTraining.model_fields.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"learning_rate": 1}, "Extra inputs"),
        ({"ranks": 3, "sequence_parallel": 2}, "multiple of sequence_parallel"),
        ({"ranks": 4, "sequence_parallel": 2}, "multiple of ranks / sequence_parallel"),
        ({"length": 1025, "ranks": 2, "sequence_parallel": 2}, "length .1025. must be a multiple"),
        ({"device": "mps", "zero": 1}, "plain torch on one rank"),
        ({"device": "mps", "precision": "bfloat16"}, "float32"),
        ({"device": "cpu", "zero": 2, "offload": "optimizer"}, "needs DeepSpeed"),
        ({"zero": 2, "offload": "all"}, "zero 3"),
        ({"steps": 3, "curriculum": [{"length": 8, "steps": 4}]}, "more steps than the training"),
        ({"data": [{"kind": "chat"}]}, "needs path"),
        ({"data": [{"kind": "episodes"}]}, "needs user"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LongContextTraining.model_validate(given)


def test_a_curriculum_begins_short_and_ends_at_length() -> None:
    stages = [{"length": 16, "steps": 2}, {"length": 32, "steps": 1}]
    training = LongContextTraining.model_validate({"length": 64, "steps": 5, "curriculum": stages})
    assert [training.length_at(step) for step in range(5)] == [16, 16, 32, 64, 64]
    assert training.longest == 64
