"""All partitions' keepers as one: each call goes to its user's. No actor itself; it holds no file."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeVar, cast

from actors.keeper import Keeper
from actors.memory.partitions import partition_of
from actors.messages import Health

T = TypeVar("T")


def routed(keepers: Sequence[Keeper]) -> Keeper:
    """What stands for all of them, typed as one: `keepers[i]` holds partition i of so many."""
    return keepers[0] if len(keepers) == 1 else cast(Keeper, Keepers(keepers))


class Keepers:
    """The public methods of a Keeper, over several: objects of this process, or proxies.

    A method whose first parameter is the user goes to that user's keeper; the others ask all of them.
    """

    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self._keepers = tuple(keepers)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in _by_user():
            raise AttributeError(name)
        return functools.partial(self._call, name)

    def __reduce__(self) -> Any:
        return (Keepers, (self._keepers,))

    async def start(self) -> None:
        """Open every partition. Raises what the first one raised that could not be, once all have tried."""
        await self._all(lambda keeper: keeper.start())

    async def close(self) -> None:
        """Flush and release every partition."""
        await self._all(lambda keeper: keeper.close())

    async def cache_settled(self) -> None:
        """Wait until every vector cache has heard of everything, or is off."""
        await self._all(lambda keeper: keeper.cache_settled())

    async def health(self) -> Health:
        """Whether every partition answers; detail names those that differ from the rest."""
        found = await self._all(lambda keeper: keeper.health())
        details = dict.fromkeys(health.detail for health in found)
        if len(details) > 1:
            details = dict.fromkeys(f"partition {i}: {health.detail}" for i, health in enumerate(found))
        return Health(ok=all(health.ok for health in found), detail="; ".join(details))

    async def unembedded(self, limit: int = 256) -> list[tuple[str, str, str]]:
        """As Keeper's, a memory of each partition in turn."""
        found = await self._all(lambda keeper: keeper.unembedded(limit))
        return [one for one in chain.from_iterable(zip_longest(*found)) if one is not None][:limit]

    async def unscored(self, policy: str, limit: int = 256) -> list[tuple[str, int, str]]:
        """As Keeper's, a passage of each partition in turn."""
        found = await self._all(lambda keeper: keeper.unscored(policy, limit))
        return [one for one in chain.from_iterable(zip_longest(*found)) if one is not None][:limit]

    async def memory_users(self) -> list[str]:
        """The users of all partitions, by name."""
        return sorted(chain.from_iterable(await self._all(lambda keeper: keeper.memory_users())))

    async def learners(self) -> list[str]:
        """The users of all partitions of whom something may be learned, by name."""
        return sorted(chain.from_iterable(await self._all(lambda keeper: keeper.learners())))

    async def untold(self, limit: int = 1000) -> list[str]:
        """As Keeper's, an id of each partition in turn."""
        found = await self._all(lambda keeper: keeper.untold(limit))
        rows = chain.from_iterable(zip_longest(*found))
        return list(dict.fromkeys(one for one in rows if one is not None))[:limit]

    async def told(self, ids: Sequence[str]) -> None:
        """As Keeper's, in every partition."""
        await self._all(lambda keeper: keeper.told(ids))

    async def _call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        user: str = args[0] if args else kwargs["user"]
        keeper = self._keepers[partition_of(user, len(self._keepers))]
        return await getattr(keeper, name)(*args, **kwargs)

    async def _all(self, call: Callable[[Keeper], Awaitable[T]]) -> list[T]:
        found = await asyncio.gather(*map(call, self._keepers), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return cast(list[T], found)


@functools.cache
def _by_user() -> frozenset[str]:
    """The methods of a Keeper that take the user first."""
    methods = inspect.getmembers(Keeper, inspect.isfunction)
    return frozenset(
        name
        for name, method in methods
        if not name.startswith("_") and list(inspect.signature(method).parameters)[1:2] == ["user"]
    )
