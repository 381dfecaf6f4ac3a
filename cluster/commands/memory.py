"""`pal memory`: add, find, read and forget what a user told. Talks to a server; stores nothing itself."""

from typing import Annotated

import typer

from cluster.commands import memory_upkeep
from cluster.context import JsonFlag, KeyOption, UrlOption, emit, note, show_table
from cluster.memories import (
    PATH,
    AgentOption,
    AsOfOption,
    MemoryId,
    SessionOption,
    UserOption,
    brief,
    given,
    local_time,
    sent,
    server,
    show_facts,
    show_history,
)

DONE = {"ADD": "added", "UPDATE": "updated", "NONE": "was there:"}
"""What is said of each memory of a write."""

app = typer.Typer(no_args_is_help=True, help="Add, find, export and forget what is remembered of a user.")


@app.command()
def add(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="What to remember, as it stands.")],
    user: UserOption = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Session (run_id) it belongs to.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="ID", help="Agent (agent_id) it belongs to.")
    ] = None,
    when: Annotated[
        str | None, typer.Option("--when", metavar="WHEN", help="When it was said, e.g. 2026-05-01T12:00.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DATE", help="Last day on which it is remembered.")
    ] = None,
    importance: Annotated[
        float | None, typer.Option("--importance", min=0, max=1, help="0 to 1; default 0.5.")
    ] = None,
    pin: Annotated[bool, typer.Option("--pin", help="It never fades.")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Remember a text."""
    body = given(
        text=text,
        run_id=session,
        agent_id=agent,
        timestamp=sent(when),
        expiration_date=expires,
        importance=importance,
        pinned=pin or None,
    )
    with server(ctx, user, url, api_key) as (client, whose):
        results = client.post(PATH, body | whose)["results"]
    for one in results:
        emit(one) if as_json else typer.echo(f"{DONE[one['event']]} {one['id']}")


@app.command()
def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Memories to show.")] = 5,
    user: UserOption = None,
    session: SessionOption = None,
    agent: AgentOption = None,
    as_of: AsOfOption = None,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find the memories that bear most on a query."""
    body = given(
        query=query,
        limit=k,
        run_id=session,
        agent_id=agent,
        as_of=sent(as_of),
        archived=archived or None,
    )
    with server(ctx, user, url, api_key) as (client, whose):
        found = client.post(f"{PATH}/search", body | whose)["results"]
    if as_json:
        for hit in found:
            emit(hit)
        return
    if not found:
        note("nothing found")
    for hit in found:
        until = f" until {local_time(hit['valid_to'])}" if hit["valid_to"] else ""
        typer.echo(
            f"{hit['id']}  {local_time(hit['valid_from'])}{until}, score {hit['score']:.3f}  {hit['why']}"
        )
        typer.echo("".join(f"  {line}\n" for line in hit["memory"].splitlines()))


@app.command("list")
def list_(
    ctx: typer.Context,
    user: UserOption = None,
    session: SessionOption = None,
    agent: AgentOption = None,
    page: Annotated[int, typer.Option("--page", min=1, help="Page to show, the newest first.")] = 1,
    size: Annotated[int, typer.Option("-n", min=1, max=1000, help="Memories on a page.")] = 20,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List memories, newest first."""
    asked = given(run_id=session, agent_id=agent, page=page, page_size=size)
    with server(ctx, user, url, api_key) as (client, whose):
        found = client.get(PATH, **asked, **whose)
    if as_json:
        for memory in found["results"]:
            emit(memory)
        return
    show_table(
        ["Id", "Said", "By", "Session", "Text"],
        (
            [
                one["id"],
                local_time(one["valid_from"]),
                one["name"] or one["role"],
                one["run_id"],
                brief(one["memory"]),
            ]
            for one in found["results"]
        ),
    )
    note(f"page {page} of {-(-found['count'] // size) or 1}, {found['count']} memories")


@app.command()
def show(
    ctx: typer.Context,
    memory_id: MemoryId,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a memory with its facts, its history and what it was made from."""
    with server(ctx, user, url, api_key) as (client, whose):
        memory = client.get(f"{PATH}/{memory_id}", **whose)
        stated = client.get(f"{PATH}/facts", history=True, **whose)["results"]
        memory["facts"] = [fact for fact in stated if fact["memory_id"] == memory_id]
        memory["history"] = client.get(f"{PATH}/{memory_id}/history", **whose)
    if as_json:
        emit(memory)
        return
    typer.echo(memory["memory"] + "\n")
    hidden = {"memory", "facts", "history", "sources"}
    show_table(
        ["What", "Value"],
        ([name, value] for name, value in memory.items() if name not in hidden and value not in (None, {})),
    )
    if memory["facts"]:
        show_facts(memory["facts"])
    show_history(memory["history"])
    for source in memory["sources"]:
        typer.echo(f"made from {source}")


@app.command()
def facts(
    ctx: typer.Context,
    user: UserOption = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Of this subject, e.g. user.")] = None,
    slot: Annotated[str | None, typer.Option("--slot", help="Of this slot, e.g. home.")] = None,
    as_of: AsOfOption = None,
    history: Annotated[bool, typer.Option("--history", help="Those that no longer hold too.")] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the facts that hold, or held once."""
    asked = given(
        subject=subject,
        slot=slot,
        as_of=sent(as_of),
        history=history or None,
    )
    with server(ctx, user, url, api_key) as (client, whose):
        stated = client.get(f"{PATH}/facts", **asked, **whose)["results"]
    if as_json:
        for fact in stated:
            emit(fact)
    elif stated:
        show_facts(stated)
    else:
        note("no fact is known")


@app.command()
def history(
    ctx: typer.Context,
    memory_id: MemoryId,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What became of a memory."""
    with server(ctx, user, url, api_key) as (client, whose):
        changes = client.get(f"{PATH}/{memory_id}/history", **whose)
    if as_json:
        for change in changes:
            emit(change)
    else:
        show_history(changes)


@app.command()
def stats(
    ctx: typer.Context,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """How much is remembered of a user."""
    with server(ctx, user, url, api_key) as (client, whose):
        counted = client.get(f"{PATH}/stats", **whose)
    if as_json:
        emit(counted)
        return
    kinds = ", ".join(f"{number} {kind}s" for kind, number in counted.pop("by_kind").items())
    show_table(["What", "Value"], [*counted.items(), ("kinds", kinds)])


@app.command()
def pin(
    ctx: typer.Context,
    memory_id: MemoryId,
    undo: Annotated[bool, typer.Option("--undo", help="Let it fade again.")] = False,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Keep a memory from fading."""
    with server(ctx, user, url, api_key) as (client, whose):
        memory = client.put(f"{PATH}/{memory_id}", {"pinned": not undo}, **whose)
    emit(memory) if as_json else typer.echo(f"{'unpinned' if undo else 'pinned'} {memory_id}")


@app.command()
def consolidate(
    ctx: typer.Context,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Merge notes that say the same, archive weak ones, delete expired ones."""
    with server(ctx, user, url, api_key) as (client, whose):
        done = client.post(f"{PATH}/consolidate", whose)
    if as_json:
        emit(done)
    else:
        typer.echo(", ".join(f"{len(ids)} {what}" for what, ids in done.items()))


app.command()(memory_upkeep.forget)
app.command()(memory_upkeep.export)
app.command("import")(memory_upkeep.import_)
app.command()(memory_upkeep.rebalance)
app.command("train-ranker")(memory_upkeep.train_ranker)
