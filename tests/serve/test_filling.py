import asyncio
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from actors.embedder import Embedder
from actors.keeper import Keeper
from actors.messages import Gone, InvalidRequest, PalError
from serve import filling
from serve.filling import BATCH, Filling


class LengthEmbedder:
    """A text's vector is its length."""

    async def embed(self, texts: Sequence[str]) -> Any:
        return np.array([[len(text)] for text in texts], np.float32)


class Waiting:
    """Memories without vectors, of several users in turn."""

    def __init__(self, count: int) -> None:
        self.rows = [(f"user{row % 3}", f"mem_{row}", "x" * (row + 1)) for row in range(count)]
        self.vectors: dict[str, float] = {}
        self.asked = 0
        self.gone = 0
        self.error: PalError = Gone("the keeper is being restarted")
        self.deaf = False

    async def unembedded(self, limit: int = 256) -> list[tuple[str, str, str]]:
        self.asked += 1
        if self.gone:
            self.gone -= 1
            raise self.error
        return [row for row in self.rows if row[1] not in self.vectors][:limit]

    async def put_vectors(self, user: str, memory_ids: Sequence[str], vectors: Any) -> None:
        assert {row[0] for row in self.rows if row[1] in memory_ids} == {user}
        if not self.deaf:
            self.vectors |= dict(zip(memory_ids, vectors[:, 0].tolist(), strict=True))


def filling_of(keeper: Waiting) -> Filling:
    return Filling(cast(Embedder, LengthEmbedder()), cast(Keeper, keeper))


async def test_every_memory_gets_its_own_vector_and_then_nothing_is_asked() -> None:
    keeper = Waiting(2 * BATCH + 5)
    found = filling_of(keeper)
    found.wake()
    await found.settled()
    assert keeper.vectors == {row[1]: len(row[2]) for row in keeper.rows}
    asked = keeper.asked
    await asyncio.sleep(0.02)
    assert keeper.asked == asked
    keeper.rows.append(("user0", "mem_new", "xyz"))
    found.wake()
    await found.settled()
    assert keeper.vectors["mem_new"] == 3
    await found.close()


async def test_a_keeper_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "PATIENCE_S", 0)
    keeper = Waiting(3)
    keeper.gone = 2
    found = filling_of(keeper)
    found.wake()
    await found.settled()
    assert len(keeper.vectors) == 3
    await found.close()


async def test_what_cannot_be_stored_is_not_tried_again_before_there_is_news() -> None:
    keeper = Waiting(3)
    keeper.gone, keeper.error = 1, InvalidRequest("vectors of another width")
    found = filling_of(keeper)
    found.wake()
    await found.settled()
    assert (keeper.asked, keeper.vectors) == (1, {})
    found.wake()
    await found.settled()
    assert len(keeper.vectors) == 3
    await found.close()


async def test_a_batch_that_comes_back_ends_the_round() -> None:
    keeper = Waiting(3)
    keeper.deaf = True
    found = filling_of(keeper)
    found.wake()
    await found.settled()
    assert keeper.asked == 2
    await found.close()


async def test_it_closes_before_it_ever_ran() -> None:
    found = filling_of(Waiting(1))
    await found.close()


async def test_it_begins_by_itself_once_no_memory_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "GATHER_S", 0.01)
    keeper = Waiting(3)
    found = filling_of(keeper)
    found.wake()
    found.wake()
    await found._idle.wait()
    assert len(keeper.vectors) == 3
    await found.close()
