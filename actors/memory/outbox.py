"""What the vector cache has yet to hear: rows written in the vectors' own transaction. Knows no Chroma."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory.spaces import PASSAGES, SPACES, Space
from actors.memory.vectors import Vectors, stored

BATCH = 1000
_BY_NAME = {space.name: space for space in SPACES}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one space, user and kind: vectors to put, shape (len(chunks), dimensions), or ids to remove."""

    rows: tuple[int, ...]
    space: Space
    user: int
    chunks: NDArray[np.int64]
    vectors: Vectors | None


def added(connection: sqlite3.Connection, space: Space, user: int, numbers: Sequence[int]) -> None:
    """Rows have new vectors.

    A row waits to be told once: its vector is read when it is told, and overwrites what is there.
    """
    rows = connection.execute(
        f"SELECT {space.vector_key} FROM {space.vectors} "
        f"WHERE {space.vector_key} IN (SELECT value FROM json_each(?)) ORDER BY {space.vector_key}",
        (json.dumps(list(numbers)),),
    )
    embedded = json.dumps([row[0] for row in rows.fetchall()])
    _unsay(connection, space, user, embedded)
    connection.execute(
        "INSERT INTO outbox (space, user, chunk, present) SELECT ?, ?, value, 1 FROM json_each(?)",
        (space.name, user, embedded),
    )


def removed(connection: sqlite3.Connection, space: Space, user: int, numbers: Sequence[int]) -> None:
    """Rows are about to be deleted, or to lose their vectors."""
    wanted = json.dumps(list(numbers))
    _unsay(connection, space, user, wanted)
    connection.execute(
        "INSERT INTO outbox (space, user, chunk, present) SELECT ?, ?, value, 0 FROM json_each(?)",
        (space.name, user, wanted),
    )
    connection.execute("INSERT OR REPLACE INTO facts VALUES ('residue', '1')")


def refill(connection: sqlite3.Connection) -> None:
    """The cache is empty: everything is to be put."""
    connection.execute("DELETE FROM outbox")
    connection.execute("DELETE FROM facts WHERE name = 'residue'")
    for space in SPACES:
        connection.execute(
            f"INSERT INTO outbox (space, user, chunk, present) SELECT ?, r.user, r.{space.key}, 1 "
            f"FROM {space.rows} r JOIN {space.vectors} v ON v.{space.vector_key} = r.{space.key} "
            f"ORDER BY r.user, r.{space.key}",
            (space.name,),
        )


def next_batch(connection: sqlite3.Connection) -> Batch | None:
    """The oldest rows that can be told in one call; None when the cache has heard everything."""
    rows = connection.execute(
        "SELECT id, space, user, chunk, present FROM outbox ORDER BY id LIMIT ?", (BATCH,)
    ).fetchall()
    if not rows:
        return None
    first = rows[0]
    kind = (first["space"], first["user"], first["present"])
    alike = [row for row in rows if (row["space"], row["user"], row["present"]) == kind]
    numbers = tuple(row["id"] for row in alike)
    chunks = [row["chunk"] for row in alike]
    space = _BY_NAME[first["space"]]
    if not first["present"]:
        return Batch(numbers, space, first["user"], np.array(chunks, dtype=np.int64), None)
    ids, vectors = stored(connection, first["user"], chunks, space=space)
    return Batch(numbers, space, first["user"], ids, vectors)


def told(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """The cache has heard these rows."""
    connection.executemany("DELETE FROM outbox WHERE id = ?", ((row,) for row in rows))


def has_residue(connection: sqlite3.Connection) -> bool:
    """Whether the cache's files may still hold vectors of deleted rows."""
    return connection.execute("SELECT 1 FROM facts WHERE name = 'residue'").fetchone() is not None


def identity(connection: sqlite3.Connection) -> str:
    """The name that this database was born with."""
    return str(connection.execute("SELECT value FROM facts WHERE name = 'identity'").fetchone()["value"])


def truth(connection: sqlite3.Connection, space: Space = PASSAGES) -> dict[int, set[int]]:
    """Every user's rows that have a vector: what the cache must hold once it has heard everything."""
    ids: dict[int, set[int]] = {}
    for row in connection.execute(
        f"SELECT r.user, r.{space.key} AS id FROM {space.rows} r "
        f"JOIN {space.vectors} v ON v.{space.vector_key} = r.{space.key}"
    ):
        ids.setdefault(row["user"], set()).add(row["id"])
    return ids


def told_truth(connection: sqlite3.Connection) -> dict[str, dict[int, set[int]]] | None:
    """The truth of each space by its name; None while the cache has not heard everything."""
    if connection.execute("SELECT 1 FROM outbox LIMIT 1").fetchone() is not None:
        return None
    return {space.name: truth(connection, space) for space in SPACES}


def size(connection: sqlite3.Connection) -> int:
    """How many vectors there are, of all spaces."""
    counts = (connection.execute(f"SELECT count(*) FROM {space.vectors}").fetchone()[0] for space in SPACES)
    return int(sum(counts))


def _unsay(connection: sqlite3.Connection, space: Space, user: int, numbers: str) -> None:
    """What waited to be told of these rows (as JSON) is not so any more."""
    connection.execute(
        "DELETE FROM outbox WHERE user = ? AND chunk IN (SELECT value FROM json_each(?)) AND space = ?",
        (user, numbers, space.name),
    )
