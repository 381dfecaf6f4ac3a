from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory.documents import DocumentStore
from actors.memory.vectors import Matrices
from actors.messages import InvalidRequest, NotFound


class Everything:
    """Proposes what it is told to."""

    def __init__(self, proposed: list[int] | None) -> None:
        self.proposed = proposed
        self.asked = 0

    def propose(self, user: int, vector: Any, limit: int, space: Any) -> list[int] | None:
        self.asked += 1
        return self.proposed


@pytest.fixture
def ask(keeper: Keeper):
    """Calls a DocumentStore method: `await ask("nearest", …, proposer=…, exact_limit=…)`."""

    async def call(method: str, *arguments: Any, **options: Any) -> Any:
        def work(connection: Any) -> Any:
            return getattr(DocumentStore(connection, Matrices(1 << 20), **options), method)(*arguments)

        return await keeper._workers.read(work)

    return call


async def test_above_the_limit_candidates_are_compared_exactly(
    keeper: Keeper, add: Any, ask: Any, vectors_of: Any
) -> None:
    await add("a.txt", "\n".join(f"line {number}" for number in range(30)))
    await keeper._workers.write(lambda connection: connection.execute("DELETE FROM outbox"))
    (query,) = vectors_of(1, 7)
    exact = await ask("nearest", "u", query, None, 5)
    proposer = Everything([chunk for chunk, _ in exact] + [1, 2, 999])
    assert await ask("nearest", "u", query, None, 5, proposer=proposer) == exact
    assert proposer.asked == 0
    near = await ask("nearest", "u", query, None, 5, proposer=proposer, exact_limit=10)
    assert proposer.asked == 1
    assert [chunk for chunk, _ in near] == [chunk for chunk, _ in exact]


async def test_what_the_cache_has_not_heard_of_is_still_found(
    keeper: Keeper, add: Any, ask: Any, vectors_of: Any
) -> None:
    await add("a.txt", "\n".join(f"line {number}" for number in range(30)))
    (query,) = vectors_of(1, 7)
    exact = await ask("nearest", "u", query, None, 5)
    assert await ask("nearest", "u", query, None, 5, proposer=Everything([]), exact_limit=10) == exact


@pytest.mark.parametrize("proposer", [None, Everything(None)])
async def test_without_a_cache_large_sets_are_read_block_by_block(
    keeper: Keeper, add: Any, ask: Any, vectors_of: Any, proposer: Any
) -> None:
    small = await add("a.txt", "one\ntwo")
    await add("b.txt", "\n".join(f"line {number}" for number in range(30)))
    store = await keeper.create_store("u", "s", "s", [small.id], {})
    (query,) = vectors_of(1, 7)
    for scope in (None, [store.id]):
        exact = await ask("nearest", "u", query, scope, 5)
        near = await ask("nearest", "u", query, scope, 5, proposer=proposer, exact_limit=10)
        assert [chunk for chunk, _ in near] == [chunk for chunk, _ in exact]


async def test_passages_come_in_the_order_asked_and_others_do_not(add: Any, ask: Any) -> None:
    await add("a.txt", "one\ntwo", user="u")
    await add("a.txt", "three", user="v")
    rows = await ask("chunks", "u", [2, 3, 1, 99])
    assert [row.text for row in rows] == ["two", "one"]
    assert [row.ordinal for row in rows] == [1, 0]
    assert list(await ask("cosines", "u", np.ones(16, np.float32), [1, 2, 3])) == [1, 2]
    assert list(await ask("embeddings", "v", [1, 2, 3])) == [3]
    assert await ask("chunks", "nobody", [1]) == []


async def test_scopes(keeper: Keeper, add: Any, ask: Any) -> None:
    one = await add("a.txt", "tower\nharbour")
    await add("b.txt", "tower")
    store = await keeper.create_store("u", "s", "s", [one.id], {})
    empty = await keeper.create_store("u", "e", "e", [], {})
    assert await ask("frequencies", "u", ["tower", "x"], None) == {"tower": 2, "x": 0}
    assert await ask("frequencies", "u", ["tower"], [store.id, store.id]) == {"tower": 1}
    assert [hit.chunk_id for hit in await ask("lexical", "u", ["tower"], [store.id], 9) if hit.text] == [1]
    assert await ask("lexical", "u", ["tower"], [empty.id], 9) == []
    assert await ask("nearest", "u", np.ones(16, np.float32), [empty.id], 9) == []
    assert await ask("chunk_count", "u", [store.id, empty.id]) == 2
    for method, arguments in (("lexical", (["tower"],)), ("nearest", (np.ones(16, np.float32),))):
        with pytest.raises(NotFound, match="vs_none"):
            await ask(method, "u", *arguments, [store.id, "vs_none"], 9)
        with pytest.raises(NotFound):
            await ask(method, "other", *arguments, [store.id], 9)
        with pytest.raises(InvalidRequest):
            await ask(method, "", *arguments, None, 9)
