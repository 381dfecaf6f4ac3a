"""What the commands of `pal memory` share: options, whose memories are meant, tables. Knows no command."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.messages import Json
from cluster.context import settings_of, show_table

if TYPE_CHECKING:
    from cluster.client import Client
    from configs.schema import Settings

PATH = "/v1/memories"
SHOWN = 72
"""Characters of a text in a table."""

UserOption = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="Whose memories; default: the key's user, else `default`."),
]
SessionOption = Annotated[
    str | None, typer.Option("--session", metavar="ID", help="Only of this session (run_id).")
]
AgentOption = Annotated[str | None, typer.Option("--agent", metavar="ID", help="Only of this agent.")]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="WHEN", help="Answer as one would have then, e.g. 2026-05-01."),
]
MemoryId = Annotated[str, typer.Argument(metavar="ID", help="Id of a memory.")]


@contextmanager
def server(
    ctx: typer.Context, user: str | None, url: str | None, api_key: str | None
) -> Iterator[tuple["Client", dict[str, str]]]:
    """The running server, and the field of a request that says whose memories are meant."""
    from cluster.client import connect

    settings = settings_of(ctx).settings
    with connect(settings, url, api_key) as client:
        yield client, {"user_id": owner(settings, user, api_key)}


def owner(settings: "Settings", user: str | None, api_key: str | None) -> str:
    """Whose memories are meant: the one named, else the key's user as far as the settings know it."""
    if user:
        return user
    for entry in settings.api_keys:
        name, separator, key = entry.partition(":")
        if separator and api_key in (None, key):
            return name
        if api_key in (None, entry):
            break
    return "default"


def show_facts(stated: list[Json]) -> None:
    """A table of facts."""
    show_table(
        ["Subject", "Slot", "Value", "From", "To", "Memory"],
        (
            [
                fact["subject"],
                fact["slot"],
                fact["value"],
                local_time(fact["valid_from"]),
                local_time(fact["valid_to"]),
                fact["memory_id"],
            ]
            for fact in stated
        ),
    )


def show_history(changes: list[Json]) -> None:
    """A table of a memory's changes."""
    show_table(
        ["When", "Event", "Before", "After"],
        (
            [
                local_time(one["created_at"]),
                one["event"],
                brief(one["old_memory"] or ""),
                brief(one["new_memory"] or ""),
            ]
            for one in changes
        ),
    )


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def brief(text: str) -> str:
    """A text as one short line."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def sent(moment: str | None) -> str | None:
    """A moment as the server is told it: without an offset it is meant in the time of this place."""
    try:
        found = datetime.fromisoformat(moment or "")
    except ValueError:
        return moment
    return moment if found.tzinfo else found.astimezone().isoformat()


def local_time(moment: str | None) -> str:
    """A moment in the time of this place; empty for None."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""
