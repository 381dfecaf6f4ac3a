"""Keep-scores live and die with their passages, in stores old and new."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory import rebalance
from actors.memory.database import connect, transaction
from actors.memory.layout import opened
from actors.memory.migrations import MIGRATIONS
from actors.memory.partitions import directory_of
from actors.messages import ChunkText, KeepScores, ParsedDocument, Passage
from configs.schema import DocumentSettings

LIMITS = DocumentSettings(vector_cache=False)
VECTOR = np.ones(4, np.float32) / 2
KEEP = [KeepScores("p1", b"\x01\x02"), KeepScores("p1", b"\xff")]


async def put(keeper: Keeper, keep: Sequence[KeepScores] = (), name: str = "a.txt", user: str = "u") -> Any:
    text = "harbour dawn\ntower"
    document = ParsedDocument(
        filename=name, media_type="text/plain", text=text, content=text.encode(), sha256=f"{name}{keep}"
    )
    chunks = [ChunkText(0, 12, "harbour dawn"), ChunkText(13, 18, "tower")]
    return await keeper.add_file(
        user, f"{name}{keep}", document, "assistants", chunks, np.ones((2, 4)) / 2, keep
    )


async def found(keeper: Keeper, user: str = "u") -> dict[str, KeepScores | None]:
    passages: list[Passage] = await keeper.search(user, "harbour tower", VECTOR)
    return {one.text: one.keep for one in passages}


def rows(directory: Path) -> list[tuple[Any, ...]]:
    with closing(connect(directory)) as connection:
        return [
            tuple(row) for row in connection.execute("SELECT policy, scores FROM keep_scores ORDER BY chunk")
        ]


async def test_they_come_back_with_the_passages(keeper: Keeper) -> None:
    await put(keeper, KEEP)
    assert await found(keeper) == {"harbour dawn": KEEP[0], "tower": KEEP[1]}
    assert await keeper.unscored("p1") == []


async def test_missing_ones_are_found_and_filled(keeper: Keeper) -> None:
    await put(keeper)
    assert await found(keeper) == {"harbour dawn": None, "tower": None}
    waiting = await keeper.unscored("p1")
    assert sorted(text for _, _, text in waiting) == ["harbour dawn", "tower"]
    assert {user for user, _, _ in waiting} == {"u"}
    assert len(await keeper.unscored("p1", 1)) == 1
    scores = {"harbour dawn": KEEP[0], "tower": KEEP[1]}
    await keeper.put_scores("u", [chunk for _, chunk, _ in waiting], [scores[text] for _, _, text in waiting])
    assert await found(keeper) == scores
    assert await keeper.unscored("p1") == []
    assert len(await keeper.unscored("p2")) == 2


async def test_nobody_fills_anothers_passages_or_those_that_are_gone(keeper: Keeper) -> None:
    await put(keeper)
    ids = [chunk for _, chunk, _ in await keeper.unscored("p1")]
    await keeper.put_scores("v", ids, KEEP)
    await keeper.put_scores("u", [10**6], KEEP[:1])
    assert len(await keeper.unscored("p1")) == 2


@pytest.mark.parametrize("change", ["delete", "replace"])
async def test_they_go_with_their_document(tmp_path: Path, change: str) -> None:
    keeper = Keeper(tmp_path, LIMITS)
    await keeper.start()
    info = await put(keeper, KEEP)
    await put(keeper, [KeepScores("p1", b"b1"), KeepScores("p1", b"b2")], "b.txt")
    if change == "delete":
        await keeper.delete_file("u", info.id)
    else:
        await put(keeper, [], "a.txt")
    await keeper.close()
    assert rows(tmp_path) == [("p1", b"b1"), ("p1", b"b2")]


async def test_they_move_with_their_user(tmp_path: Path) -> None:
    with opened(tmp_path, 1) as directories:
        keeper = Keeper(directories[0], LIMITS)
        await keeper.start()
        for user in ("ann", "bob", "cem", "dee"):
            await put(keeper, KEEP, user=user)
        await keeper.close()
    assert rebalance.rebalance(tmp_path, 3).moved
    kept = [row for number in range(3) for row in rows(directory_of(tmp_path, number))]
    assert sorted(kept) == sorted([(one.policy, one.scores) for one in KEEP] * 4)


async def test_a_store_of_before_is_searched_and_filled(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, LIMITS)
    await keeper.start()
    await put(keeper)
    await keeper.close()
    _undo(tmp_path)
    await keeper.start()
    assert await found(keeper) == {"harbour dawn": None, "tower": None}
    waiting = await keeper.unscored("p1")
    await keeper.put_scores("u", [chunk for _, chunk, _ in waiting], KEEP)
    assert set((await found(keeper)).values()) == set(KEEP)
    await keeper.close()


def _undo(directory: Path) -> None:
    """The database as the version before keep-scores left it."""
    with closing(connect(directory)) as connection:
        with transaction(connection):
            connection.execute("DROP INDEX memories_by_event")
            connection.execute("ALTER TABLE memories DROP COLUMN training")
            for table in ("keep_scores", "consents", "feedback", "unlearning", "comparisons"):
                connection.execute(f"DROP TABLE {table}")
            connection.execute("PRAGMA user_version = 2")
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT * FROM keep_scores")
        assert len(MIGRATIONS) == 5, "undo the new one too"
