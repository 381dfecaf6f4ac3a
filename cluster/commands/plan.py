"""`pal plan`: what a training would need, before it starts. Knows no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.commands.train_long import training_of
from cluster.context import FAILED, JsonFlag, emit, fail, settings_of, show_table

if TYPE_CHECKING:
    from tune.plan import Plan


def plan(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="Settings of the training, in YAML.")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(
            "--memory", metavar="GIB", min=0, help="Of one rank; default: what is free here, shared."
        ),
    ] = None,
    length: Annotated[
        int | None, typer.Option("--length", min=8, help="Tokens of a sequence; overrides CONFIG.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--flops", metavar="NUMBER", min=1, help="A second, of one rank; default: tried out here."
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Overrides a setting of CONFIG; repeatable."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Foretell memory, work, time and the longest sequence of a training; fails where it cannot fit."""
    from actors.models.store import ModelStore
    from tune import plan as planning
    from tune.footprint import read_model

    training = training_of(config, given or [])
    if training.device == "cuda" and (memory is None or rate is None):
        fail("on a GPU give --memory and --flops: neither is tried out here", FAILED)
    path = ModelStore(settings_of(ctx).settings).resolve(training.model)
    found = planning.plan(
        training,
        path,
        memory=planning.free(training.ranks) if memory is None else int(memory * planning.GIB),
        rate=rate or planning.probe() / training.ranks,
        length=length,
    )
    if json:
        emit({**{name: getattr(found, name) for name in found.__slots__}, "fits": found.fits})
    else:
        show_table(("", "GiB of one rank"), [(name, _gib(size)) for name, size in _rows(found)])
        show_table(("", found.model), _work(found))
    if not found.fits:
        fail(planning.refusal(read_model(path), training, found.length, found.memory), FAILED)


def _rows(found: "Plan") -> list[tuple[str, int]]:
    sizes = [(name, size) for name, size in found.parts.items() if size]
    return [*sizes, ("peak", found.peak), ("there is", found.memory)]


def _work(found: "Plan") -> list[tuple[str, str]]:
    return [
        ("weights", f"{found.parameters:,}, {found.trained:,} of them trained"),
        ("sequence", f"{found.length:,} tokens; the longest that fits has {found.longest:,}"),
        ("a step", f"{found.tokens:,} tokens, {found.flops:.2e} operations, about {_time(found.step_s)}"),
        ("all steps", f"about {_time(found.total_s)}, at {found.rate:.2e} operations a second and rank"),
    ]


def _gib(size: int) -> str:
    return f"{size / 1024**3:.2f}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
