"""`pal train long-context`: trains a model on long sequences. Knows no torch."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
import yaml

from cluster.context import USAGE, JsonFlag, emit, fail, note, settings_of

if TYPE_CHECKING:
    from configs.schema import Settings
    from configs.training import LongContextTraining

Watch = Callable[[Mapping[str, float]], None]


def long_context(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="Settings of the training, in YAML.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="The Ray cluster to train on.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default: in the state directory."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last checkpoint.")] = False,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Overrides a setting of CONFIG; repeatable."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Train a model on long sequences: all weights or an adapter, on one rank or several (DeepSpeed).

    Several ranks are actors of a Ray that is started here, or of the one at --address.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from actors.models.store import ModelStore
    from cluster.runtime import ray_runtime, where_ray_is
    from tune.plan import check
    from tune.ranks import run
    from tune.train import Plan

    training = training_of(config, given or [])
    settings = where_ray_is(settings_of(ctx).settings, address)
    folder = (out or settings.home / "training" / "long-context").absolute()
    plan = Plan(
        settings=training,
        model=ModelStore(settings).resolve(training.model),
        folder=folder,
        home=settings.home,
        partitions=settings.memory.partitions,
    )
    if settings.cluster.address is None:
        check(training, plan.model)
    on_cluster = training.ranks > 1 or settings.cluster.address is not None
    cluster = ray_runtime(_roomy(settings, training)) if on_cluster else nullcontext()
    with _progress(training, quiet=json) as watch, redirect_stdout(sys.stderr), cluster:
        done = asyncio.run(run(plan, resume=resume, on_cluster=on_cluster, watch=watch, note=note))
    if json:
        emit(done)
        return
    typer.echo(f"{done.result.name}: {done.result}")


def training_of(config: Path | None, given: list[str]) -> "LongContextTraining":
    """The training that a file and `key=value` pairs, dotted and in YAML, ask for. Raises typer.Exit."""
    from pydantic import ValidationError

    from configs.compression import read
    from configs.explain import explain
    from configs.training import LongContextTraining

    tree: dict[str, Any] = read(config) if config else {}
    for pair in given:
        key, found, value = pair.partition("=")
        if not found:
            fail(f"--set takes KEY=VALUE, not {pair!r}", USAGE)
        level = tree
        *parents, last = key.split(".")
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = yaml.safe_load(value)
    try:
        return LongContextTraining.model_validate(tree)
    except ValidationError as error:
        problems = explain(error, LongContextTraining, "configs/training.py lists them")
        fail(f"{config or 'the training'}: " + "; ".join(problems), USAGE)


def _roomy(settings: "Settings", training: "LongContextTraining") -> "Settings":
    """The settings with a CPU for each rank, and a dashboard beside that of another Ray, where one starts."""
    from cluster.runtime import free_port
    from tune.ranks import threads_of

    cluster = settings.cluster
    if cluster.address:
        return settings
    more = {
        "num_cpus": cluster.num_cpus or training.ranks * threads_of(training),
        "dashboard_port": free_port(cluster.dashboard_host, cluster.dashboard_port),
    }
    return settings.model_copy(update={"cluster": cluster.model_copy(update=more)})


@contextmanager
def _progress(training: "LongContextTraining", *, quiet: bool) -> Iterator[Watch]:
    """Shows each step: as JSON lines, live on a terminal, else a line now and then, on stderr.

    What Ray and DeepSpeed print meanwhile is kept off stdout.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if quiet:
        yield partial(_emit, sys.stdout)
        return
    if not console.is_terminal:
        yield lambda figures: show_line(figures, training.steps)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[shown]}"))
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("", total=training.steps, shown="")
        yield lambda figures: bars.update(bar, completed=int(figures["step"]) + 1, shown=_shown(figures))


def _emit(stdout: TextIO, figures: Mapping[str, float]) -> None:
    with redirect_stdout(stdout):
        emit(figures)


def show_line(figures: Mapping[str, float], steps: int) -> None:
    """Tell a step, every fiftieth part of all of them."""
    step = int(figures["step"]) + 1
    if step == steps or step % max(1, steps // 50) == 0:
        note(f"{step}/{steps} {_shown(figures)}")


def _shown(figures: Mapping[str, float]) -> str:
    left = int(figures["eta_s"])
    shown = (
        f"loss {figures['loss']:.3f}  {figures['tokens_per_s']:,.0f} tokens/s  "
        f"{figures['memory_gib']:.2f} GiB  {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"
    )
    return shown + (f"  eval {figures['eval_loss']:.3f}" if "eval_loss" in figures else "")
