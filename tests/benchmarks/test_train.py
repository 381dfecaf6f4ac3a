import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import limits, train_memory
from benchmarks.train_memory import Options, Row


def row(arm: str, length: int, peak: float | None) -> Row:
    return Row(arm=arm, length=length, fits=peak is not None, peak_gib=peak, seconds=1.0, said="")


OPTIONS = Options(
    model=Path("tiny"),
    method="lora",
    precision="float32",
    zero=2,
    limit_gib=4.0,
    patience_s=1,
    port=1,
    most=40960,
)


@pytest.mark.parametrize("most", [700, 5000, 33000])
def test_the_longest_that_fits_is_found_in_few_tries(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    growth = 3.0 / most * 0.93
    monkeypatch.setattr(
        train_memory,
        "attempt",
        lambda _, arm, length: row(arm, length, 1 + growth * length if length <= most else None),
    )
    rows = train_memory.search(OPTIONS, "plain")
    best = train_memory.longest(rows, "plain")
    assert best is not None
    assert best.length == max(one for one in (*train_memory.GRID, *train_memory.SHORT) if one <= most)
    assert len(rows) <= 6
    bounded = train_memory.search(replace(OPTIONS, most=1024), "plain")
    assert max(one.length for one in bounded) == 1024


def test_the_table_gives_multiples_of_plain() -> None:
    rows = [row("plain", 1024, 3.9), row("plain", 1536, None), row("parallel", 24576, 3.8)]
    table = train_memory.table(rows, OPTIONS)
    assert "| plain transformers | 1,024 | 1.0x |" in table
    assert "on two ranks | 24,576 | 24.0x |" in table


def test_a_program_gets_no_more_memory_than_it_may_have() -> None:
    program = "import json, sys; held = bytearray(int(sys.argv[1])); print(json.dumps({'held': len(held)}))"

    def held(size: int) -> object:
        command = [sys.executable, "-c", program, str(size)]
        return limits.run([command, command], [{}, {}], 200 << 20, 60).answer

    assert held(50 << 20) == {"held": 50 << 20}
    assert held(400 << 20) is None
