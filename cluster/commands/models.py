"""`pal models`: what there is, fetch it, look at it, remove it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.context import FAILED, NOT_READY, JsonFlag, emit, fail, note, settings_of, show_table

if TYPE_CHECKING:
    from actors.models.store import ModelInfo, ModelStore, OnProgress, PullProgress

app = typer.Typer(no_args_is_help=True)


@app.callback()
def models() -> None:
    """Fetch the models that the registry names, look at them, remove them."""


@app.command("list")
def list_models(ctx: typer.Context, json: JsonFlag = False) -> None:
    """Every model of the registry, and whether it is on this machine."""
    found = _store(ctx).list()
    if json:
        for info in found:
            emit(info)
        return
    show_table(("alias", "kind", "pulled", "download", "context", "licence", "source"), map(_row, found))


@app.command()
def pull(
    ctx: typer.Context,
    aliases: Annotated[
        list[str] | None, typer.Argument(metavar="[ALIAS]...", help="Default: the models of the settings.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Fetch models; one that is whole stays as it is, a damaged one is fetched anew."""
    settings = settings_of(ctx).settings
    store = _store(ctx)
    wanted = aliases or _configured(store, (settings.engine.model, settings.models.embedder))
    for alias in wanted:
        store.info(alias)
    with progress_bars() as on_progress:
        for alias in wanted:
            store.pull(alias, on_progress)
    for alias in wanted:
        info = store.info(alias)
        if json:
            emit(info)
        else:
            typer.echo(f"{alias}: {info.path}")


@app.command()
def info(
    ctx: typer.Context,
    alias: str,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare checksums.")] = False,
    json: JsonFlag = False,
) -> None:
    """One model: where it comes from, where it lies, its checksum and licence."""
    store = _store(ctx)
    found = store.info(alias)
    problems = store.verify(alias) if verify else ()
    if json:
        emit(found)
    else:
        show_table(("", alias), _details(found, verified=verify and not problems))
    for problem in problems:
        note(f"{alias}: {problem}")
    if problems:
        fail(f"run: pal models pull {alias}", FAILED if found.pulled else NOT_READY)


@app.command()
def rm(ctx: typer.Context, alias: str, json: JsonFlag = False) -> None:
    """Delete a model's files from this machine; the registry keeps its entry."""
    store = _store(ctx)
    found = store.info(alias)
    store.remove(alias)
    if json:
        emit({"alias": alias, "path": found.path, "removed": True})
    else:
        typer.echo(f"removed {found.path}")


def _store(ctx: typer.Context) -> "ModelStore":
    from actors.models.store import ModelStore

    return ModelStore(settings_of(ctx).settings)


def _configured(store: "ModelStore", names: tuple[str, ...]) -> list[str]:
    """The names that the registry knows; a model given by its path needs no pull."""
    from pathlib import Path

    return [name for name in names if name in store or not Path(name).expanduser().is_dir()]


def _row(found: "ModelInfo") -> tuple[str, ...]:
    return (
        found.alias,
        found.kind,
        "yes" if found.pulled else "no",
        _megabytes(found.download),
        f"{found.context:,}",
        found.licence,
        found.source,
    )


def _details(found: "ModelInfo", verified: bool) -> list[tuple[str, str]]:
    state = "yes, every checksum verified" if verified else "yes" if found.pulled else "no"
    return [
        ("about", found.about),
        ("kind", found.kind),
        ("pulled", state),
        ("path", str(found.path)),
        ("source", found.source),
        ("licence", found.licence),
        ("download", _megabytes(found.download)),
        ("on disk", _megabytes(found.size)),
        ("context", f"{found.context:,} tokens"),
        ("parameters", f"{found.parameters:,}"),
        ("sha256", found.sha256 or ""),
    ]


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


@contextmanager
def progress_bars() -> "Iterator[OnProgress]":
    """Progress on stderr: bars on a terminal, else a line for each step."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def on_progress(step: "PullProgress") -> None:
            label = " ".join(filter(None, (step.alias, step.phase, step.file)))
            if label not in tasks:
                for task in tasks.values():
                    progress.update(task, visible=False)
                tasks[label] = progress.add_task(label, total=step.total)
            progress.update(tasks[label], completed=step.done, total=step.total)

        yield on_progress


def _lines() -> "Callable[[PullProgress], None]":
    said: set[str] = set()

    def on_progress(step: "PullProgress") -> None:
        line = " ".join(filter(None, (f"{step.alias}:", step.phase, step.file)))
        if line not in said:
            said.add(line)
            note(line)

    return on_progress
