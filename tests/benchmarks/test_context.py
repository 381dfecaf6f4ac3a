import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import context, context_figures


def row(arm: str, name: str, read: int, perplexity: float, exact: bool = True) -> dict[str, Any]:
    spans = [
        {"begin": low, "end": low + 512, "tokens": 500, "nats": 500 * math.log(perplexity)}
        for low in range(0, read, 512)
    ]
    answers = [
        {"length": length, "depth": 0.3, "distance": 9, "choices": 5, "rank": 1 + (not exact), "exact": exact}
        for length in range(1024, read + 1, 1024)
    ]
    return {"arm": arm, "name": name, "read": read, "spans": spans, "answers": answers}


ROWS = [
    row("before", "one", 2048, 10.0),
    row("before", "one", 4096, 20.0, exact=False),
    row("before", "two", 2048, 10.0),
    *(row(arm, name, 4096, 10.1) for arm in ("yarn", "after") for name in ("one", "two")),
    row("control", "one", 2048, 5.0),
]


def test_arms_are_compared_on_what_both_have_read() -> None:
    found = context_figures.figures(ROWS, list(context.ARMS), known=2048, length=4096)
    assert found["texts"]["before"] == ["one", "two"]
    assert found["perplexity"]["before"]["0-2048"]["texts"] == 2
    assert found["perplexity"]["before"]["2048-4096"] == {
        "value": 20.0,
        "low": 20.0,
        "high": 20.0,
        "texts": 1,
    }
    assert found["loss"]["after/yarn"]["value"] == 1.0
    assert found["loss"]["after/before"]["value"] == pytest.approx(10.1 / math.sqrt(200), rel=1e-3)
    assert found["loss"]["after/control"] == {"value": 2.02, "low": 2.02, "high": 2.02, "texts": 1}
    assert found["recall"]["after"]["4096"]["exact"]["value"] == 1.0
    assert found["recall"]["before"]["4096"]["exact"]["value"] == 0.0
    assert found["depths"]["after"]["1"]["asked"] == 2


def test_the_table_and_the_picture_show_every_arm(tmp_path: Path) -> None:
    found = context_figures.figures(ROWS, list(context.ARMS), known=2048, length=4096)
    table = context_figures.table(found, context.ARMS)
    assert "| YaRN, fine-tuned (2 documents) | 10.10 | 10.10 |" in table
    assert "1.00 / 1.00 of 2" in table
    context_figures.draw(found, context.ARMS, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_the_control_is_trained_alike_but_for_positions_and_scaling() -> None:
    given = {"model": Path("m"), "sequence": 64, "steps": 3, "accumulate": 2, "rate": 1e-3, "device": "cpu"}
    options = Namespace(**given, seed=0, length=256, plain=0.25)
    after, control = (context.training(arm, options, Path("t")) for arm in context.TRAINED)
    assert (after.rope.method, after.rope.reach, control.rope.method) == ("yarn", 256, "none")
    assert after.model_copy(update={"rope": control.rope}) == control


def test_pieces_end_with_paragraphs_and_come_from_all_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join("x" * 40 for _ in range(10)))
    assert [len(piece) for piece in context.pieces([tmp_path / "a.txt"], 100)] == [124, 124, 124]
