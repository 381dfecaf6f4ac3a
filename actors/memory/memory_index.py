"""Keeps the index of a user's memories in step with their rows, in the rows' own transaction.

Knows no text and no ranking. `changed` of a row is the generation that touched it last, so that what is held
in memory reads only what is new.
"""

import json
import sqlite3
from collections.abc import Sequence

from actors.memory import fulltext, indexing, outbox
from actors.memory.spaces import MEMORIES


def added(connection: sqlite3.Connection, user: int, numbers: Sequence[int]) -> None:
    """Memories were inserted, or have got their new text; with vectors, if they have any already."""
    indexing.prepare(connection, MEMORIES, user)
    indexing.added(connection, MEMORIES, user, numbers)
    (again,) = connection.execute(
        "SELECT count(*) FROM memories WHERE changed AND number IN (SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    ).fetchone()
    _count_removed(connection, user, -again)
    touched(connection, user, numbers)


def embedded(connection: sqlite3.Connection, user: int, numbers: Sequence[int]) -> None:
    """Memories have got vectors, or new ones."""
    outbox.added(connection, MEMORIES, user, numbers)
    touched(connection, user, numbers)


def removed(connection: sqlite3.Connection, user: int, numbers: Sequence[int]) -> None:
    """Memories are about to be deleted, or to change their text (`added` follows then)."""
    indexing.removed(connection, MEMORIES, user, numbers)
    _count_removed(connection, user, len(numbers))


def touched(connection: sqlite3.Connection, user: int, numbers: Sequence[int] | None = None) -> None:
    """Columns of these memories changed (importance, archive, expiry, ...); None: of any of the user's.

    Uses need not be told: they are read when they are needed.
    """
    generation = indexing.touch(connection, MEMORIES, user)
    among = "" if numbers is None else "AND number IN (SELECT value FROM json_each(?))"
    wanted = () if numbers is None else (json.dumps(list(numbers)),)
    connection.execute(f"UPDATE memories SET changed = ? WHERE user = ? {among}", (generation, user, *wanted))


def scrub(connection: sqlite3.Connection, user: int) -> None:
    """Memories were forgotten: no word of them stays in the index's pages."""
    indexing.scrub(connection, MEMORIES, user)


def drop(connection: sqlite3.Connection, user: int) -> None:
    """The user's last memory is gone."""
    indexing.drop(connection, MEMORIES, user)


def check(connection: sqlite3.Connection, user: int) -> bool:
    """Whether the index holds exactly what the user's memories say; outside a transaction of reads."""
    if not fulltext.exists(connection, user, MEMORIES):
        row = connection.execute("SELECT 1 FROM memories WHERE user = ? LIMIT 1", (user,)).fetchone()
        return row is None
    return fulltext.check(connection, user, MEMORIES)


def rebuild(connection: sqlite3.Connection, user: int) -> None:
    """Make the index anew from the memories, whatever it holds."""
    indexing.prepare(connection, MEMORIES, user)
    fulltext.rebuild(connection, user, MEMORIES)
    touched(connection, user)


def _count_removed(connection: sqlite3.Connection, user: int, count: int) -> None:
    """The same as before means that no row that was read is gone."""
    if count:
        connection.execute(
            "UPDATE users SET memory_removals = memory_removals + ? WHERE id = ?", (count, user)
        )
