"""Carries rounds of the loop out, one after another, when asked and by the clock. Knows none of its steps."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from actors.identity import RANDOM, Identity
from actors.keeper import Keeper
from actors.lineage import Lineage
from actors.memory.database import DirectoryLock
from actors.messages import Health, PalError
from actors.training.launch import Launcher
from actors.training.rounds import Book, Round
from configs.schema import Settings

log = logging.getLogger(__name__)
AGAIN_S = 60.0
"""How long a round that failed for want of something waits before it is tried again."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a round works with; keeper and lineage may be the objects themselves or proxies."""

    settings: Settings
    keeper: Keeper
    lineage: Lineage
    launcher: Launcher
    book: Book
    identity: Identity = RANDOM


@dataclass(frozen=True, slots=True)
class Loop:
    """The steps of a round, and whom there may be one for."""

    turn: Callable[[Tools, str], Awaitable[Round | None]]
    scopes: Callable[[Tools], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStatus:
    """What the loop does now, and what it did last."""

    running: str | None
    """The scope that is learned for; empty is everybody's."""
    waiting: tuple[str, ...]
    next_at: float | None
    """When it begins by itself; None: only when asked."""
    fault: str
    """Why the last turn could not be carried out; it is tried again."""
    rounds: tuple[Round, ...]
    """Newest first."""


class Rounds:
    """The loop of a server: at most one round at a time, taken up again after any death."""

    def __init__(
        self,
        settings: Settings,
        keeper: Keeper,
        lineage: Lineage,
        launcher: Launcher,
        loop: Loop,
        identity: Identity = RANDOM,
    ) -> None:
        self._settings = settings
        self._loop = loop
        self._identity = identity
        self._book = Book(settings.home)
        self._tools = Tools(settings, keeper, lineage, launcher, self._book, identity)
        self._waiting: dict[str, None] = {}
        self._running: str | None = None
        self._fault = ""
        self._next: float | None = None
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._lock: DirectoryLock | None = None

    async def start(self) -> None:
        """Go on with what was begun; keeper and lineage are open by now. Raises Locked."""
        if self._worker is not None:
            return
        self._lock = await asyncio.to_thread(self._book.open)
        for round in await asyncio.to_thread(self._book.unfinished):
            self._waiting[round.scope] = None
        self._plan()
        self._worker = asyncio.create_task(self._work())

    async def ask(self, wanted: Sequence[str] | None = None) -> tuple[str, ...]:
        """Learn for these scopes, or for all that have something new. Returns what waits now."""
        for scope in await self._loop.scopes(self._tools) if wanted is None else wanted:
            self._waiting[scope] = None
        self._wake.set()
        return tuple(self._waiting)

    async def status(self, limit: int = 10) -> LoopStatus:
        """What it does, and its last rounds."""
        rounds = await asyncio.to_thread(self._book.rounds)
        return LoopStatus(
            running=self._running,
            waiting=tuple(self._waiting),
            next_at=self._next,
            fault=self._fault,
            rounds=tuple(rounds[::-1][:limit]),
        )

    async def schedule(self, hours: float) -> None:
        """Begin rounds every so many hours from now on, after a restart too; 0: only when asked."""
        await asyncio.to_thread(self._book.keep_hours, hours)
        self._plan()
        self._wake.set()

    async def health(self) -> Health:
        """Well while it can carry rounds out."""
        dead = self._worker is None or self._worker.done()
        return Health(ok=not dead, detail="the loop does not run" if dead else "")

    async def close(self) -> None:
        """Stop, to go on at the next start."""
        if self._worker is None or self._lock is None:
            return
        self._worker.cancel()
        await asyncio.wait({self._worker})
        for round in self._book.unfinished():
            if round.process is not None:
                await asyncio.to_thread(self._tools.launcher.stop, round.process)
                self._book.write(replace(round, process=None, launches=round.launches - 1))
        self._worker = None
        self._lock.release()

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            if not self._waiting:
                await self._sleep()
                continue
            scope = self._running = next(iter(self._waiting))
            try:
                await self._loop.turn(self._tools, scope)
                self._fault = ""
                self._waiting.pop(scope, None)
            except (PalError, OSError) as error:
                self._fault = str(error)
                log.warning("the loop for %r: %s", scope, error)
                self._waiting.pop(scope, None)
                self._again(scope)
            self._running = None

    def _again(self, scope: str) -> None:
        def ask() -> None:
            self._waiting[scope] = None
            self._wake.set()

        asyncio.get_running_loop().call_later(AGAIN_S, ask)

    async def _sleep(self) -> None:
        """Until somebody asks, or the hour has come."""
        left = None if self._next is None else max(0.0, self._next - self._identity.now())
        try:
            await asyncio.wait_for(self._wake.wait(), left)
        except TimeoutError:
            self._plan()
            await self.ask()

    def _plan(self) -> None:
        kept = self._book.hours()
        hours = self._settings.loop.every_hours if kept is None else kept
        self._next = self._identity.now() + hours * 3600 if hours else None
