"""One user's memories as columns in memory, kept in step with SQLite row by row. Knows no words, no query."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.memory.source import Columns, Hits, Vectors
from actors.memory.spaces import MEMORIES
from actors.memory.vectors import Matrices, stacked

BLOCK = 10_000
"""Rows read at a time."""
GROWTH = 1.25
"""Room made for vectors that are yet to come, so that one more rarely copies them all."""

Places = NDArray[np.int64]
Rows = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Vectors in the order in which they came: `room[:used]`; later ones are put behind them in place."""

    room: Vectors
    used: int


@dataclass(frozen=True, slots=True)
class Names:
    """Numbers of names; only ever appended to, so that what was held before stays right."""

    numbers: dict[str, int] = field(default_factory=dict)

    def of(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The number of each name; new ones get the next."""
        return np.array([self.numbers.setdefault(name, len(self.numbers)) for name in names], np.int32)


@dataclass(frozen=True, slots=True)
class Held:
    """All of a user's memories as of a generation, by session and ordinal; arrays have shape (N,)."""

    generation: int
    removals: int
    sessions: Names
    agents: Names
    speakers: Names
    rows: Rows
    """number, session, ordinal, agent, speaker, words, said_at, importance, archived, merged, expires_at,
    vector (row of the matrix, -1: none)."""
    ordered: Places
    """All numbers, ascending."""
    by_number: Places
    """Where each of these stands."""
    matrix: Matrix | None
    """None: there are too many to hold."""
    columns: Columns
    """What ranking is given."""
    hits: dict[str, Hits] = field(default_factory=dict)
    """Words that were looked up in the index as of this generation."""

    @property
    def nbytes(self) -> int:
        """How much memory it takes."""
        room = 0 if self.matrix is None else self.matrix.room.nbytes
        return room + sum(column.nbytes for column in self.rows.values())

    def places(self, numbers: Places) -> tuple[Places, NDArray[np.bool_]]:
        """Where memories stand, those left out that are not held, and which of `numbers` are."""
        at = np.searchsorted(self.ordered, numbers)
        known = at < len(self.ordered)
        known[known] = self.ordered[at[known]] == numbers[known]
        return self.by_number[at[known]], known


def held(connection: sqlite3.Connection, matrices: Matrices, user: int, exact_limit: int) -> Held:
    """The user's memories as this connection's transaction sees them, or newer; only what is new is read.

    Of more than `exact_limit` memories no vectors are held.
    """
    generation, removals = connection.execute(
        "SELECT memory_generation, memory_removals FROM users WHERE id = ?", (user,)
    ).fetchone()

    def renewed(before: Held | None) -> Held:
        if before is not None and before.generation >= generation:
            return before
        after = before or _nothing()
        if before is not None and before.removals != removals:
            after = _without_removed(connection, user, after)
        after = _with_changed(connection, user, after)
        after = _with_vectors(connection, user, after, exact_limit)
        return replace(
            after,
            generation=generation,
            removals=removals,
            columns=_columns(after.rows, after.speakers),
            hits={},
        )

    return matrices.get(MEMORIES, user, renewed)


_TYPES: dict[str, type[np.generic]] = {
    "number": np.int64,
    "session": np.int32,
    "ordinal": np.int32,
    "agent": np.int32,
    "speaker": np.int32,
    "words": np.int32,
    "said_at": np.float64,
    "importance": np.float32,
    "archived": np.bool_,
    "merged": np.bool_,
    "expires_at": np.float64,
    "vector": np.int64,
}
_READ = """
SELECT number, session, ordinal, agent, speaker, words, valid_from, importance, archived_at IS NOT NULL,
    merged_into IS NOT NULL, ifnull(expires_at, 9e999), -1
FROM memories WHERE user = ? AND changed > ? ORDER BY number
"""


def _nothing() -> Held:
    rows: Rows = {name: np.zeros(0, kind) for name, kind in _TYPES.items()}
    none = np.zeros(0, np.int64)
    speakers = Names()
    return Held(-1, 0, Names(), Names(), speakers, rows, none, none, _empty(), _columns(rows, speakers))


def _columns(rows: Rows, speakers: Names) -> Columns:
    names = ("session", "ordinal", "speaker", "words", "said_at", "importance")
    columns = {name: rows[name] for name in names}
    return Columns(numbers=rows["number"], speakers=tuple(speakers.numbers), **columns)


def _without_removed(connection: sqlite3.Connection, user: int, before: Held) -> Held:
    (numbers,) = connection.execute(
        "SELECT group_concat(number) FROM memories WHERE user = ?", (user,)
    ).fetchone()
    there = np.isin(before.rows["number"], np.fromstring(numbers or "", dtype=np.int64, sep=","))
    gone = before.rows["vector"][~there]
    if before.matrix is not None:
        before.matrix.room[gone[gone >= 0]] = 0
    return _ordered(before, {name: column[there] for name, column in before.rows.items()})


def _with_changed(connection: sqlite3.Connection, user: int, before: Held) -> Held:
    """Read every row that was touched since, and put it in its place; vectors stay as they are held."""
    cursor = connection.cursor()
    cursor.row_factory = None
    cursor.execute(_READ, (user, before.generation))
    blocks: list[Rows] = []
    while block := cursor.fetchmany(BLOCK):
        blocks.append(_read(before, block))
    if not blocks:
        return before
    changed = {name: np.concatenate([block[name] for block in blocks]) for name in _TYPES}
    places, known = before.places(changed["number"])
    rows = before.rows
    if known.any():
        rows = _patched(rows, places, {name: column[known] for name, column in changed.items()})
    if not known.all():
        rows = _inserted(rows, {name: column[~known] for name, column in changed.items()})
    return _ordered(before, rows)


def _read(before: Held, block: Sequence[tuple[Any, ...]]) -> Rows:
    values = dict(zip(_TYPES, zip(*block, strict=True), strict=True))
    numbers = {
        "session": before.sessions.of(values["session"]),
        "agent": before.agents.of(values["agent"]),
        "speaker": before.speakers.of([name.lower() for name in values["speaker"]]),
    }
    return {name: np.array(numbers.get(name, values[name]), kind) for name, kind in _TYPES.items()}


def _patched(rows: Rows, places: Places, changed: Rows) -> Rows:
    patched = {name: column.copy() for name, column in rows.items() if name != "vector"}
    for name, column in patched.items():
        column[places] = changed[name]
    return {**patched, "vector": rows["vector"]}


def _inserted(rows: Rows, new: Rows) -> Rows:
    """New rows stand behind the older ones of their session and ordinal."""
    order = np.lexsort((new["number"], new["ordinal"], new["session"]))
    new = {name: column[order] for name, column in new.items()}
    places = np.searchsorted(_key(rows), _key(new), side="right")
    return {name: np.insert(column, places, new[name]) for name, column in rows.items()}


def _key(rows: Rows) -> NDArray[np.int64]:
    key: NDArray[np.int64] = (rows["session"].astype(np.int64) << 32) + rows["ordinal"]
    return key


def _ordered(before: Held, rows: Rows) -> Held:
    by_number = np.argsort(rows["number"], kind="stable")
    return replace(before, rows=rows, ordered=rows["number"][by_number], by_number=by_number)


def _with_vectors(connection: sqlite3.Connection, user: int, before: Held, exact_limit: int) -> Held:
    """Read the vectors of what was touched since; all, if they were not held and now may be."""
    rows = before.rows
    if len(rows["number"]) > exact_limit:
        rows = {**rows, "vector": np.full(len(rows["number"]), -1)}
        return replace(before, rows=rows, matrix=None)
    matrix, at, since = before.matrix, rows["vector"].copy(), before.generation
    if matrix is None:
        matrix, since = _empty(), -1
    cursor = connection.execute(
        "SELECT m.number, v.vector FROM memories m LEFT JOIN memory_vectors v ON v.memory = m.number "
        "WHERE m.user = ? AND m.changed > ? ORDER BY m.number",
        (user, since),
    )
    while block := cursor.fetchmany(BLOCK):
        places, _ = before.places(np.array([row[0] for row in block], np.int64))
        has = np.array([row[1] is not None for row in block], np.bool_)
        at[places[~has]] = -1
        vectors = stacked([row[1] for row in block if row[1] is not None])
        matrix, at[places[has]] = _put(matrix, vectors, at[places[has]])
    matrix, at = _compact(matrix, at)
    return replace(before, rows={**rows, "vector": at}, matrix=matrix)


def _empty() -> Matrix:
    return Matrix(np.zeros((0, 0), np.float32), 0)


def _put(matrix: Matrix, vectors: Vectors, at: NDArray[np.int64]) -> tuple[Matrix, NDArray[np.int64]]:
    """Put vectors where their row has one already, else behind the last; where each is now."""
    if not len(vectors):
        return matrix, at
    fresh = at < 0
    at = at.copy()
    at[fresh] = matrix.used + np.arange(fresh.sum())
    used = matrix.used + int(fresh.sum())
    room = matrix.room
    if used > len(room):
        room = np.zeros((int(used * GROWTH) + 16, vectors.shape[1]), np.float32)
        if matrix.used:
            room[: matrix.used] = matrix.room[: matrix.used]
    room[at] = vectors
    return Matrix(room, used), at


def _compact(matrix: Matrix, at: NDArray[np.int64]) -> tuple[Matrix, NDArray[np.int64]]:
    """Give back the room of vectors that are gone, once they are most."""
    kept = at >= 0
    if matrix.used <= 2 * int(kept.sum()) + 1000:
        return matrix, at
    room = matrix.room[at[kept]]
    moved = np.full(len(at), -1)
    moved[kept] = np.arange(len(room))
    return Matrix(room, len(room)), moved
