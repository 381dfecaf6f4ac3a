from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.compression import CompressionTraining, read
from configs.errors import SettingsError

TRAINING = Path(__file__).parents[2] / "configs" / "training"


@pytest.mark.parametrize("path", sorted(TRAINING.glob("compression*.yaml")), ids=lambda path: path.name)
def test_every_shipped_training_loads(path: Path) -> None:
    assert CompressionTraining.model_validate(read(path))


def test_budgets_are_in_order() -> None:
    with pytest.raises(ValidationError, match="lowest_budget is above highest_budget"):
        CompressionTraining(lowest_budget=0.6, highest_budget=0.5)


def test_chunks_are_shared_out_evenly() -> None:
    with pytest.raises(ValidationError, match="multiple of runners"):
        CompressionTraining(chunks=10, runners=3)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        CompressionTraining.model_validate({"learning_rate": 1})


def test_every_setting_has_its_sentence() -> None:
    assert all(field.description for field in CompressionTraining.model_fields.values())


@pytest.mark.parametrize("text", ["[1]", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"mine\.yaml"):
        read(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml cannot be read"):
        read(tmp_path / "none.yaml")
