from pathlib import Path

import pytest

from configs.errors import SettingsError
from configs.lines import read

TEXT = "name: x\nspace:\n  a.b: [1, 2]\n  c:\n    low: 0\n"


def test_every_key_and_value_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(TEXT)
    lined = read(path)
    assert lined.tree["space"]["a.b"] == [1, 2]
    assert lined.at(("space", "a.b", "values", 1)) == ("space.a.b.1", 3)
    assert lined.at(("space", "c", "high")) == ("space.c", 4)
    assert str(lined.fault(("space", "c", "low"), "too low")) == f"{path}:5: too low"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: a stands on line 1 already"),
        ("a: [1\nb: 2\n", ":2: not valid YAML"),
        ("- a\n", ":1: must hold a mapping"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read(tmp_path / "none.yaml")
