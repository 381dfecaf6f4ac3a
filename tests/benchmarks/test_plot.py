from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
from benchmarks.plot import log_log


def test_every_line_is_drawn_and_its_name_written(tmp_path: Path) -> None:
    path = tmp_path / "drawn.svg"
    log_log(path, "t", "x", "y", {"a < b": [(1, 10), (100, 5)], "c": [(10, 0.2)]})
    drawn = path.read_text()
    assert "a &lt; b" in drawn
    assert "<!-- c -->" in drawn


def test_nothing_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing"):
        log_log(tmp_path / "drawn.png", "t", "x", "y", {"a": []})
