"""What the vector cache has yet to hear: rows written in the passages' own transaction. Knows no Chroma."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory.vectors import Vectors, stored

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one user and one kind: vectors to put, shape (len(chunks), dimensions), or ids to remove."""

    rows: tuple[int, ...]
    user: int
    chunks: NDArray[np.int64]
    vectors: Vectors | None


def added(connection: sqlite3.Connection, user: int, file: int) -> None:
    """The file's passages are new."""
    connection.execute(
        "INSERT INTO outbox (user, chunk, present) SELECT ?, id, 1 FROM chunks WHERE file = ? ORDER BY id",
        (user, file),
    )


def removed(connection: sqlite3.Connection, user: int, file: int) -> None:
    """The file's passages are about to be deleted."""
    connection.execute(
        "DELETE FROM outbox WHERE user = ? AND chunk IN (SELECT id FROM chunks WHERE file = ?)", (user, file)
    )
    connection.execute(
        "INSERT INTO outbox (user, chunk, present) SELECT ?, id, 0 FROM chunks WHERE file = ? ORDER BY id",
        (user, file),
    )
    connection.execute("INSERT OR REPLACE INTO facts VALUES ('residue', '1')")


def refill(connection: sqlite3.Connection) -> None:
    """The cache is empty: everything is to be put."""
    connection.execute("DELETE FROM outbox")
    connection.execute("DELETE FROM facts WHERE name = 'residue'")
    connection.execute("INSERT INTO outbox (user, chunk, present) SELECT user, id, 1 FROM chunks ORDER BY id")


def next_batch(connection: sqlite3.Connection) -> Batch | None:
    """The oldest rows that can be told in one call; None when the cache has heard everything."""
    rows = connection.execute(
        "SELECT id, user, chunk, present FROM outbox ORDER BY id LIMIT ?", (BATCH,)
    ).fetchall()
    if not rows:
        return None
    kind = (rows[0]["user"], rows[0]["present"])
    alike = [row for row in rows if (row["user"], row["present"]) == kind]
    numbers = tuple(row["id"] for row in alike)
    chunks = [row["chunk"] for row in alike]
    if not rows[0]["present"]:
        return Batch(numbers, kind[0], np.array(chunks, dtype=np.int64), None)
    ids, vectors = stored(connection, kind[0], chunks)
    return Batch(numbers, kind[0], ids, vectors)


def told(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """The cache has heard these rows."""
    connection.executemany("DELETE FROM outbox WHERE id = ?", ((row,) for row in rows))


def has_residue(connection: sqlite3.Connection) -> bool:
    """Whether the cache's files may still hold vectors of deleted passages."""
    return connection.execute("SELECT 1 FROM facts WHERE name = 'residue'").fetchone() is not None


def identity(connection: sqlite3.Connection) -> str:
    """The name that this database was born with."""
    return str(connection.execute("SELECT value FROM facts WHERE name = 'identity'").fetchone()["value"])


def truth(connection: sqlite3.Connection) -> dict[int, set[int]]:
    """Every user's passage ids: what the cache must hold once it has heard everything."""
    ids: dict[int, set[int]] = {}
    for row in connection.execute("SELECT user, id FROM chunks"):
        ids.setdefault(row["user"], set()).add(row["id"])
    return ids
