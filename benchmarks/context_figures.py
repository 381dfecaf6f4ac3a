"""Figures of texts that several models read, as a table and a picture. Knows no model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from tune.readings import Figures, Row, depths, perplexity, ratio, recall

BOUNDS = (0, 2048, 4096, 8192, 12288, 16384)
PAIRS = (
    ("after", "before"),
    ("yarn", "before"),
    ("control", "before"),
    ("after", "control"),
    ("after", "yarn"),
)
"""Arms whose perplexities are divided, on the documents that both read as far."""


def figures(rows: Sequence[Row], arms: Sequence[str], known: int, length: int) -> Figures:
    """All figures of rows as `benchmarks.context` keeps them.

    `loss` are ratios of perplexity of all positions below `known`, `ratios` those of each range of positions.
    """
    best = _furthest(rows)
    of = {arm: [row for row in best if row["arm"] == arm] for arm in arms}
    inner = sorted({*(bound for bound in BOUNDS if 0 < bound < length), min(known, length)})
    ranges = {f"{low}-{high}": (low, high) for low, high in pairwise((0, *inner, length)) if low < high}
    return {
        "texts": {arm: [row["name"] for row in read] for arm, read in of.items()},
        "perplexity": {
            arm: {name: one for name, at in ranges.items() if (one := perplexity(read, *at))}
            for arm, read in of.items()
        },
        "ratios": {
            f"{one}/{other}": {
                name: found for name, at in ranges.items() if (found := ratio(of[one], of[other], *at))
            }
            for one, other in PAIRS
        },
        "loss": {
            f"{one}/{other}": found for one, other in PAIRS if (found := ratio(of[one], of[other], 0, known))
        },
        "recall": {arm: recall(read) for arm, read in of.items()},
        "depths": {arm: depths(read, length) for arm, read in of.items()},
        "curve": {arm: _curve(read) for arm, read in of.items()},
    }


def table(found: Figures, titles: Mapping[str, str]) -> str:
    """Markdown: perplexity by position, ratios, facts found again."""
    shown = [arm for arm in titles if found["texts"][arm]]
    ranges = list(dict.fromkeys(name for arm in shown for name in found["perplexity"][arm]))
    lines = ["Perplexity by position", "", _row("", (name.replace("-", " to ") for name in ranges))]
    lines.append("|---|" + "---:|" * len(ranges))
    for arm in shown:
        cells = (_number(found["perplexity"][arm].get(name)) for name in ranges)
        lines.append(_row(f"{titles[arm]} ({len(found['texts'][arm])} documents)", cells))
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


def _curve(rows: Sequence[Row]) -> list[tuple[int, float]]:
    """Perplexity of each thousand tokens, by its middle."""
    read = max((row["read"] for row in rows), default=0)
    found = ((low + 512, perplexity(rows, low, low + 1024)) for low in range(0, read - 1023, 1024))
    return [(middle, float(one["value"])) for middle, one in found if one]


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
