"""Which adapters an engine holds: the one unused for longest makes room for another. Knows no user."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors.engines.protocol import Engine


class Loaded:
    """Adapters of one engine, at most `most` of them. What began to load is loaded, whoever waits for it."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._most = max(most, 1)
        self._paths: dict[str, Path] = {}
        """In the order of their last use."""
        self._users: Counter[str] = Counter()
        self._changing = asyncio.Lock()
        self._left = asyncio.Condition()
        self._loads: set[asyncio.Task[None]] = set()

    async def load(self, name: str, path: Path) -> None:
        """Make an adapter available; the one unused for longest is given up where there is no room.

        One that is in use goes only if all are, after the last request that uses it.
        """
        async with self.held(name, path):
            return

    async def unload(self, name: str) -> None:
        """Forget an adapter once its requests have ended. Raises NotFound."""
        async with self._changing:
            await self._unload(name)

    @asynccontextmanager
    async def held(self, name: str | None, path: Path | None = None) -> AsyncIterator[None]:
        """The adapter stays while the block runs, loaded first where it is not there; None: no adapter."""
        if name is None:
            yield
            return
        await self._take(name, path)
        try:
            yield
        finally:
            await self._leave(name)

    async def _take(self, name: str, path: Path | None) -> None:
        """Count one more user of an adapter that is there: nothing comes between the two."""
        if path is None or self._paths.get(name) == path:
            self._count(name)
            return
        taking = asyncio.create_task(self._load_and_count(name, path))
        self._loads.add(taking)
        taking.add_done_callback(self._loads.discard)
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(lambda one: self._left_unused(one, name))
            raise

    async def _load_and_count(self, name: str, path: Path) -> None:
        async with self._changing:
            if self._paths.get(name) != path:
                if name not in self._paths and len(self._paths) >= self._most:
                    await self._unload(self._least_needed())
                await self._engine.load_adapter(name, path)
                self._paths[name] = path
            self._count(name)

    def _left_unused(self, taking: asyncio.Task[None], name: str) -> None:
        """Who asked for an adapter has gone before it was there."""
        if not taking.cancelled() and taking.exception() is None:
            leaving = asyncio.create_task(self._leave(name))
            self._loads.add(leaving)
            leaving.add_done_callback(self._loads.discard)

    async def _leave(self, name: str) -> None:
        self._users[name] -= 1
        if not self._users[name]:
            async with self._left:
                self._left.notify_all()

    async def _unload(self, name: str) -> None:
        self._paths.pop(name, None)
        async with self._left:
            await self._left.wait_for(lambda: not self._users[name])
        await self._engine.unload_adapter(name)

    def _least_needed(self) -> str:
        idle = [name for name in self._paths if not self._users[name]]
        return (idle or list(self._paths))[0]

    def _count(self, name: str) -> None:
        """One more user, and the last use is now."""
        self._users[name] += 1
        if name in self._paths:
            self._paths[name] = self._paths.pop(name)
