"""Nearest rows where they are too many to compare: the vector cache proposes. Knows no Chroma."""

import sqlite3
from collections.abc import Sequence
from typing import Protocol

from actors.memory import vectors
from actors.memory.spaces import PASSAGES, Space
from actors.memory.vectors import Vectors

EXACT_LIMIT = 50_000
"""Rows up to which every vector is compared: exact, about 10 ms, and 77 MB at 384 dimensions. Beyond it
the vector cache proposes candidates."""
PENDING_LIMIT = 10_000
"""Rows the vector cache has not heard of that are compared one by one; with more it is passed over."""
OVERFETCH = 4
"""Candidates asked of the vector cache for each one wanted."""


class Proposer(Protocol):
    """An approximate index that can propose near rows."""

    def propose(self, user: int, vector: Vectors, limit: int, space: Space = PASSAGES) -> list[int] | None:
        """Row ids near to a vector, of which some may be gone; None where it cannot answer now."""


def nearest_of_many(
    connection: sqlite3.Connection,
    proposer: Proposer | None,
    space: Space,
    user: int,
    vector: Vectors,
    limit: int,
    files: Sequence[int] | None = None,
) -> list[tuple[int, float]]:
    """The `limit` rows of about the highest cosine, best first; all are read where no cache can propose."""
    found = None
    if proposer is not None:
        found = _proposed(connection, proposer, space, user, vector, limit, files)
    if found is None:
        found = vectors.nearest_streamed(connection, user, vector, files, limit, space)
    return found


def _proposed(
    connection: sqlite3.Connection,
    proposer: Proposer,
    space: Space,
    user: int,
    vector: Vectors,
    limit: int,
    files: Sequence[int] | None,
) -> list[tuple[int, float]] | None:
    proposed = proposer.propose(user, vector, limit * OVERFETCH, space)
    if proposed is None:
        return None
    pending = connection.execute(
        "SELECT chunk FROM outbox WHERE user = ? AND present AND space = ? LIMIT ?",
        (user, space.name, PENDING_LIMIT + 1),
    ).fetchall()
    if len(pending) > PENDING_LIMIT:
        return None
    candidates = sorted({*proposed, *(row["chunk"] for row in pending)})
    ids, rows = vectors.stored(connection, user, candidates, files, space)
    if files is not None and len(ids) < limit:
        return None
    return vectors.best(ids, rows @ vector, limit) if len(ids) else None
