"""Work beside a reply, whose faults are no reply's: logged, never raised. Knows not what it does."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 256
"""Tasks that may run beside the requests before those that can be left undone are."""
LIMIT_S = 600.0
"""How long one of these may take."""

log = logging.getLogger(__name__)


async def attempted(work: Awaitable[T], what: str, limit_s: float) -> T | None:
    """The result of `work`; None where it failed in whatever way, or took too long, which is logged."""
    try:
        async with asyncio.timeout(limit_s):
            return await work
    except Exception:
        log.exception("%s failed", what)
        return None


class Background:
    """Tasks of one event loop, held until they end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `work` that handles its own errors; it goes on when its request has ended."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def attempt(self, work: Coroutine[Any, Any, object], what: str) -> None:
        """Begin `work` that may fail, or be left undone where too much waits."""
        if len(self._tasks) >= MOST:
            work.close()
            log.warning("%s was left undone: too much waits", what)
            return
        self.start(attempted(work, what, LIMIT_S))

    async def settled(self) -> None:
        """Wait until all that was begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop what still runs."""
        for task in self._tasks:
            task.cancel()
        await self.settled()
