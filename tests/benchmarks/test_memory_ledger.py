"""What the ledger finds wrong in a database that was meddled with."""

from pathlib import Path

import pytest

from actors.keeper import Keeper
from actors.memory.database import connect
from actors.memory.records import Forgetting
from benchmarks.kill_memory import do
from benchmarks.memory_ledger import Ledger, Operation, Wrongs, compare
from configs.schema import DocumentSettings

TOKENS = [f"tok{letter * 20}" for letter in "abcdefgh"]


def remember(number: int, *texts: str) -> Operation:
    return Operation(number=number, kind="remember", user="ann", texts=texts, embedded=True, session="s")


@pytest.fixture
async def filled(tmp_path: Path) -> tuple[Path, Ledger]:
    """Two memories, one of them edited, and one that was forgotten."""
    ledger = Ledger()
    keeper = Keeper(tmp_path, DocumentSettings(vector_cache=False))
    await keeper.start()

    async def done(operation: Operation) -> None:
        ledger.acknowledge(operation, await do(keeper, operation))

    await done(remember(0, f"I live in Varn {TOKENS[0]}.", f"We met {TOKENS[1]}."))
    await done(remember(1, f"A secret {TOKENS[2]}."))
    first, _, secret = ledger.held["ann"]
    text = (f"I live in Porto {TOKENS[3]}.",)
    await done(Operation(number=2, kind="update", user="ann", memory_id=first, texts=text, embedded=True))
    await done(Operation(number=3, kind="forget", user="ann", what=Forgetting(ids=(secret,))))
    await keeper.close()
    return tmp_path, ledger


def wrongs(directory: Path, ledger: Ledger, harm: str = "") -> dict[str, int]:
    connection = connect(directory)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.executescript(harm)
    found = Wrongs()
    compare(connection, ledger, found)
    connection.close()
    return {name: getattr(found, name) for name in Wrongs.__dataclass_fields__ if getattr(found, name)}


async def test_a_sound_database_has_nothing_wrong(filled: tuple[Path, Ledger]) -> None:
    assert wrongs(*filled) == {}


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        ("DELETE FROM memories WHERE text LIKE 'We met%'", "lost"),
        ("UPDATE memories SET id = id || 'x' WHERE text LIKE 'We met%'", "duplicates"),
        ("UPDATE memories SET text = 'else' WHERE text LIKE 'We met%'", "wrong_text"),
        ("DELETE FROM memory_vectors", "wrong_vectors"),
        ("UPDATE memory_vectors SET vector = zeroblob(128)", "wrong_vectors"),
        ("UPDATE memory_facts SET valid_to = 5", "wrong_facts"),
        ("DELETE FROM tombstones", "tombstones_lost"),
        ("UPDATE memories SET merged_into = number", "wrongly_merged"),
    ],
)
async def test_harm_is_found(filled: tuple[Path, Ledger], harm: str, name: str) -> None:
    assert name in wrongs(*filled, harm)


async def test_what_came_back_is_told_from_what_was_doubled(filled: tuple[Path, Ledger]) -> None:
    directory, ledger = filled
    (secret,) = ledger.forgotten["ann"]
    assert wrongs(directory, ledger, f"UPDATE memories SET id = '{secret}' WHERE text LIKE 'We met%'") == {
        "lost": 1,
        "came_back": 1,
    }


async def test_what_was_in_doubt_is_done_wholly_or_not(filled: tuple[Path, Ledger]) -> None:
    directory, ledger = filled
    ledger.doubtful = Operation(number=9, kind="forget", user="ann", what=Forgetting(session="s"))
    assert wrongs(directory, ledger) == {}
    found = wrongs(directory, ledger, "DELETE FROM memories WHERE text LIKE 'We met%'")
    assert (found["half_done"], found.get("lost")) == (1, None)
    (left,) = (text for text in ledger.living() if "Porto" in text)
    ledger.held["ann"] = {}
    ledger.doubtful = remember(9, left)
    assert "half_done" not in wrongs(directory, ledger, "UPDATE memories SET event_id = 'event-9'")
    ledger.doubtful = remember(9, left, "and more")
    assert wrongs(directory, ledger)["half_done"] == 1
