"""Exact nearest passages: each user's vectors as one matrix in memory, read from SQLite. Knows no text."""

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from actors.memory.spaces import PASSAGES, Space

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]
BLOCK = 10_000
"""Vectors read at a time where they are not held in memory."""
SPLIT_BYTES = 48 * 1024**2
"""Size from which a matrix is compared by two threads: reading it from memory is what takes the time."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """One user's vectors: `ids` ascending, shape (n,); `vectors` shape (n, dimensions)."""

    generation: int
    ids: Ids
    files: Ids
    vectors: Vectors

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        return self.vectors.nbytes


def products(vectors: Vectors, query: Vectors) -> Vectors:
    """The product of each vector, shape (n, dimensions), and the query."""
    if vectors.nbytes < SPLIT_BYTES:
        return vectors @ query
    half = len(vectors) // 2
    rest = _beside().submit(np.dot, vectors[half:], query)
    first = vectors[:half] @ query
    return np.concatenate((first, rest.result()))


@cache
def _beside() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="vectors")


class Sized(Protocol):
    """Something held in memory."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""


T = TypeVar("T", bound=Sized)


class Matrices:
    """What was read for the users who asked last, of any space, within a budget of bytes."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._held: OrderedDict[tuple[str, int], Sized] = OrderedDict()
        self._lock = threading.Lock()
        self._reading: dict[tuple[str, int], threading.Lock] = {}

    def of(self, connection: sqlite3.Connection, user: int) -> Matrix:
        """The user's passages as this connection's transaction sees them; only new vectors are read."""
        (generation,) = connection.execute("SELECT generation FROM users WHERE id = ?", (user,)).fetchone()

        def renewed(held: Matrix | None) -> Matrix:
            if held is None or held.generation != generation:
                return _refreshed(connection, user, generation, held)
            return held

        return self.get(PASSAGES, user, renewed)

    def get(self, space: Space, user: int, renewed: Callable[[T | None], T]) -> T:
        """What `renewed` makes of what is held of that space and user; always the same type for a space.

        One user's first reading takes a while, and keeps no other user waiting.
        """
        key = (space.name, user)
        with self._lock:
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            held = renewed(cast(T | None, self._held.get(key)))
            with self._lock:
                self._held[key] = held
                self._held.move_to_end(key)
                self._shrink()
        return held

    def _shrink(self) -> None:
        total = sum(held.nbytes for held in self._held.values())
        while total > self._budget and len(self._held) > 1:
            _, dropped = self._held.popitem(last=False)
            total -= dropped.nbytes


def nearest(
    matrix: Matrix, query: Vectors, files: Sequence[int] | None, limit: int
) -> list[tuple[int, float]]:
    """The `limit` passages with the highest cosine to `query` (shape (dimensions,)), best first."""
    ids, vectors = matrix.ids, matrix.vectors
    if not len(ids):
        return []
    if files is not None:
        inside = np.isin(matrix.files, np.asarray(files, dtype=np.int64))
        ids, vectors = ids[inside], vectors[inside]
    return best(ids, vectors @ query, limit)


def best(ids: Ids, scores: Vectors, limit: int) -> list[tuple[int, float]]:
    """The `limit` highest scores, best first, the lower id first among equals."""
    if len(ids) > limit:
        floor = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        keep = scores >= floor
        ids, scores = ids[keep], scores[keep]
    order = np.lexsort((ids, -scores))[:limit]
    return [(int(ids[i]), float(scores[i])) for i in order]


def nearest_streamed(
    connection: sqlite3.Connection,
    user: int,
    query: Vectors,
    files: Sequence[int] | None,
    limit: int,
    space: Space = PASSAGES,
) -> list[tuple[int, float]]:
    """What `nearest` gives, read from SQLite block by block: for more vectors than should be held."""
    condition, parameters = among(files)
    rows = connection.execute(
        f"SELECT v.{space.vector_key}, v.vector FROM {space.rows} c "
        f"JOIN {space.vectors} v ON v.{space.vector_key} = c.{space.key} "
        f"WHERE c.user = ?{condition} ORDER BY c.{space.key}",
        (user, *parameters),
    )
    ids: Ids = np.zeros(0, dtype=np.int64)
    scores: Vectors = np.zeros(0, dtype=np.float32)
    while block := rows.fetchmany(BLOCK):
        ids = np.concatenate((ids, np.array([row[0] for row in block], dtype=np.int64)))
        scores = np.concatenate((scores, stacked([row[1] for row in block]) @ query))
        kept = best(ids, scores, limit)
        ids = np.array([item[0] for item in kept], dtype=np.int64)
        scores = np.array([item[1] for item in kept], dtype=np.float32)
    return best(ids, scores, limit)


def stored(
    connection: sqlite3.Connection,
    user: int,
    numbers: Sequence[int],
    files: Sequence[int] | None = None,
    space: Space = PASSAGES,
) -> tuple[Ids, Vectors]:
    """Vectors of given rows of the user, from SQLite, by id; those unknown or in other files are left out."""
    condition, parameters = among(files)
    rows = connection.execute(
        f"SELECT v.{space.vector_key}, v.vector FROM {space.rows} c "
        f"JOIN {space.vectors} v ON v.{space.vector_key} = c.{space.key} "
        f"WHERE c.user = ? AND c.{space.key} IN (SELECT value FROM json_each(?)){condition} "
        f"ORDER BY c.{space.key}",
        (user, json.dumps([int(number) for number in numbers]), *parameters),
    ).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64), stacked([row[1] for row in rows])


def among(files: Sequence[int] | None) -> tuple[str, tuple[str, ...]]:
    """SQL that keeps the chunks `c` of given files, and its parameter; nothing where all files will do."""
    if files is None:
        return "", ()
    return " AND c.file IN (SELECT value FROM json_each(?))", (json.dumps(list(files)),)


def _refreshed(connection: sqlite3.Connection, user: int, generation: int, held: Matrix | None) -> Matrix:
    if held is not None and held.generation > generation:
        held = None
    rows = connection.execute("SELECT id, file FROM chunks WHERE user = ? ORDER BY id", (user,)).fetchall()
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    files = np.array([row[1] for row in rows], dtype=np.int64)
    known = ids[:0] if held is None else held.ids
    newest = int(known[-1]) if len(known) else 0
    fresh = connection.execute(
        "SELECT v.vector FROM chunks c JOIN vectors v ON v.chunk = c.id "
        "WHERE c.user = ? AND c.id > ? ORDER BY c.id",
        (user, newest),
    ).fetchall()
    vectors = stacked([row[0] for row in fresh])
    if held is not None and len(known):
        kept = held.vectors[np.isin(known, ids)]
        vectors = np.concatenate((kept, vectors)) if len(fresh) else kept
    return Matrix(generation, ids, files, vectors)


def stacked(blobs: Sequence[bytes]) -> Vectors:
    """Stored vectors as one array, shape (len(blobs), dimensions)."""
    if not blobs:
        return np.zeros((0, 0), dtype=np.float32)
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(len(blobs), -1)
