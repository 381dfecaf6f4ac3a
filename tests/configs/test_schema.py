from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from configs.load import load
from configs.schema import Settings

CONFIGS = Path(__file__).parents[2] / "configs"
PRESETS = sorted(path for path in CONFIGS.glob("*.yaml") if path.name != "models.yaml")


def sections(model: type[BaseModel] = Settings) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from sections(field.annotation)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_every_shipped_preset_loads(path: Path, tmp_path: Path) -> None:
    assert load(preset=path, environ={}, directory=tmp_path).settings


def test_every_shipped_yaml_file_is_read_by_some_test() -> None:
    shipped = {path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml")}
    folders = ("experiments/", "sweeps/", "training/")
    elsewhere = {name for name in shipped if name == "models.yaml" or name.startswith(folders)}
    assert shipped == {path.name for path in PRESETS} | elsewhere
    assert all(yaml.safe_load((CONFIGS / name).read_text()) for name in elsewhere)


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.__name__)
def test_a_group_is_frozen_refuses_unknown_keys_and_says_what_each_is_for(section: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        section(no_such_setting=1)
    value = section()
    name = next(iter(section.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(value, name, getattr(value, name))
    assert all(
        field.description and field.description.endswith(".") for field in section.model_fields.values()
    )


def test_home_is_absolute() -> None:
    assert Settings(home=Path("~/x")).home == Path.home() / "x"
    assert Settings(home=Path("x")).home == Path.cwd() / "x"


@pytest.mark.parametrize("keys", [("",), ("ann:",), (":k",), ("a b",), "ann:k,b c"])
def test_an_api_key_that_cannot_be_sent_is_refused(keys: object) -> None:
    with pytest.raises(ValidationError, match="user:key"):
        Settings(api_keys=keys)  # type: ignore[arg-type]
