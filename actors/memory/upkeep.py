"""Keeps the vector cache equal to the database, in the background. Knows no Chroma call and no table."""

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from actors.memory import outbox
from actors.memory.index import IndexFailed, VectorIndex
from actors.memory.spaces import PASSAGES, SPACES, Space
from actors.memory.vectors import Vectors
from actors.memory.workers import Workers

P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)
NICE = 10
"""Niceness of the thread that feeds the cache."""
GATHER_S = 2.0
"""Changes are gathered until none has come for this long: one batch costs about as much as one vector, and
Chroma holds up answers while it takes one."""
GATHER_MOST_S = 60.0
"""Changes, or questions, that never pause hold the cache up no longer than this."""
START_S = 15.0
"""Loading Chroma takes seconds of CPU: it waits this long after a start, or until there is news for it."""
LULL_S = 2.0
"""Nor does it begin before nobody has read or written anything for this long."""
QUIET_S = 5.0
"""Without changes for this long, files that may hold vectors of deleted rows are written anew."""
RETRY_S = 60.0
"""After a failure the cache is filled anew once this long has passed, then twice as long, up to an hour."""
RENEW_LIMIT = 5_000
"""Vectors up to which that is done in a running server; a larger cache waits for the next start."""


class VectorCache:
    """The index, the task that feeds it from the outbox, and what to say of both."""

    def __init__(self, index: VectorIndex, workers: Workers) -> None:
        self._index = index
        self._workers = workers
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vector-cache", initializer=_step_back)
        self._changed = asyncio.Event()
        self._awaited = asyncio.Event()
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._off = False
        self.detail = "vector cache: not opened yet"
        """One line for health."""

    def start(self) -> None:
        """Begin in the background; returns at once."""
        self._task = asyncio.create_task(self._run(), name="vector-cache")

    def wake(self) -> None:
        """The outbox has new rows."""
        if self._task is not None and not self._task.done() and not self._off:
            self._settled.clear()
            self._changed.set()

    async def settled(self) -> None:
        """Wait until the cache has heard everything, or has failed and is not being tried again now."""
        self._awaited.set()
        self._changed.set()
        await self._settled.wait()

    def propose(self, user: int, vector: Vectors, limit: int, space: Space = PASSAGES) -> list[int] | None:
        """Near rows, of which some may be gone; None where the cache cannot answer now."""
        try:
            return self._index.propose(user, vector, limit, space)
        except IndexFailed as error:
            log.warning("this search reads the vectors in SQLite: %s", error)
            return None

    async def close(self) -> None:
        """Stop feeding and let go of the files; what was not heard stays in the outbox."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_index)
        self._thread.shutdown()

    async def _run(self) -> None:
        try:
            await self._wait_for_need()
            for pause in _pauses():
                try:
                    self._off = False
                    self._settled.clear()
                    await self._open()
                    await self._follow()
                except (IndexFailed, OSError) as error:
                    self._failed(error)
                await self._call(self._index.distrust)
                await asyncio.sleep(pause)
        except sqlite3.Error as error:
            self._failed(error)
        finally:
            self._settled.set()

    async def _follow(self) -> None:
        while True:
            await self._drain()
            self.detail = "vector cache: ok"
            self._settled.set()
            await self._wait()

    async def _wait_for_need(self) -> None:
        """With nothing stored nothing is opened, until something is or someone waits for the cache."""
        stored = bool(await self._workers.read(outbox.size))
        needed = stored or await self._workers.read(outbox.has_residue)
        with suppress(TimeoutError):
            await self._news(START_S if needed else None)
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_MOST_S):
                await self._lull()

    async def _open(self) -> None:
        identity = await self._workers.read(outbox.identity)
        if not await self._call(self._index.open, identity):
            await self._fill()
        elif await self._workers.read(outbox.has_residue):
            await self._renew()
        await self._drain()
        if not await self._equals_truth():
            log.warning("the vector cache differs from the database and is filled again")
            await self._renew()

    async def _wait(self) -> None:
        residue = await self._workers.read(outbox.has_residue)
        renewable = residue and await self._workers.read(outbox.size) <= RENEW_LIMIT
        try:
            await self._news(QUIET_S if renewable else None)
            await self._gather()
        except TimeoutError:
            await self._renew()
        self._changed.clear()

    async def _gather(self) -> None:
        """Let changes come together until all is quiet, unless someone waits for the cache."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_MOST_S):
                while not self._awaited.is_set():
                    self._changed.clear()
                    with suppress(TimeoutError):
                        await self._news(GATHER_S)
                        continue
                    if self._workers.idle_s >= LULL_S:
                        break
                    await self._lull()
        self._awaited.clear()

    async def _lull(self) -> None:
        """Wait until nobody has asked or written anything for a while, or someone waits for the cache."""
        while (left := LULL_S - self._workers.idle_s) > 0 and not self._awaited.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._awaited.wait()

    async def _news(self, seconds: float | None) -> None:
        """Wait for a change, else TimeoutError. `wait_for` would lose a `close` right after a change."""
        async with asyncio.timeout(seconds):
            await self._changed.wait()

    async def _renew(self) -> None:
        self._settled.clear()
        await self._call(self._index.wipe)
        await self._fill()

    async def _fill(self) -> None:
        self.detail = "vector cache: filling"
        await self._workers.write(outbox.refill)
        await self._call(self._index.seal, await self._workers.read(outbox.identity))

    async def _drain(self) -> None:
        while batch := await self._workers.read(outbox.next_batch):
            if batch.vectors is None:
                await self._call(self._index.remove, batch.user, batch.chunks.tolist(), batch.space)
            elif len(batch.chunks):
                ids = batch.chunks.tolist()
                await self._call(self._index.put, batch.user, ids, batch.vectors, batch.space)
            await self._workers.write(outbox.told, batch.rows)

    async def _equals_truth(self) -> bool:
        truth = await self._workers.read(outbox.told_truth)
        if truth is None:
            return True
        held = {space.name: await self._call(self._index.ids, space) for space in SPACES}
        return truth == held

    def _failed(self, error: Exception) -> None:
        log.warning("the vector cache is off, search reads the vectors in SQLite: %s", error)
        self.detail = f"vector cache: off ({error})"
        self._off = True
        self._settled.set()

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _close_index(self) -> None:
        try:
            self._index.close()
        except IndexFailed as error:
            self._failed(error)


def _pauses() -> Iterator[float]:
    pause = RETRY_S
    while True:
        yield pause
        pause = min(2 * pause, 3600.0)


def _step_back() -> None:
    """Whoever asks or writes goes before the cache, which is not needed for an answer."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
