"""Figures of texts that several models read: perplexity by position, facts found again. Knows no model.

Legend: Q figures of one document each.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tune.bootstrap import Bootstrap

BOUNDS = (0, 2048, 4096, 8192, 12288, 16384)
PAIRS = (
    ("after", "before"),
    ("yarn", "before"),
    ("control", "before"),
    ("after", "control"),
    ("after", "yarn"),
)
"""Arms whose perplexities are divided, on the documents that both read as far."""
Row = Mapping[str, Any]
Figures = dict[str, Any]


def figures(rows: Sequence[Row], arms: Sequence[str], known: int, length: int) -> Figures:
    """All figures of rows as `benchmarks.context` keeps them.

    `loss` are ratios of perplexity of all positions below `known`, `ratios` those of each range of positions.
    """
    best = _furthest(rows)
    bounds = sorted({*(bound for bound in BOUNDS if bound < length), known, length} - {0}) if length else []
    ranges = [
        (low, high)
        for low, high in zip([0, *bounds], bounds, strict=False)
        if low < length and high <= length
    ]
    return {
        "documents": {arm: sorted({row["name"] for row in best if row["arm"] == arm}) for arm in arms},
        "perplexity": {
            arm: {
                f"{low}-{high}": found for low, high in ranges if (found := _perplexity(best, arm, low, high))
            }
            for arm in arms
        },
        "ratios": {
            f"{one}/{other}": {
                f"{low}-{high}": found
                for low, high in ranges
                if (found := _ratio(best, one, other, low, high))
            }
            for one, other in PAIRS
        },
        "loss": {
            f"{one}/{other}": found for one, other in PAIRS if (found := _ratio(best, one, other, 0, known))
        },
        "recall": {arm: _recall(best, arm) for arm in arms},
        "depths": {arm: _depths(best, arm, length) for arm in arms},
        "curve": {arm: _curve(best, arm) for arm in arms},
    }


def table(found: Figures, titles: Mapping[str, str]) -> str:
    """Markdown: perplexity by position, ratios, facts found again."""
    shown = [arm for arm in titles if found["documents"][arm]]
    ranges = list(dict.fromkeys(name for arm in shown for name in found["perplexity"][arm]))
    lines = ["Perplexity by position", "", _row("", (name.replace("-", " to ") for name in ranges))]
    lines.append("|---|" + "---:|" * len(ranges))
    for arm in shown:
        cells = (_number(found["perplexity"][arm].get(name)) for name in ranges)
        lines.append(_row(f"{titles[arm]} ({len(found['documents'][arm])} documents)", cells))
    for pair, ratios in found["ratios"].items():
        if ratios:
            lines.append(_row(f"{pair}, ratio", (_interval(ratios.get(name)) for name in ranges)))
    lines += ["", "Ratio of all below the trained length: " + "; ".join(_losses(found)), ""]
    lengths = list(dict.fromkeys(length for arm in shown for length in found["recall"][arm]))
    lines += ["Facts found again after so many tokens: exact / right of five (chance 0.2)", ""]
    lines += [_row("", map(str, lengths)), "|---|" + "---:|" * len(lengths)]
    for arm in shown:
        lines.append(_row(titles[arm], (_recalled(found["recall"][arm].get(one)) for one in lengths)))
    return "\n".join(lines)


def draw(found: Figures, titles: Mapping[str, str], path: Path) -> None:
    """Perplexity by position and facts found again by length, side by side, PNG or SVG."""
    from matplotlib.figure import Figure

    figure = Figure((10.5, 4.2), 150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for arm, title in titles.items():
        if curve := found["curve"][arm]:
            left.semilogy(*zip(*curve, strict=True), label=title)
        if recall := found["recall"][arm]:
            right.plot(
                [int(length) for length in recall],
                [one["exact"]["value"] for one in recall.values()],
                marker="o",
                label=title,
            )
    left.set(title="Perplexity by position", xlabel="position, tokens")
    right.set(title="Facts found again, word for word", xlabel="tokens read", ylim=(-0.03, 1.03))
    for axes in (left, right):
        axes.grid(visible=True, which="both", alpha=0.2)
        axes.legend()
    figure.savefig(path)


def _furthest(rows: Sequence[Row]) -> list[Row]:
    """Of each arm and document the row that was read furthest."""
    kept: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: int(row["read"])):
        kept[row["arm"], row["name"]] = row
    return list(kept.values())


def _sums(row: Row, low: int, high: int) -> tuple[float, int] | None:
    """Nats and tokens of a document between two positions, where it was read that far."""
    if row["read"] < high:
        return None
    spans = [span for span in row["spans"] if low <= span["begin"] and span["end"] <= high]
    tokens = sum(span["tokens"] for span in spans)
    return (math.fsum(span["nats"] for span in spans), tokens) if tokens else None


def _perplexity(rows: Sequence[Row], arm: str, low: int, high: int) -> Figures | None:
    found = [(row["name"], sums) for row in rows if row["arm"] == arm and (sums := _sums(row, low, high))]
    return (
        _exp([name for name, _ in found], *zip(*(sums for _, sums in found), strict=True)) if found else None
    )


def _ratio(rows: Sequence[Row], one: str, other: str, low: int, high: int) -> Figures | None:
    """Perplexity over perplexity, of the very same tokens."""
    sums = {(row["arm"], row["name"]): found for row in rows if (found := _sums(row, low, high))}
    names = [name for arm, name in sums if arm == one and (other, name) in sums]
    if not names:
        return None
    gained = [sums[one, name][0] - sums[other, name][0] for name in names]
    return _exp(names, gained, [sums[one, name][1] for name in names])


def _exp(names: Sequence[str], nats_Q: Sequence[float], tokens_Q: Sequence[float]) -> Figures:
    drawn = Bootstrap(names).ratio(nats_Q, tokens_Q)
    return {name: round(math.exp(value), 4) for name, value in drawn.items()} | {"documents": len(names)}


def _recall(rows: Sequence[Row], arm: str) -> Figures:
    """By tokens that had been read: exact, and the right one above the others."""
    asked = [(row["name"], one) for row in rows if row["arm"] == arm for one in row["answers"]]
    lengths = sorted({one["length"] for _, one in asked})
    return {
        str(length): _found([(name, one) for name, one in asked if one["length"] == length])
        for length in lengths
    }


def _depths(rows: Sequence[Row], arm: str, length: int) -> Figures:
    """Of the longest texts, by quarter of the text in which the fact stood."""
    asked = [(row["name"], one) for row in rows if row["arm"] == arm for one in row["answers"]]
    asked = [(name, one) for name, one in asked if one["length"] == length]
    quarters = [[(name, one) for name, one in asked if int(one["depth"] * 4) == part] for part in range(4)]
    return {str(part): _found(one) for part, one in enumerate(quarters) if one}


def _found(asked: Sequence[tuple[str, Mapping[str, Any]]]) -> Figures:
    over = Bootstrap([name for name, _ in asked])
    return {
        "asked": len(asked),
        "exact": over.mean([float(one["exact"]) for _, one in asked]),
        "first": over.mean([float(one["rank"] == 1) for _, one in asked]),
    }


def _curve(rows: Sequence[Row], arm: str) -> list[tuple[int, float]]:
    """Perplexity of each thousand tokens, by its middle."""
    read = max((row["read"] for row in rows if row["arm"] == arm), default=0)
    points = []
    for low in range(0, read - 1023, 1024):
        found = _perplexity(rows, arm, low, low + 1024)
        if found:
            points.append((low + 512, float(found["value"])))
    return points


def _row(first: str, cells: Iterable[str]) -> str:
    return "| " + " | ".join((first, *cells)) + " |"


def _number(found: Figures | None) -> str:
    return f"{found['value']:.2f}" if found else ""


def _interval(found: Figures | None) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})" if found else ""


def _losses(found: Figures) -> Iterator[str]:
    return (f"{pair} {_interval(one)}" for pair, one in found["loss"].items())


def _recalled(found: Figures | None) -> str:
    return (
        f"{found['exact']['value']:.2f} / {found['first']['value']:.2f} of {found['asked']}" if found else ""
    )
