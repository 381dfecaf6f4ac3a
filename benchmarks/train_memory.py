"""The longest sequence that is trained in a given memory, by what is done to save it. Knows no algorithm."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import limits, plot
from benchmarks.train_step import ARMS

GRID = tuple(sorted({step * 2**power for power in range(8, 15) for step in (2, 3)} | {20480, 28672, 40960}))
"""Lengths that are tried."""
SHORT = (512, 1024)
"""Lengths at which the growth of the peak is measured first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is trained, and within which bounds."""

    model: Path
    method: str
    precision: str
    zero: int
    limit_gib: float
    patience_s: float
    port: int
    most: int
    """Tokens of the longest sequence that is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One try."""

    arm: str
    length: int
    fits: bool
    """It ended under the kernel's limit, and its resident peak, libraries and all, was below it too."""
    peak_gib: float | None
    """Of the first rank."""
    seconds: float | None
    """Of the step."""
    said: str
    """The end of what it printed, where it did not fit."""


def attempt(options: Options, arm: str, length: int) -> Row:
    """One step of one arm at one length, under the limit."""
    ranks = 2 if arm == "parallel" else 1
    command = [sys.executable, "-m", "benchmarks.train_step", str(options.model), "--arm", arm]
    command += ["--length", str(length), "--method", options.method, "--precision", options.precision]
    command += ["--zero", str(options.zero)]
    environs = [
        {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(options.port),
            "OMP_NUM_THREADS": "1",
            "DS_ACCELERATOR": "cpu",
        }
        for rank in range(ranks)
    ]
    outcome = limits.run([command] * ranks, environs, int(options.limit_gib * 2**30), options.patience_s)
    found = outcome.answer
    return Row(
        arm=arm,
        length=length,
        fits=found is not None and found["peak_gib"] <= options.limit_gib,
        peak_gib=found["peak_gib"] if found else None,
        seconds=found["seconds"] if found else None,
        said="" if found is not None else outcome.said[-300:],
    )


def search(options: Options, arm: str, lengths: Sequence[int] = ()) -> list[Row]:
    """Tries from about the longest that should fit, up to the first that does not; or just at `lengths`.

    None is longer than `options.most`.
    """
    if lengths:
        return [attempt(options, arm, length) for length in lengths]
    grid = [length for length in GRID if length <= options.most]
    rows = [attempt(options, arm, length) for length in SHORT]
    at = _nearest(grid, predicted(rows, options.limit_gib))
    tried = {row.length: row for row in rows}
    while True:
        length = grid[at]
        if length not in tried:
            tried[length] = attempt(options, arm, length)
            rows.append(tried[length])
        after = at + (1 if tried[length].fits else -1)
        if not 0 <= after < len(grid) or grid[after] in tried:
            return rows
        at = after


def predicted(rows: Sequence[Row], limit_gib: float) -> float:
    """The length at which peaks that grow in a line reach the limit; the shortest where none fitted."""
    fitted = [row for row in rows if row.peak_gib is not None]
    if len(fitted) < 2:
        return float(GRID[0])
    (first, last) = fitted[0], fitted[-1]
    growth = ((last.peak_gib or 0) - (first.peak_gib or 0)) / (last.length - first.length)
    return last.length + (limit_gib - (last.peak_gib or 0)) / max(growth, 1e-7)


def _nearest(grid: Sequence[int], length: float) -> int:
    """The place in the grid of the longest that is not above."""
    return max((place for place, one in enumerate(grid) if one <= length), default=0)


def longest(rows: Sequence[Row], arm: str) -> Row | None:
    """The longest that fitted."""
    return max((row for row in rows if row.arm == arm and row.fits), key=lambda row: row.length, default=None)


def table(rows: Sequence[Row], options: Options) -> str:
    """Markdown: an arm a line, with its multiple of the first one."""
    first = longest(rows, next(iter(ARMS)))
    lines = [
        f"Longest sequence of one step in {options.limit_gib:g} GiB a process ({limits.how()}), "
        f"{options.model.name}, {options.method}, {options.precision}",
        "",
        "| | tokens | of plain | peak GiB | s a step |",
        "|---|---:|---:|---:|---:|",
    ]
    for arm, title in ARMS.items():
        best = longest(rows, arm)
        if best is None:
            lines.append(f"| {title} | | | | |")
            continue
        multiple = f"{best.length / first.length:.1f}x" if first else ""
        lines.append(f"| {title} | {best.length:,} | {multiple} | {best.peak_gib} | {best.seconds} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Peak over length, a line an arm."""
    curves = {
        title: sorted((row.length, row.peak_gib) for row in rows if row.arm == arm and row.peak_gib)
        for arm, title in ARMS.items()
    }
    given = {title: curve for title, curve in curves.items() if curve}
    plot.log_log(path, "Memory of one training step", "tokens of the sequence", "peak GiB a process", given)


def records(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Rows as they are written to a file."""
    return [asdict(row) for row in rows]
