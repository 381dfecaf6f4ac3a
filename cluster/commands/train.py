"""`pal train`: trains what the system uses. Knows no algorithm."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.commands.train_data import data
from cluster.commands.train_long import long_context
from cluster.commands.train_modes import evaluate, profile
from cluster.commands.train_preferences import preferences
from cluster.context import USAGE, JsonFlag, emit, fail, note, settings_of, show_table

if TYPE_CHECKING:
    from configs.compression import CompressionTraining
    from configs.schema import Settings
    from tune.training import Watch

app = typer.Typer(no_args_is_help=True)
app.command("long-context")(long_context)
app.command("preferences")(preferences)
app.command("eval")(evaluate)
app.command("profile")(profile)
app.command("data")(data)
SHOWN = ("reward", "utility", "ratio", "entropy")
"""Figures that are shown while it trains."""


@app.callback()
def train() -> None:
    """Train what the system uses."""


@app.command()
def compression(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="Settings of the training, in YAML.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="DIR", help="What `pal data prepare` wrote; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default: in the state directory."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last checkpoint.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Overrides that of CONFIG.")] = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", min=1, help="Overrides those of CONFIG.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Train the policy that decides which words of a text to keep (PPO, RLlib)."""
    from cluster.runtime import ray_runtime, where_ray_is
    from tune.training import train as trained

    settings = settings_of(ctx).settings
    given = {"data": data or None, "seed": seed, "iterations": iterations}
    training = _training(settings, config, {key: value for key, value in given.items() if value is not None})
    folder = (out or settings.home / "training" / "compression").absolute()
    with ray_runtime(where_ray_is(settings)), _progress(training.iterations, quiet=json) as watch:
        done = trained(training, folder, resume=resume, count=_count(training), watch=watch)
    if json:
        emit(done)
        return
    budgets = sorted({key for figures in done.kept.values() for key in figures if key != "questions"})
    rows = [(name, int(one["questions"]), *(one[key] for key in budgets)) for name, one in done.kept.items()]
    show_table(("held out", "questions", *(key.replace("_", " ") for key in budgets)), rows)
    typer.echo(f"policy: {done.weights}")
    note(f"to use it: pal --set compression.policy={done.weights} up")


@app.command()
def reconstructor(
    ctx: typer.Context,
    data: Annotated[
        list[Path], typer.Option("--data", metavar="DIR", help="What `pal data prepare` wrote; repeatable.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write; default: in the state directory."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last checkpoint.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Gradient steps; fewer is quicker and worse.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Train the adapter that writes a whole text from the words kept of it (LoRA)."""
    from actors.compressor import load_shortener
    from actors.models.store import ModelStore
    from configs.reconstruction import ReconstructorTraining
    from tune.reconstruct import train as trained

    settings = settings_of(ctx).settings
    given = {"data": tuple(data), "seed": seed} | ({"steps": steps} if steps else {})
    training = ReconstructorTraining.model_validate(given)
    folder = (out or settings.home / "training" / "reconstructor").absolute()
    model = ModelStore(settings).resolve(settings.engine.model)
    done = trained(training, model, load_shortener(settings), folder, resume=resume, watch=_step(json))
    if json:
        emit(done)
        return
    rows = [(name, *one.values()) for name, one in done.scores.items()]
    show_table(("held out", "bits a word", "tokens right", "words"), rows)
    typer.echo(f"adapter: {done.adapter}")
    note(f"to use it: pal compress FILE --restore --reconstructor {done.adapter}")


def _step(quiet: bool) -> Callable[[int, float], None]:
    """Shows the loss now and then."""

    def show(step: int, loss: float) -> None:
        if not quiet and (step + 1) % 10 == 0:
            note(f"{step + 1} {loss:.3f} nats a token")

    return show


def _training(settings: "Settings", config: Path | None, given: Mapping[str, Any]) -> "CompressionTraining":
    """The training that the file and the flags ask for. Raises typer.Exit."""
    from pydantic import ValidationError

    from configs.compression import CompressionTraining, read
    from configs.explain import explain

    tree: dict[str, Any] = {**(read(config) if config else {}), **given}
    if not tree.get("tokenizer"):
        tree["tokenizer"] = _tokenizer(settings)
    try:
        return CompressionTraining.model_validate(tree)
    except ValidationError as error:
        problems = explain(error, CompressionTraining, "configs/compression.py lists them")
        fail(f"{config or 'the training'}: " + "; ".join(problems), USAGE)


def _tokenizer(settings: "Settings") -> Path | None:
    """The tokenizer of the settings' model, where it is on this machine."""
    from actors.messages import PalError
    from actors.models.store import ModelStore

    try:
        path = ModelStore(settings).resolve(settings.engine.model) / "tokenizer.json"
    except PalError as error:
        note(f"tokens are estimated: {error.message}")
        return None
    return path if path.is_file() else None


def _count(training: "CompressionTraining") -> Any:
    from actors.compression.chunks import estimate
    from tune.training import token_count

    return token_count(training.tokenizer) if training.tokenizer else estimate


@contextmanager
def _progress(iterations: int, *, quiet: bool) -> "Iterator[Watch | None]":
    """Shows each iteration's figures: live on a terminal, else a line now and then, on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet:
        yield None
        return
    if not console.is_terminal:
        yield lambda iteration, figures: _line(iteration, iterations, figures)
        return
    figures_column = TextColumn("{task.fields[figures]}")
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), figures_column)
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("", total=iterations, figures="")
        yield lambda iteration, figures: bars.update(bar, completed=iteration + 1, figures=_shown(figures))


def _line(iteration: int, iterations: int, figures: Mapping[str, float]) -> None:
    if (iteration + 1) % 10 == 0 or iteration + 1 == iterations:
        note(f"{iteration + 1}/{iterations} {_shown(figures)}")


def _shown(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {figures[name]:.3f}" for name in SHOWN)
