"""Which adapters an engine holds: the one unused for longest makes room for another. Knows no user."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from actors.engines.protocol import Engine

T = TypeVar("T")


class Loaded:
    """Adapters of one engine, at most `most` of them."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._most = max(most, 1)
        self._paths: dict[str, Path] = {}
        """In the order of their last use."""
        self._users: Counter[str] = Counter()
        self._changing = asyncio.Lock()

    async def load(self, name: str, path: Path) -> None:
        """Make an adapter available; one that nobody uses is given up for it where there is no room."""
        if self._paths.get(name) == path:
            self._touch(name)
            return
        async with self._changing:
            if name not in self._paths and len(self._paths) >= self._most:
                await self._unload(self._least_needed())
            await self._engine.load_adapter(name, path)
            self._paths[name] = path
            self._touch(name)

    async def unload(self, name: str) -> None:
        """Forget an adapter once its requests have ended. Raises NotFound."""
        async with self._changing:
            await self._unload(name)

    async def watched(self, source: AsyncGenerator[T], name: str) -> AsyncGenerator[T]:
        """The same stream; while it runs, its adapter is given up last."""
        self._users[name] += 1
        try:
            async with aclosing(source):
                async for item in source:
                    yield item
        finally:
            self._users[name] -= 1

    async def _unload(self, name: str) -> None:
        self._paths.pop(name, None)
        await self._engine.unload_adapter(name)

    def _least_needed(self) -> str:
        idle = [name for name in self._paths if not self._users[name]]
        return (idle or list(self._paths))[0]

    def _touch(self, name: str) -> None:
        if name in self._paths:
            self._paths[name] = self._paths.pop(name)
