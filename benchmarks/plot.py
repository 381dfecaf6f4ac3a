"""Lines over two axes, logarithmic or plain, as a picture. Knows nothing of what is drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

Line = Sequence[tuple[float, float]]
"""Points, ascending by the first of each; both above 0."""
INCHES = (7.2, 4.2)
DPI = 150


def log_log(path: Path, title: str, across: str, up: str, lines: Mapping[str, Line]) -> None:
    """Write the file, PNG or SVG by its ending. Raises ValueError without a point."""
    _draw(path, title, across, up, lines, "log")


def linear(path: Path, title: str, across: str, up: str, lines: Mapping[str, Line]) -> None:
    """Like `log_log`, over plain axes; what stands up begins at 0."""
    _draw(path, title, across, up, lines, "linear")


def _draw(path: Path, title: str, across: str, up: str, lines: Mapping[str, Line], scale: str) -> None:
    if not any(lines.values()):
        raise ValueError("there is nothing to draw")
    figure = Figure(INCHES, DPI, layout="constrained")
    axes = figure.add_subplot()
    for name, line in lines.items():
        axes.plot(*zip(*line, strict=True), marker="o", label=name)
    axes.set(title=title, xlabel=across, ylabel=up, xscale=scale, yscale=scale)
    if scale == "linear":
        axes.set_ylim(bottom=0)
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend()
    figure.savefig(path)
