"""What ranking is given: the words' hits and scores, the cosines, and what may be answered with."""

from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory import fulltext, memory_columns
from actors.memory.memory_source import Limits, MemorySource
from actors.memory.records import Forgetting, NewMemory
from actors.memory.vectors import Matrices

TEXTS = ["tower harbour tower", "harbour", "a lighthouse by the harbour wall", "windmill", "tower bell"]


class Proposer:
    """Proposes what it was made with."""

    def __init__(self, proposed: list[int] | None) -> None:
        self.proposed = proposed

    def propose(self, user: int, vector: Any, limit: int, space: Any) -> list[int] | None:
        return self.proposed


async def source(keeper: Keeper, limits: Limits, limit: int = 100, proposer: Proposer | None = None) -> Any:
    """The source of user 1, outside a transaction: tests write nothing while they read."""

    def made(connection: Any) -> MemorySource:
        held = memory_columns.held(connection, Matrices(1 << 20), 1, limit)
        return MemorySource(connection, 1, held, limits, proposer)

    return await keeper._open.outside(made)


async def test_hits_and_scores_are_those_of_the_index(keeper: Keeper) -> None:
    for number, text in enumerate(TEXTS):
        await keeper.remember("u", f"e{number}", [NewMemory(text=text)], session="ba"[number % 2])
    found = await source(keeper, Limits(now=0))
    expected = await keeper._open.outside(
        lambda connection: {
            term: connection.execute(
                "SELECT rowid, -bm25(memory_text_1) FROM memory_text_1 WHERE memory_text_1 MATCH ?",
                (fulltext.expression([term]),),
            ).fetchall()
            for term in ("towers", "harbour", "lighthouse")
        }
    )
    for term, rows in expected.items():
        hits = found.hits([term])[term]
        assert hits.rows.tolist() == sorted(hits.rows.tolist())
        scores = dict(zip(found.columns.numbers[hits.rows].tolist(), hits.scores.tolist(), strict=True))
        assert scores == pytest.approx(dict(map(tuple, rows)), rel=1e-5)
    assert found.texts([0, 1]) == [TEXTS[0], TEXTS[2]]
    assert not len(found.hits(["zebra"])["zebra"].rows)


async def test_cosines_and_vectors_of_what_has_one(keeper: Keeper, vectors_of: Any) -> None:
    vectors = vectors_of(3)
    await keeper.remember("u", "e1", [NewMemory(text=text) for text in TEXTS[:3]], vectors, session="b")
    await keeper.remember("u", "e2", [NewMemory(text=TEXTS[3])], session="a")
    await keeper.remember("u", "e3", [NewMemory(text=TEXTS[4])], vectors_of(1, 8), session="b")
    found = await source(keeper, Limits(now=0))
    expected = [*(vectors @ vectors[1]), vectors_of(1, 8)[0] @ vectors[1]]
    cosines = found.cosines(vectors[1])
    assert cosines[[0, 1, 2, 3]] == pytest.approx(expected)
    assert np.isnan(cosines[4])
    assert np.array_equal(found.vectors([2, 4, 0]), [vectors[2], np.zeros(16), vectors[0]])


@pytest.mark.parametrize("proposed", [[1, 2, 77], None])
async def test_of_too_many_the_cache_proposes(keeper: Keeper, vectors_of: Any, proposed: Any) -> None:
    vectors = vectors_of(4)
    await keeper.remember("u", "e1", [NewMemory(text=text) for text in TEXTS[:4]], vectors)
    await keeper._open.write(lambda connection: connection.execute("DELETE FROM outbox"))
    await keeper.remember("u", "e2", [NewMemory(text=TEXTS[4])], vectors_of(1, 8))
    found = await source(keeper, Limits(now=0), limit=3, proposer=Proposer(proposed))
    expected = np.concatenate((vectors, vectors_of(1, 8))) @ vectors[1]
    if proposed:
        expected[[2, 3]] = expected[[0, 1, 4]].min()
    assert found.cosines(vectors[1]) == pytest.approx(expected)
    assert np.array_equal(found.vectors([3, 0]), vectors[[3, 0]])


async def test_what_may_be_answered_with(keeper: Keeper) -> None:
    async def put(event: str, session: str = "a", agent: str = "", **given: Any) -> str:
        new = [NewMemory(text=event, **{"said_at": 10.0, **given})]
        return (await keeper.remember("u", event, new, session=session, agent=agent))[0].id

    await put("plain")
    await put("later", said_at=20.0)
    await put("helper", session="b", agent="bot")
    await put("expires", expires_at=4e9)
    archived = await put("archived")
    await keeper.update_memory("u", "archive", archived, archived=True)

    async def may(**limits: Any) -> list[str]:
        found = await source(keeper, Limits(**{"now": 1e9, **limits}))
        return sorted(found.texts(np.flatnonzero(found.allowed).tolist()))

    assert await may() == ["expires", "helper", "later", "plain"]
    assert await may(archived=True) == ["archived", "expires", "helper", "later", "plain"]
    assert await may(as_of=10.0) == ["expires", "helper", "plain"]
    assert await may(as_of=9.9) == []
    assert await may(session="b") == await may(agent="bot") == ["helper"]
    assert await may(session="") == await may(agent="no such") == []
    assert await may(now=4e9) == ["helper", "later", "plain"]
    assert await may(now=4e9 - 0.001) == ["expires", "helper", "later", "plain"]


async def test_columns_newer_than_the_transaction_do_no_harm(keeper: Keeper, vectors_of: Any) -> None:
    written = await keeper.remember("u", "e1", [NewMemory(text=text) for text in TEXTS], vectors_of(5))
    matrices = Matrices(1 << 20)

    def both(connection: Any, newer: Any) -> MemorySource:
        held = memory_columns.held(connection, matrices, 1, 100)
        assert held is newer
        return MemorySource(connection, 1, held, Limits(now=0))

    await keeper.remember("u", "e2", [NewMemory(text="new harbour")], vectors_of(1, 9))
    await keeper.forget("u", "e3", Forgetting(ids=(written[1].id,)))
    newer = await keeper._open.read(memory_columns.held, matrices, 1, 100)

    def as_before(connection: Any) -> tuple[list[bool], list[int], list[str]]:
        connection.execute("DELETE FROM memory_vectors WHERE memory = 6")
        connection.execute("DELETE FROM memories WHERE number = 6")
        connection.execute("UPDATE users SET memory_generation = 1")
        found = both(connection, newer)
        return found.allowed.tolist(), found.hits(["harbour"])["harbour"].rows.tolist(), found.texts([4])

    allowed, hits, texts = await keeper._open.write(as_before)
    assert allowed == [True] * 4 + [False]
    assert hits == [0, 1, 4]
    assert texts == [""]


async def test_hits_that_are_kept_are_those_of_the_generation_read(keeper: Keeper) -> None:
    matrices = Matrices(1 << 20)

    def rows(connection: Any) -> list[int]:
        held = memory_columns.held(connection, matrices, 1, 100)
        found: list[int] = (
            MemorySource(connection, 1, held, Limits(now=0)).hits(["tower"])["tower"].rows.tolist()
        )
        return found

    def older(connection: Any) -> list[int]:
        held = memory_columns.held(connection, matrices, 1, 100)
        connection.execute("BEGIN")
        connection.execute("UPDATE users SET memory_generation = memory_generation - 1 WHERE id = 1")
        held.hits.clear()
        rows = MemorySource(connection, 1, held, Limits(now=0)).hits(["tower"])["tower"].rows.tolist()
        assert not held.hits
        connection.execute("ROLLBACK")
        return list(rows)

    await keeper.remember("u", "a", [NewMemory(text="tower")])
    assert await keeper._open.outside(rows) == await keeper._open.outside(rows) == [0]
    await keeper.remember("u", "b", [NewMemory(text="another tower")])
    assert await keeper._open.outside(rows) == [0, 1]
    assert await keeper._open.outside(older) == [0, 1]
