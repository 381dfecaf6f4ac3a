"""`pal memory` on many memories at once: forget, export, import, rebalance, train-ranker."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from actors.messages import Json
from cluster.context import USAGE, JsonFlag, KeyOption, UrlOption, emit, fail, note, settings_of, show_table
from cluster.memories import PATH, AgentOption, SessionOption, UserOption, brief, given, sent, server

FEW = 10
"""Texts named before something is forgotten."""
TOGETHER = 200
"""Records sent in one request."""


def forget(
    ctx: typer.Context,
    user: UserOption = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="This one; repeatable.")] = None,
    session: SessionOption = None,
    agent: AgentOption = None,
    matching: Annotated[
        str | None, typer.Option("--matching", metavar="WORDS", help="Texts that hold all these words.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="WHEN", help="Said before, e.g. 2026-05-01.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of the user; the default where --user alone is given.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Delete memories for good: what meets every condition given."""
    if yes and dry_run:
        fail("--yes and --dry-run exclude each other", USAGE)
    conditions = given(
        ids=ids or None, run_id=session, agent_id=agent, matching=matching, before=sent(before)
    )
    if everything and conditions:
        fail("--all and a condition exclude each other", USAGE)
    if not conditions:
        if not (everything or user):
            fail("say what to forget: --id, --session, --agent, --matching, --before or --all", USAGE)
        conditions = {"everything": True}
    with server(ctx, user, url, api_key) as (client, whose):
        body = whose | conditions
        if not yes:
            would = client.post(f"{PATH}/forget", {**body, "dry_run": True})
            if dry_run:
                emit(would) if as_json else _show_forgetting(would)
                return
            _ask(would, as_json)
        gone = client.post(f"{PATH}/forget", body)
    emit(gone) if as_json else typer.echo(f"forgot {_memories(len(gone['memory_ids']))}")


def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines; `-` is stdout.")],
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write all that is known of a user's memories to a file."""
    with server(ctx, user, url, api_key) as (client, whose):
        total = client.get(f"{PATH}/stats", **whose)["memories"]
        lines = client.lines(f"{PATH}/export", **whose)
        if str(file) == "-":
            for line in lines:
                typer.echo(line)
            return
        count = _write(file, _tracked(lines, "Exporting", total, quiet=as_json))
    done = {"file": str(file), "memories": count}
    emit(done) if as_json else typer.echo(f"exported {_memories(count)} to {file}")


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines that `pal memory export` wrote.")],
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take in what was exported; what is there already is left as it is."""
    records = _records(file)
    added = present = 0
    with server(ctx, user, url, api_key) as (client, whose):
        for batch in _tracked(_batches(records), "Importing", -(-len(records) // TOGETHER), quiet=as_json):
            events = [one["event"] for one in client.send_lines(f"{PATH}/import", batch, **whose)["results"]]
            added += len(events) - events.count("NONE")
            present += events.count("NONE")
    done = {"file": str(file), "added": added, "there": present}
    emit(done) if as_json else typer.echo(f"added {_memories(added)}; {present} were there")


def rebalance(
    ctx: typer.Context,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions", min=1, max=256, help="How many; default: the setting memory.partitions."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Spread all users over so many partitions; the server must be down."""
    from rich.console import Console
    from rich.progress import Progress

    from actors.memory import rebalance as rebalancing

    settings = settings_of(ctx).settings
    wanted = partitions or settings.memory.partitions
    console = Console(stderr=True)
    hidden = as_json or not console.is_terminal
    with Progress(console=console, transient=True, disable=hidden) as bars:
        bar = {step: bars.add_task(label, total=None) for step, label in _STEPS.items()}

        def show(at: rebalancing.Progress) -> None:
            bars.update(bar[at.step], completed=at.done, total=at.total)

        done = rebalancing.rebalance(settings.home, wanted, show)
    if as_json:
        emit(done)
        return
    typer.echo(f"moved {done.moved} of {done.users} users; there are {done.partitions} partitions now")
    if done.partitions != settings.memory.partitions:
        note(f"set memory.partitions to {done.partitions}, or the server will not start")


def train_ranker(
    ctx: typer.Context,
    examples: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="JSON lines: conversations with questions and the turns that answer them (docs/memory.md).",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Where to write the weights; default: in the state directory."
        ),
    ] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors/--no-vectors", help="Use the embedding model, as the server does.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Train the ranking of memories on conversations of your own."""
    from cluster import learning

    settings = settings_of(ctx).settings
    target = (out or settings.home / "ranker.json").absolute()

    def track(lessons: Sequence[Any]) -> Iterator[Any]:
        return _tracked(lessons, "Reading", len(lessons), quiet=as_json)

    done = learning.train(settings, examples, target, vectors=vectors, track=track)
    if as_json:
        emit(done)
        return
    show_table(
        ["Ranker", f"recall@{learning.K} of {done.held_out} unseen questions"],
        [["learned", f"{done.recall:.3f}"], ["shipped", f"{done.shipped:.3f}"]],
    )
    typer.echo(f"learned from {done.questions} questions: {done.file}")
    note(f"to use it: pal --set memory.ranker={done.file} up")


_STEPS = {"copy": "Copying", "remove": "Removing from the former partitions"}


def _ask(would: Json, as_json: bool) -> None:
    """Show what would go, and go on only on a yes. Raises typer.Exit."""
    if as_json or not sys.stdin.isatty():
        fail("nothing was forgotten: add --yes, or --dry-run to see what would go", USAGE)
    _show_forgetting(would)
    if would["memory_ids"]:
        typer.confirm("Forget for good?", abort=True, err=True)


def _show_forgetting(would: Json) -> None:
    typer.echo(f"would forget {_memories(len(would['memory_ids']))}")
    for text in would["texts"][:FEW]:
        typer.echo(f"  {brief(text)}")
    if len(would["texts"]) > FEW:
        typer.echo(f"  … and {len(would['texts']) - FEW} more")


def _memories(count: int) -> str:
    return f"{count} {'memory' if count == 1 else 'memories'}"


def _write(file: Path, lines: Iterable[bytes]) -> int:
    """Put lines into a file that only its owner reads; it appears once it is whole. Returns how many."""
    count = 0
    try:
        with TemporaryDirectory(dir=file.parent, prefix=".export-") as folder:
            draft = Path(folder, file.name)
            draft.touch(0o600)
            with draft.open("wb") as content:
                for line in lines:
                    content.write(line + b"\n")
                    count += 1
            draft.replace(file)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")
    return count


def _records(file: Path) -> list[bytes]:
    try:
        return [line for line in file.read_bytes().split(b"\n") if line.strip()]
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")


def _batches(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(records)
    while batch := list(islice(left, TOGETHER)):
        yield batch


def _tracked(items: Iterable[Any], what: str, total: int, *, quiet: bool) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    yield from track(items, what, total=total, console=console, transient=True, disable=hidden)
