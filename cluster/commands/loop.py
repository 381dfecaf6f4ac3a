"""`pal loop`: rounds of learning, on a server or from the state directory while none runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.messages import Json
from cluster.context import REFUSED, JsonFlag, KeyOption, UrlOption, emit, note, settings_of, show_table

if TYPE_CHECKING:
    from actors.rounds import Tools
    from cluster.client import Client
    from configs.schema import Settings

PATH = "/v1/train"
POLL_S = 1.0
WhoOption = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="Learn for this user alone; '' is everybody's.")
]

app = typer.Typer(no_args_is_help=True, help="Learn from what users told; the gate judges what comes of it.")


@app.command()
def run(
    ctx: typer.Context,
    user: WhoOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn what is new for all who agreed, or for one, and wait for the verdicts."""
    from cluster.client import connect
    from cluster.running import read_note

    settings = settings_of(ctx).settings
    if url is None and read_note(settings.home) is None:
        note("no server runs: working on the files of the state directory")
        found = asyncio.run(_here(settings, user))
    else:
        with connect(settings, url, api_key) as client:
            found = _there(client, user)
    if as_json:
        for one in found:
            emit(one)
    else:
        _show(found)
    if any(one["accepted"] is False for one in found):
        raise typer.Exit(REFUSED)


@app.command()
def status(
    ctx: typer.Context, url: UrlOption = None, api_key: KeyOption = None, as_json: JsonFlag = False
) -> None:
    """Show what is learned now, and the last rounds."""
    from cluster.client import connect
    from cluster.running import read_note

    settings = settings_of(ctx).settings
    if url is None and read_note(settings.home) is None:
        from actors.training.rounds import Book
        from serve.routes.train import round_object

        rounds = [round_object(one).model_dump() for one in Book(settings.home).rounds()[::-1]]
        found: Json = {"running": None, "waiting": [], "next_at": None, "fault": "", "rounds": rounds}
    else:
        with connect(settings, url, api_key) as client:
            found = client.get(f"{PATH}/status")
    if as_json:
        emit(found)
        return
    now = "nothing" if found["running"] is None else found["running"] or "everybody"
    typer.echo(f"learning for {now}; waiting: {len(found['waiting'])}; next by the clock: {_when(found)}")
    if found["fault"]:
        typer.echo(f"last fault: {found['fault']}")
    _show(found["rounds"])


@app.command()
def schedule(
    ctx: typer.Context,
    every: Annotated[float, typer.Option("--every", metavar="HOURS", help="Hours between rounds; 0: none.")],
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """Have the running server begin rounds by itself, from now on and after restarts."""
    from cluster.client import connect

    with connect(settings_of(ctx).settings, url, api_key) as client:
        found = client.put(f"{PATH}/schedule", {"every_hours": every})
    typer.echo(f"next round by the clock: {_when(found)}")


@app.command(hidden=True)
def study(
    ctx: typer.Context, folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of a round.")]
) -> None:
    """Teach, measure and judge what a round has gathered: what the loop starts as a process of its own."""
    from actors.models.store import ModelStore
    from tune.study import order_of
    from tune.study import study as carried_out

    store = ModelStore(settings_of(ctx).settings)
    carried_out(folder.absolute(), order_of(folder, store.resolve), note)


def _there(client: "Client", user: str | None) -> list[Json]:
    """Ask a server, and follow it until all that was asked for is done."""
    before = {one["id"] for one in client.get(f"{PATH}/status")["rounds"] if one["phase"] == "ended"}
    client.post(f"{PATH}/interactions", {} if user is None else {"user_id": user})
    while True:
        found = client.get(f"{PATH}/status")
        if found["running"] is None and not found["waiting"]:
            return [one for one in found["rounds"][::-1] if one["id"] not in before]
        time.sleep(POLL_S)


async def _here(settings: "Settings", user: str | None) -> list[Json]:
    """Carry the rounds out in this process."""
    from cluster.loop import scopes, turn
    from serve.routes.train import round_object

    async with opened_here(settings) as tools:
        wanted = await scopes(tools) if user is None else [user]
        found = [await turn(tools, scope) for scope in wanted]
    return [round_object(one).model_dump() for one in found if one is not None]


@asynccontextmanager
async def opened_here(settings: "Settings") -> AsyncIterator["Tools"]:
    """Keepers and lineage of the state directory, for this process alone. Raises Locked."""
    from actors.keeper import Keeper
    from actors.keepers import routed
    from actors.lineage import Lineage
    from actors.memory.layout import opened
    from actors.rounds import Tools
    from actors.training.launch import Processes
    from actors.training.rounds import Book

    book, lineage = Book(settings.home), Lineage(settings)
    lock = book.open()
    try:
        with opened(settings.home, settings.memory.partitions) as directories:
            keeper = routed([Keeper(one, settings.documents, memory=settings.memory) for one in directories])
            try:
                await keeper.start()
                await lineage.start()
                yield Tools(settings, keeper, lineage, Processes(settings.loop.niceness), book)
            finally:
                await lineage.close()
                await keeper.close()
    finally:
        lock.release()


def _show(rounds: list[Json]) -> None:
    show_table(
        ["Round", "For", "Learned", "Result", "Why"],
        (
            [
                one["id"],
                one["user_id"] or "everybody",
                ", ".join(f"{count} {what}" for what, count in one["counts"].items() if count),
                _result(one),
                "; ".join(one["reasons"]),
            ]
            for one in rounds
        ),
    )


def _result(one: dict[str, Any]) -> str:
    if one["phase"] != "ended":
        return str(one["phase"])
    if one["accepted"] is None:
        return "nothing learned"
    return f"{one['version']} {'serves' if one['accepted'] else 'refused'}"


def _when(found: Json) -> str:
    at = found["next_at"]
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
