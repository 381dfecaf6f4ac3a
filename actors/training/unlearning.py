"""Tells whoever keeps trained models what was forgotten, until it is on disk there. Knows no model."""

from collections.abc import Sequence
from typing import Protocol

PAGE = 1000


class Remembers(Protocol):
    """Keepers, as far as they tell what is gone."""

    async def untold(self, limit: int = 1000) -> list[str]:
        """See Keeper.untold."""
        ...

    async def told(self, ids: Sequence[str]) -> None:
        """See Keeper.told."""
        ...


class Forgets(Protocol):
    """What keeps adapter versions."""

    async def forget(self, events: Sequence[str]) -> object:
        """See Lineage.forget; durable once it returns, and the same ids may come again."""
        ...


async def tell(keeper: Remembers, lineage: Forgets) -> int:
    """Hand over all that is untold; how many ids it was. Ended in between, the next call begins there."""
    count = 0
    while ids := await keeper.untold(PAGE):
        await lineage.forget(ids)
        await keeper.told(ids)
        count += len(ids)
    return count
