"""Keeps a space's full text and outbox in step with its rows, in the rows' own transaction. Knows no row."""

import sqlite3
from collections.abc import Sequence

from actors.memory import fulltext, outbox
from actors.memory.spaces import Space


def prepare(connection: sqlite3.Connection, space: Space, user: int) -> None:
    """Make the user's index if there is none."""
    if not fulltext.exists(connection, user, space):
        fulltext.create(connection, user, space)


def added(connection: sqlite3.Connection, space: Space, user: int, numbers: Sequence[int]) -> None:
    """Rows were inserted, or have got their new text."""
    fulltext.add(connection, user, numbers, space)
    outbox.added(connection, space, user, numbers)
    touch(connection, space, user)


def removed(connection: sqlite3.Connection, space: Space, user: int, numbers: Sequence[int]) -> None:
    """Rows are about to be deleted, or to change their text."""
    fulltext.remove(connection, user, numbers, space)
    outbox.removed(connection, space, user, numbers)
    touch(connection, space, user)


def scrub(connection: sqlite3.Connection, space: Space, user: int) -> None:
    """No word of what was removed is to stay in the index's pages."""
    fulltext.scrub(connection, user, space)


def drop(connection: sqlite3.Connection, space: Space, user: int) -> None:
    """The user has no row any more."""
    fulltext.drop(connection, user, space)


def touch(connection: sqlite3.Connection, space: Space, user: int) -> int:
    """What is held in memory of the user's rows is to be read again; the new generation."""
    (generation,) = connection.execute(
        f"UPDATE users SET {space.generation} = {space.generation} + 1 WHERE id = ? "
        f"RETURNING {space.generation}",
        (user,),
    ).fetchone()
    return int(generation)
