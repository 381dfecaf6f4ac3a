"""Runs SQL off the event loop: one thread that writes, a few that read. Knows no table."""

import asyncio
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from actors.memory.database import connect, transaction

P = ParamSpec("P")
T = TypeVar("T")
READERS = 2


class Workers:
    """Connections to one database. Every call is one transaction: all writes queue, reads run beside them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="documents-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="documents-read")
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._used = -math.inf

    @property
    def idle_s(self) -> float:
        """Seconds since anybody read or wrote."""
        return time.monotonic() - self._used

    async def write(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in one write transaction; it is on disk when this returns, or undone if it raised.

        A caller that is cancelled does not stop a write that has begun.
        """

        def run() -> T:
            with transaction(self._connection()) as connection:
                return work(connection, *args, **kwargs)

        return await self._run(self._writer, run)

    async def read(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` on one unchanging view of the database."""

        def run() -> T:
            with transaction(self._connection(), "DEFERRED") as connection:
                return work(connection, *args, **kwargs)

        return await self._run(self._readers, run)

    async def outside(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` in the writing thread with no transaction around it."""

        def run() -> T:
            return work(self._connection(), *args, **kwargs)

        return await self._run(self._writer, run)

    async def _run(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        self._used = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        finally:
            self._used = time.monotonic()

    def close(self) -> None:
        """Wait for what is running, then close every connection."""
        self._writer.shutdown()
        self._readers.shutdown()
        for connection in self._opened:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._directory)
            self._local.connection = connection
            self._opened.append(connection)
        return connection
