"""`pal train preferences`: trains an adapter on pairs of a better and a worse answer. Knows no torch."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cluster.context import JsonFlag, emit, note, settings_of


def preferences(
    ctx: typer.Context,
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="YAML with model, learning (configs/learning.py), data.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default: in the state directory."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Train an adapter on pairs of a better and a worse answer, in OpenAI's preference format (DPO)."""
    from actors.models.store import ModelStore
    from tune import dpo

    settings = settings_of(ctx).settings
    task = dpo.task(config)
    folder = (out or settings.home / "training" / "preferences").absolute()
    stdout = sys.stdout

    def watch(figures: Mapping[str, float]) -> None:
        if json:
            with redirect_stdout(stdout):
                emit(figures)

    with redirect_stdout(sys.stderr):
        adapter = dpo.train(task, ModelStore(settings).resolve(task.model), folder, partial(note), watch)
    if json:
        emit({"adapter": str(adapter)})
    else:
        typer.echo(f"adapter: {adapter}")
