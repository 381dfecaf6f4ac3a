"""`pal profile`: any other command, watched. Knows none of them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.context import USAGE, JsonFlag, as_environment, emit, fail, show_table

if TYPE_CHECKING:
    from cluster.profiling import Watched

FLAME = "flame.svg"
COLUMNS = ("process", "count", "cpu_s", "peak_gib")


def profile(
    ctx: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="A command of pal and its arguments.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the flame graph goes.")] = Path(),
    rate: Annotated[int, typer.Option("--rate", min=1, max=1000, help="Stacks a second.")] = 20,
    json: JsonFlag = False,
) -> None:
    """Run a command and say what it took: time, memory, Ray's object store, tokens; draw a flame graph."""
    from cluster.profiling import watch

    if command[0] == "profile":
        fail("pal profile takes another command: pal profile -- sweep run FILE --local", USAGE)
    out.mkdir(parents=True, exist_ok=True)
    flame = (out / FLAME).absolute()
    found = watch(command, {**os.environ, **as_environment(ctx)}, flame, rate)
    rows = [(name, count, round(cpu, 1), _gib(peak)) for name, count, cpu, peak in found.named()]
    totals = _totals(found, flame)
    if json:
        processes = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        emit({**totals, "processes": processes})
    else:
        show_table(COLUMNS, rows)
        for name, value in totals.items():
            typer.echo(f"{name.replace('_', ' ')}: {'not told' if value is None else value}")
    if found.code:
        raise typer.Exit(found.code)


def _totals(found: "Watched", flame: Path) -> dict[str, Any]:
    return {
        "seconds": round(found.seconds, 1),
        "cpu_seconds": round(sum(one.cpu_s for one in found.processes.values()), 1),
        "peak_gib": _gib(found.peak_bytes),
        "object_store_gib": _gib(found.object_store_bytes),
        "tokens": found.tokens,
        "flame": str(flame) if flame.is_file() else None,
    }


def _gib(count: int) -> float:
    return round(count / 1024**3, 3)
