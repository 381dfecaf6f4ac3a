"""A process that runs a keeper and is killed with -9; what can be said of the files it leaves.

Knows no operation: what is asked of the child, and what must come of it, is the measurement's.
"""

import asyncio
import json
import multiprocessing
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from actors.keeper import Keeper
from actors.memory import fulltext, outbox
from actors.memory.database import connect
from actors.memory.index import VectorIndex
from actors.memory.spaces import SPACES
from configs.schema import DocumentSettings

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["actors.keeper"])
Do = Callable[[Keeper, Any], Awaitable[Any]]
"""Carries out one request in the child and gives what is to be answered; a function of a module."""


class Victim:
    """The child: takes requests on a pipe, one after another, until it is killed."""

    def __init__(
        self, directory: Path, do: Do, *, cache: bool, settled: bool = True, fresh: bool = False
    ) -> None:
        """Start it, and wait until it is open and, where `settled`, its cache has caught up.

        `fresh`: by a new interpreter with all its imports, as a server is.
        """
        context = multiprocessing.get_context("spawn") if fresh else _CONTEXT
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_run, args=(directory, do, cache, settled, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        self.health: str = self._pipe.recv()
        """What the keeper said of itself then."""

    def ask(self, request: Any) -> Any:
        """The answer, once the request is carried out."""
        self._pipe.send(request)
        return self._pipe.recv()

    def begin(self, request: Any) -> None:
        """Send a request and wait for nothing."""
        self._pipe.send(request)

    def kill(self) -> list[Any]:
        """End it with SIGKILL; what it had answered of what was begun: nothing, or one answer."""
        self._process.kill()
        self._process.join()
        try:
            return [self._pipe.recv()]
        except (EOFError, ConnectionResetError):
            return []
        finally:
            self._pipe.close()


def _run(directory: Path, do: Do, cache: bool, settled: bool, pipe: "Connection[Any, Any]") -> None:
    asyncio.run(_serve(directory, do, cache, settled, pipe))


async def _serve(directory: Path, do: Do, cache: bool, settled: bool, pipe: "Connection[Any, Any]") -> None:
    keeper = Keeper(directory, DocumentSettings(vector_cache=cache))
    await keeper.start()
    if settled:
        await keeper.cache_settled()
    pipe.send((await keeper.health()).detail)
    while True:
        pipe.send(await do(keeper, await asyncio.to_thread(pipe.recv)))


def verdict(figures: Mapping[str, object], passed: bool, *, as_json: bool) -> int:
    """Print what was counted and whether it passed; the exit status."""
    if as_json:
        print(json.dumps({**figures, "passed": passed}))
    else:
        for name, value in figures.items():
            print(f"{name:18} {value:.1f}" if isinstance(value, float) else f"{name:18} {value}")
        print("passed" if passed else "FAILED")
    return 0 if passed else 1


def index_errors(connection: sqlite3.Connection) -> int:
    """Full-text indexes that differ from the rows they were made of."""
    users = [row["id"] for row in connection.execute("SELECT id FROM users").fetchall()]
    return sum(
        fulltext.exists(connection, user, space) and not fulltext.check(connection, user, space)
        for user in users
        for space in SPACES
    )


def cache_differences(directory: Path) -> int:
    """Vectors that are not both in the database and in the cache, once that was opened and has caught up."""

    async def catch_up() -> None:
        keeper = Keeper(directory, DocumentSettings())
        await keeper.start()
        await keeper.cache_settled()
        await keeper.close()

    asyncio.run(catch_up())
    connection = connect(directory)
    index = VectorIndex(directory / "vectors")
    try:
        index.open(outbox.identity(connection))
        return sum(_differences(outbox.truth(connection, space), index.ids(space)) for space in SPACES)
    finally:
        index.close()
        connection.close()


def _differences(truth: Mapping[int, set[int]], held: Mapping[int, set[int]]) -> int:
    return sum(len(truth.get(user, set()) ^ held.get(user, set())) for user in truth.keys() | held.keys())
