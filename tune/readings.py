"""Figures of texts that a model has read, with their confidence over texts. Knows no model and no torch.

A row is a `tune.judge.Reading` as a mapping, with `read`, how many tokens of the text were read.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tune.bootstrap import HIGH, LOW, Bootstrap

Row = Mapping[str, Any]
Figures = dict[str, Any]


def sums(row: Row, low: int, high: int) -> tuple[float, int] | None:
    """Nats and tokens of a text between two positions, where it was read that far."""
    if row["read"] < high:
        return None
    spans = [span for span in row["spans"] if low <= span["begin"] and span["end"] <= high]
    tokens = sum(span["tokens"] for span in spans)
    return (math.fsum(span["nats"] for span in spans), tokens) if tokens else None


def perplexity(rows: Sequence[Row], low: int, high: int) -> Figures | None:
    """Of the tokens between two positions of all texts that were read that far; None without one."""
    there = [(row["name"], found) for row in rows if (found := sums(row, low, high))]
    return _exp([name for name, _ in there], *zip(*(one for _, one in there), strict=True)) if there else None


def ratio(rows: Sequence[Row], others: Sequence[Row], low: int, high: int) -> Figures | None:
    """Perplexity over that of other readings of the same texts, of the very same tokens."""
    ours, theirs = (
        {row["name"]: found for row in side if (found := sums(row, low, high))} for side in (rows, others)
    )
    names = [name for name in ours if name in theirs]
    if not names:
        return None
    return _exp(names, [ours[name][0] - theirs[name][0] for name in names], [ours[name][1] for name in names])


def recall(rows: Sequence[Row]) -> dict[str, Figures]:
    """Facts found again, by how many tokens had been read: word for word, and above other answers."""
    asked = [(row["name"], one) for row in rows for one in row["answers"]]
    lengths = sorted({one["length"] for _, one in asked})
    return {
        str(length): _found([(name, one) for name, one in asked if one["length"] == length])
        for length in lengths
    }


def depths(rows: Sequence[Row], length: int) -> dict[str, Figures]:
    """The same after `length` tokens, by the quarter of the text in which the fact stood, from 0."""
    asked = [(row["name"], one) for row in rows for one in row["answers"] if one["length"] == length]
    quarters = [[(name, one) for name, one in asked if int(one["depth"] * 4) == part] for part in range(4)]
    return {str(part): _found(quarter) for part, quarter in enumerate(quarters) if quarter}


def _found(asked: Sequence[tuple[str, Mapping[str, Any]]]) -> Figures:
    over = Bootstrap([name for name, _ in asked])
    return {
        "asked": len(asked),
        "exact": over.mean([float(one["exact"]) for _, one in asked]),
        "first": over.mean([float(one["rank"] == 1) for _, one in asked]),
    }


def _exp(names: Sequence[str], nats: Sequence[float], tokens: Sequence[float]) -> Figures:
    value, (low, high) = Bootstrap(names).quantiles(nats, tokens, (LOW, HIGH))
    drawn = {"value": value, "low": low, "high": high}
    return {name: round(math.exp(one), 4) for name, one in drawn.items()} | {"texts": len(names)}
