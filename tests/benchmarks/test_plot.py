import xml.etree.ElementTree as ET

import pytest

from benchmarks.plot import log_log


def test_every_line_and_its_name_is_drawn() -> None:
    drawn = ET.fromstring(log_log("t", "x", "y", {"a < b": [(1, 10), (100, 5)], "c": [(10, 0.2)]}))
    space = "{http://www.w3.org/2000/svg}"
    points = [line.get("points") for line in drawn.iter(f"{space}polyline")]
    assert [len(str(one).split()) for one in points] == [2, 1]
    assert {"a < b", "c", "t", "0.1", "100"} <= {text.text for text in drawn.iter(f"{space}text")}


def test_nothing_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="nothing"):
        log_log("t", "x", "y", {"a": []})
