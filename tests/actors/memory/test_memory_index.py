"""The memories' index follows their rows, in every table and in the vector cache, and can be made anew."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.keeper import Keeper
from actors.memory import fulltext, memory_index, outbox
from actors.memory.records import Forgetting, NewMemory
from actors.memory.spaces import MEMORIES, PASSAGES
from configs.schema import DocumentSettings


@pytest.fixture
async def cached(tmp_path: Path) -> AsyncIterator[Keeper]:
    """A keeper with the real vector cache."""
    opened = Keeper(tmp_path / "keeper", DocumentSettings())
    await opened.start()
    yield opened
    await opened.close()


async def remember(keeper: Keeper, event: str, texts: list[str], vectors: Any = None, user: str = "u") -> Any:
    return await keeper.remember(user, event, [NewMemory(text=text) for text in texts], vectors)


async def test_it_follows_what_is_added_edited_and_forgotten(keeper: Keeper) -> None:
    written = await remember(keeper, "e1", ["harbour tower", "harbour", "lighthouse"])
    assert await keeper._open.outside(memory_index.check, 1)
    await keeper.update_memory("u", "e2", written[0].id, text="windmill")
    assert await keeper._open.outside(memory_index.check, 1)
    assert (await keeper._open.read(fulltext.occurrences, 1, "harbour", MEMORIES)).tolist() == [2]
    assert (await keeper._open.read(fulltext.occurrences, 1, "windmills", MEMORIES)).tolist() == [1]
    await keeper.forget("u", "e3", Forgetting(ids=(written[1].id,)))
    assert await keeper._open.outside(memory_index.check, 1)
    assert not len(await keeper._open.read(fulltext.occurrences, 1, "harbour", MEMORIES))


async def test_the_last_memory_takes_the_index_with_it(keeper: Keeper) -> None:
    for event in ("e1", "e2"):
        await remember(keeper, event, ["harbour"])
        assert await keeper._open.read(fulltext.exists, 1, MEMORIES)
        await keeper.forget("u", f"forget-{event}", Forgetting(matching="harbour"))
        assert not await keeper._open.read(fulltext.exists, 1, MEMORIES)
        assert await keeper._open.outside(memory_index.check, 1)


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM memory_text_1 WHERE rowid = 1", "UPDATE memories SET text = 'x' WHERE number = 1"],
)
async def test_a_torn_index_is_seen_and_made_anew(keeper: Keeper, damage: str) -> None:
    await remember(keeper, "e1", ["alpha", "beta"])
    await keeper._open.write(lambda connection: connection.execute(damage))
    assert not await keeper._open.outside(memory_index.check, 1)
    await keeper._open.write(memory_index.rebuild, 1)
    assert await keeper._open.outside(memory_index.check, 1)


async def test_a_word_stands_once_for_each_time_it_is_said(keeper: Keeper) -> None:
    await remember(keeper, "e1", ["tower, tower and Towers", "no", "Café tower"])
    for term, rows in (
        ("tower", [1, 1, 1, 3]),
        ("CAFES", [3]),
        ("cafe tower", [3]),
        ("tower cafe", []),
        ("zebra", []),
        ("", []),
        ('"* OR', []),
    ):
        assert (await keeper._open.read(fulltext.occurrences, 1, term, MEMORIES)).tolist() == rows


async def test_the_outbox_tells_vectors_that_come_later(keeper: Keeper, vectors_of: Any) -> None:
    written = await remember(keeper, "e1", ["one", "two"])
    assert await keeper._open.read(outbox.next_batch) is None
    await keeper.put_vectors("u", [one.id for one in written], vectors_of(2))
    await keeper.put_vectors("u", [written[0].id], vectors_of(1, 5))
    batch = await keeper._open.read(outbox.next_batch)
    assert (batch.space, batch.user, batch.chunks.tolist()) == (MEMORIES, 1, [1, 2])
    assert len(batch.rows) == 2


async def test_an_edit_is_told_after_what_it_replaces(keeper: Keeper, vectors_of: Any) -> None:
    written = await remember(keeper, "e1", ["one", "two"], vectors_of(2))
    vectors = vectors_of(2, 7)
    await keeper.update_memory("u", "e2", written[0].id, text="new", vector=vectors[0])
    await keeper.update_memory("u", "e3", written[1].id, text="without a vector yet")
    held: dict[int, bytes] = {}
    while batch := await keeper._open.read(outbox.next_batch):
        for place, number in enumerate(batch.chunks.tolist()):
            held.pop(number, None)
            if batch.vectors is not None:
                held[number] = batch.vectors[place].tobytes()
        await keeper._open.write(outbox.told, batch.rows)
    assert held == {1: vectors[0].tobytes()}
    assert await keeper._open.read(outbox.told_truth) == {"passages": {}, "memories": {1: {1}}}


async def test_both_spaces_share_one_cache(cached: Keeper, adder: Any, vectors_of: Any) -> None:
    await adder(cached)("a.txt", "one\ntwo")
    written = await remember(cached, "e1", ["one", "two", "three"], vectors_of(3))
    await cached.cache_settled()
    index = cached._cache._index
    assert index.ids(PASSAGES) == {1: {1, 2}}
    assert index.ids(MEMORIES) == {1: {1, 2, 3}} == await cached._open.read(outbox.truth, MEMORIES)
    assert index.propose(1, vectors_of(3)[2], 1, MEMORIES) == [3]
    await cached.forget("u", "e2", Forgetting(ids=(written[2].id,)))
    await cached.cache_settled()
    assert index.ids(MEMORIES) == {1: {1, 2}}
    assert index.ids(PASSAGES) == {1: {1, 2}}


async def test_a_cache_that_lost_memories_is_filled_again(tmp_path: Path, vectors_of: Any) -> None:
    for round_ in range(2):
        keeper = Keeper(tmp_path, DocumentSettings())
        await keeper.start()
        if round_ == 0:
            await remember(keeper, "e1", ["one", "two"], vectors_of(2))
        await keeper.cache_settled()
        assert keeper._cache._index.ids(MEMORIES) == {1: {1, 2}}
        if round_ == 0:
            keeper._cache._index.remove(1, [2], MEMORIES)
        await keeper.close()
