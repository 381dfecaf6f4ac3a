from pathlib import Path

import pytest

from benchmarks.memory_load import ADD, SEARCH, Arm, Load, Times, _bars, draw, show


def arm(name: str, ms: float) -> Arm:
    made = Arm(name)
    for size in (1_000, 10_000, 100_000):
        for call in (ADD, SEARCH):
            made.put(size, call, [ms / 1000] * 20, ms / 100)
    made.writes_s = {"batches, vectors later": 600.0}
    return made


def test_times_are_milliseconds() -> None:
    assert Times.of([0.001] * 95 + [1.0] * 5, 1.0).p50 == 1.0
    assert Times.of([0.001, 0.002, 0.003], 0.003) == Times(2.0, 2.9, 3, 1.0)


def test_each_bar_is_held_against_its_own_size() -> None:
    rows = {row["what"]: row["met"] for row in _bars(Load(), arm("ours", 30))}
    assert rows == {
        "add at 10,000, p95 ms": False,
        "search at 10,000, p95 ms": False,
        "search at 100,000, p95 ms": True,
        "sustained writes a second": True,
    }


def test_the_tables_and_the_plot_show_every_store(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from benchmarks.memory_load import _plain

    stores = [arm("ours", 5), arm("Chroma", 50)]
    report = {"arms": [_plain(one) for one in stores], "bars": _bars(Load(), stores[0])}
    show(report)
    shown = capsys.readouterr().out
    assert "Chroma" in shown
    assert "600" in shown
    pytest.importorskip("matplotlib")
    draw(report, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
