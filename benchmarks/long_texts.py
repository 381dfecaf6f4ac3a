"""What a run of objective `long` found, by kind, length and depth, as a table and a picture. Runs no model.

    python -m benchmarks.long_texts DIR [--plot docs/long-texts.png]

DIR is what `pal sweep run configs/sweeps/readings.yaml`, or any other run of the objective, has written. A
figure is the mean share of what was asked for that stood in the answer, with its 95 % interval over texts.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer

from configs.planned import BASE
from tune.bootstrap import Bootstrap
from tune.objective_long import ANSWERS
from tune.results import Sweep, read

Row = Mapping[str, Any]
GROUPS: Mapping[str, tuple[str, ...]] = {
    "one fact": ("needle",),
    "several facts": ("keys", "values"),
    "chains of names": ("variables",),
    "counting": ("common", "count"),
    "passages": ("passages",),
}
DEPTHS = 5
"""Parts of a text by which facts are told apart."""
app = typer.Typer(add_completion=False)


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What a sweep or an experiment wrote.")],
    plot: Annotated[Path | None, typer.Option(help="Write a picture here, PNG or SVG.")] = None,
) -> None:
    """Print the table; draw the picture."""
    rows = answers(read(folder))
    typer.echo(table(rows))
    if plot:
        draw(rows, plot)


def answers(sweep: Sweep) -> dict[str, list[Row]]:
    """All answers of each arm, the base called as it reads; texts are told apart by seed too."""
    found: dict[str, list[Row]] = {}
    for one in sweep.trials:
        arm = one.run.settings["reading"] if one.run.arm == BASE else one.run.arm
        lines = (one.run.folder / ANSWERS).read_text(encoding="utf-8").splitlines()
        for row in map(json.loads, lines):
            found.setdefault(arm, []).append(
                {**row, "text": f"{one.run.seed}/{row['length']}/{row['text']}", "tokens": row["read"]}
            )
    return found


def table(found: Mapping[str, Sequence[Row]]) -> str:
    """Markdown: a row for each group of kinds and way to read, a column for each length."""
    lengths = lengths_of(found)
    lines = ["| | | " + " | ".join(f"{one:,}" for one in lengths) + " |", "|---|---|" + "---|" * len(lengths)]
    for group, kinds in GROUPS.items():
        for arm, rows in found.items():
            asked = [row for row in rows if row["kind"] in kinds]
            cells = [_cell([row for row in asked if row["length"] == length]) for length in lengths]
            if asked:
                lines.append(f"| {group} | {arm} | " + " | ".join(cells) + " |")
    tokens = [
        f"{arm} {fmean(row['tokens'] for row in rows if row['length'] == lengths[-1]):,.0f}"
        for arm, rows in found.items()
    ]
    return "\n".join([*lines, "", f"Tokens of a prompt at {lengths[-1]:,}: " + ", ".join(tokens)])


def draw(found: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Above, one fact by length and depth for each way to read; below, each group of kinds by length."""
    from matplotlib.figure import Figure

    lengths = lengths_of(found)
    groups = [group for group, kinds in GROUPS.items() if any(_asked(rows, kinds) for rows in found.values())]
    columns = max(len(found), len(groups))
    figure = Figure((2.5 * columns, 5.2), 110, layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    for place, (arm, rows) in enumerate(found.items()):
        image = _heat(axes[0, place], arm, rows, lengths)
    figure.colorbar(image, ax=axes[0, columns - 1], label="found")
    for place, group in enumerate(groups):
        for arm, rows in found.items():
            shares = [_share(_asked(rows, GROUPS[group]), length) for length in lengths]
            axes[1, place].plot(range(len(lengths)), shares, marker="o", markersize=3, label=arm)
        axes[1, place].set(title=group, ylim=(-0.04, 1.04), xlabel="tokens")
        axes[1, place].set_xticks(range(len(lengths)), [f"{one // 1024}k" for one in lengths])
        axes[1, place].grid(visible=True, alpha=0.2)
    axes[1, len(groups) - 1].legend(fontsize=7)
    for spare in (*axes[0, len(found) :], *axes[1, len(groups) :]):
        spare.set_axis_off()
    figure.savefig(path)


def lengths_of(found: Mapping[str, Sequence[Row]]) -> list[int]:
    """The lengths of all texts, in order."""
    return sorted({row["length"] for rows in found.values() for row in rows})


def _heat(axes: Any, arm: str, rows: Sequence[Row], lengths: Sequence[int]) -> Any:
    """Facts asked for one by one: depth down, length to the right."""
    needles = _asked(rows, GROUPS["one fact"])
    shares = [[_share(part, length) for length in lengths] for part in _by_depth(needles)]
    image = axes.imshow(shares, cmap="RdYlGn", vmin=0, vmax=1, aspect="auto")
    axes.set(title=f"one fact, {arm}", xlabel="tokens", ylabel="depth")
    axes.set_xticks(range(len(lengths)), [f"{one // 1024}k" for one in lengths])
    axes.set_yticks(range(DEPTHS), [f"{place / (DEPTHS - 1):.2f}" for place in range(DEPTHS)])
    for depth, line in enumerate(shares):
        for place, share in enumerate(line):
            axes.text(place, depth, f"{share:.1f}", ha="center", va="center", fontsize=7)
    return image


def _by_depth(rows: Sequence[Row]) -> Iterator[list[Row]]:
    for place in range(DEPTHS):
        yield [row for row in rows if round(row["depth"] * (DEPTHS - 1)) == place]


def _asked(rows: Sequence[Row], kinds: Sequence[str]) -> list[Row]:
    return [row for row in rows if row["kind"] in kinds]


def _share(rows: Sequence[Row], length: int) -> float:
    """Mean worth at a length; no number where nothing was asked."""
    found = [row["worth"] for row in rows if row["length"] == length]
    return fmean(found) if found else float("nan")


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    texts = [row["text"] for row in rows]
    mean = Bootstrap(texts).mean([row["worth"] for row in rows])
    if len(set(texts)) == 1:
        return f"{mean['value']:.2f}"
    return f"{mean['value']:.2f} ({mean['low']:.2f} to {mean['high']:.2f})"


if __name__ == "__main__":
    app()
