"""`pal train eval` and `profile`: how good a result is, where a step's time goes. Knows no torch."""

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.commands.train_long import show_line, training_of
from cluster.context import JsonFlag, emit, note, settings_of, show_table

if TYPE_CHECKING:
    from configs.training import LongContextTraining
    from tune.haystack import Haystack
    from tune.train import Plan

SPANS = 8
"""Ranges of positions that perplexity is told of."""
LENGTHS = 4
"""Lengths after which facts are asked for."""
Config = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="Settings of the training, in YAML.")]
Given = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides a setting of CONFIG; repeatable."),
]


def evaluate(
    ctx: typer.Context,
    config: Config = None,
    adapter: Annotated[
        Path | None, typer.Option("--adapter", metavar="DIR", help="What the training left; or --checkpoint.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", metavar="DIR", help="Its directory `checkpoints`: the newest whole one."
        ),
    ] = None,
    length: Annotated[
        int | None, typer.Option("--length", min=1024, help="Tokens of a text; default: that of CONFIG.")
    ] = None,
    texts: Annotated[int, typer.Option("--texts", min=1, help="How many are read.")] = 2,
    given: Given = None,
    json: JsonFlag = False,
) -> None:
    """Read long texts: perplexity by position, and facts found again.

    The texts are the files of CONFIG's eval_data; without any they are made up, and only facts are asked for.
    Without --adapter and --checkpoint it is the model itself, its context extended as CONFIG says.
    """
    from tune.checkpoints import newest
    from tune.group import device_of
    from tune.judge import load, read

    plan = _plan(ctx, config, given, Path())
    settings = plan.settings
    long = length or settings.farthest
    step = long // SPANS
    with redirect_stdout(sys.stderr):
        model = load(
            settings,
            plan.model,
            device_of(settings.device),
            adapter=adapter,
            checkpoint=newest(checkpoint, note) if checkpoint else None,
        )
        rows = []
        for text in _texts(settings, plan.model, long, texts):
            found = read(
                model, text, range(0, long + 1, step), [long * part // LENGTHS for part in range(1, 5)]
            )
            rows.append({"read": long, **asdict(found)})
            note(f"{text.name}: read")
    _show(rows, [(low, low + step) for low in range(0, long - step + 1, step)], json=json)


def profile(
    ctx: typer.Context,
    config: Config = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps that count; one before does not.")] = 3,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", metavar="FILE", help="Write one step's operations for chrome://tracing."),
    ] = None,
    given: Given = None,
    json: JsonFlag = False,
) -> None:
    """Take steps of a training apart: seconds, memory and tokens a second by part, on one rank."""
    from tune.profile import profile as profiled

    with TemporaryDirectory(prefix="pal-profile-") as folder, redirect_stdout(sys.stderr):
        plan = _plan(ctx, config, given, Path(folder))
        found = profiled(plan, steps, trace, lambda figures: show_line(figures, steps + 1))
    if json:
        emit(found)
        return
    rows = [
        (part.name, f"{part.seconds:.3f}", f"{part.share:.0%}", f"{part.tokens_per_s:,.0f}", part.memory_gib)
        for part in found.parts
    ]
    whole = ("step", f"{found.seconds:.3f}", "", f"{found.tokens / found.seconds:,.0f}", found.memory_gib)
    show_table(("part", "s", "share", "tokens/s", "peak GiB"), [*rows, whole])
    if trace is not None:
        note(f"one step's operations: {trace}")


def _plan(ctx: typer.Context, config: Path | None, given: list[str] | None, folder: Path) -> "Plan":
    from actors.models.store import ModelStore
    from tune.train import Plan

    training, settings = training_of(config, given or []), settings_of(ctx).settings
    return Plan(
        settings=training,
        model=ModelStore(settings).resolve(training.model),
        folder=folder,
        home=settings.home,
        partitions=settings.memory.partitions,
    )


def _texts(settings: "LongContextTraining", model: Path, length: int, most: int) -> "list[Haystack]":
    """Texts of the files of eval_data, or made up."""
    from actors.models.tokenizer import ModelTokenizer
    from tune.documents import files_of
    from tune.haystack import haystacks

    files = [file for source in settings.eval_data if source.kind == "text" for file in files_of(source)]
    return list(haystacks(files, length, most, settings.seed, ModelTokenizer(model)))


def _show(rows: list[dict[str, object]], ranges: list[tuple[int, int]], *, json: bool) -> None:
    from tune.readings import perplexity, recall

    foreseen = {f"{low}-{high}": found for low, high in ranges if (found := perplexity(rows, low, high))}
    found_again = recall(rows)
    if json:
        emit({"perplexity": foreseen, "recall": found_again, "texts": rows})
        return
    if foreseen:
        cells = [(name, one["value"], one["low"], one["high"]) for name, one in foreseen.items()]
        show_table(("positions", "perplexity", "95 % from", "to"), cells)
    asked = [
        (length, one["asked"], one["exact"]["value"], one["first"]["value"])
        for length, one in found_again.items()
    ]
    show_table(("tokens read", "facts asked", "word for word", "above other answers"), asked)
