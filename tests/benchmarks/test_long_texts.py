from pathlib import Path
from typing import Any

from benchmarks.long_texts import draw, table


def row(kind: str, length: int, worth: float, text: str = "0/0", depth: float = 0.5) -> dict[str, Any]:
    return {"kind": kind, "length": length, "worth": worth, "text": text, "depth": depth, "tokens": length}


def test_found_things_are_told_by_kind_way_to_read_and_length(tmp_path: Path) -> None:
    whole = [row("needle", length, worth, f"{worth}") for length in (1024, 2048) for worth in (0.0, 1.0)]
    found = {"full": [*whole, row("variables", 2048, 0.25)], "window": [row("needle", 2048, 1.0)]}
    lines = table(found).splitlines()
    assert lines[2] == "| one fact | full | 0.50 (0.00 to 1.00) | 0.50 (0.00 to 1.00) |"
    assert lines[3] == "| one fact | window |  | 1.00 |"
    assert lines[4] == "| chains of names | full |  | 0.25 |"
    assert lines[-1] == "Tokens of a prompt at 2,048: full 2,048, window 2,048"
    draw(found, tmp_path / "long.png")
    assert (tmp_path / "long.png").read_bytes()[:4] == b"\x89PNG"
