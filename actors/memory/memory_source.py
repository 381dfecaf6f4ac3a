"""Ranking's Source over a user's memories: columns in memory, words and texts in SQLite. Knows no ranking."""

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory import fulltext, vectors
from actors.memory.memory_columns import Held
from actors.memory.proposing import Proposer, nearest_of_many
from actors.memory.source import Columns, Hits, Vectors
from actors.memory.spaces import MEMORIES

K1 = 1.2
B = 0.75
"""BM25's constants, those of FTS5."""
KNOWN_TERMS = 100
"""Words of which it is kept at hand where they stand, until the user's memories change."""
PROPOSED = 400
"""Memories whose cosines are known where there are too many to compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which of a user's memories may be answered with. None: any session, agent, time."""

    now: float
    session: str | None = None
    agent: str | None = None
    as_of: float | None = None
    archived: bool = False


class MemorySource:
    """Reads on one connection within one read transaction. See `source.Source`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        user: int,
        held: Held,
        limits: Limits,
        proposer: Proposer | None = None,
    ) -> None:
        self._connection = connection
        self._user = user
        self._held = held
        self._proposer = proposer
        self._columns = held.columns
        self._allowed = _allowed(connection, user, held, limits)
        self.current = _generation(connection, user) == held.generation
        """Whether the columns are of this very transaction; else they are newer."""
        self._hits = held.hits if self.current else {}
        self._usual = max(float(self._columns.words.mean()), 1.0) if len(self._columns.words) else 1.0

    @property
    def columns(self) -> Columns:
        """As in Source."""
        return self._columns

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """As in Source."""
        return self._allowed

    @property
    def embedded(self) -> bool:
        """Whether any memory has a vector that questions are compared with."""
        return self._held.matrix is None or bool((self._held.rows["vector"] >= 0).any())

    def hits(self, terms: Sequence[str]) -> dict[str, Hits]:
        """As in Source; the words of a term of several count once a memory."""
        if len(self._hits) > KNOWN_TERMS:
            self._hits.clear()
        found = {term: self._hits[term] for term in terms if term in self._hits}
        unknown = [term for term in terms if term not in found]
        fulltext.spelt(unknown)
        found |= {term: self._found(term) for term in unknown}
        self._hits |= found
        return {term: found[term] for term in terms}

    def cosines(self, vector: Vectors) -> Vectors:
        """As in Source; where there are too many to compare, all but the nearest have the least of theirs."""
        matrix, at = self._held.matrix, self._held.rows["vector"]
        cosines = np.full(len(at), np.nan, np.float32)
        if matrix is None:
            near = dict(
                nearest_of_many(self._connection, self._proposer, MEMORIES, self._user, vector, PROPOSED)
            )
            numbers = np.array(sorted(near), np.int64)
            places, known = self._held.places(numbers)
            cosines[:] = min(near.values(), default=np.nan)
            cosines[places] = np.array([near[number] for number in numbers[known].tolist()], np.float32)
        elif matrix.used:
            has = at >= 0
            cosines[has] = vectors.products(matrix.room[: matrix.used], vector)[at[has]]
        return cosines

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """As in Source."""
        places = np.asarray(rows, np.int64)
        matrix = self._held.matrix
        if matrix is None:
            return self._stored(places)
        found = np.zeros((len(places), max(matrix.room.shape[1], 1)), np.float32)
        at = self._held.rows["vector"][places]
        if matrix.used:
            found[at >= 0] = matrix.room[at[at >= 0]]
        return found

    def texts(self, rows: Sequence[int]) -> list[str]:
        """As in Source; empty for one that was forgotten since."""
        numbers = self._columns.numbers[np.asarray(rows, np.int64)].tolist()
        cursor = self._connection.cursor()
        cursor.row_factory = None
        cursor.execute(
            "SELECT number, text FROM memories "
            "WHERE +user = ? AND number IN (SELECT value FROM json_each(?))",
            (self._user, json.dumps(numbers)),
        )
        texts = dict(cursor.fetchall())
        return [texts.get(number, "") for number in numbers]

    def allowed_rows(self, numbers: Sequence[int]) -> dict[int, int]:
        """Where memories stand in the columns, of those that may be answered with."""
        wanted = np.array(sorted(numbers), np.int64)
        rows, known = self._held.places(wanted)
        may = self._allowed[rows]
        return dict(zip(wanted[known][may].tolist(), rows[may].tolist(), strict=True))

    def _found(self, term: str) -> Hits:
        standing = fulltext.occurrences(self._connection, self._user, term, MEMORIES)
        begins = np.ones(len(standing) + 1, np.bool_)
        begins[1:-1] = standing[1:] != standing[:-1]
        borders = np.flatnonzero(begins)
        first, counts = borders[:-1], borders[1:] - borders[:-1]
        rows, known = self._held.places(standing[first])
        order = np.argsort(rows, kind="stable")
        rows, times = rows[order], counts[known][order].astype(np.float32)
        return Hits(rows, self._bm25(times, rows))

    def _bm25(self, times: Vectors, rows: NDArray[np.int64]) -> Vectors:
        """BM25 of one term that stands `times` in each of `rows`."""
        size, held = len(self._columns.words), len(rows)
        rarity = max(math.log((size - held + 0.5) / (held + 0.5)), 1e-6)
        length = self._columns.words[rows] / self._usual
        scores = rarity * times * (K1 + 1) / (times + K1 * (1 - B + B * length))
        return scores.astype(np.float32)

    def _stored(self, places: NDArray[np.int64]) -> Vectors:
        numbers = self._columns.numbers[places]
        ids, stored = vectors.stored(self._connection, self._user, numbers.tolist(), space=MEMORIES)
        found = np.zeros((len(places), max(stored.shape[1], 1)), np.float32)
        if len(ids):
            at = np.minimum(np.searchsorted(ids, numbers), len(ids) - 1)
            has = ids[at] == numbers
            found[has] = stored[at[has]]
        return found


def _generation(connection: sqlite3.Connection, user: int) -> int:
    (generation,) = connection.execute("SELECT memory_generation FROM users WHERE id = ?", (user,)).fetchone()
    return int(generation)


def _allowed(connection: sqlite3.Connection, user: int, held: Held, limits: Limits) -> NDArray[np.bool_]:
    rows = held.rows
    (newest,) = connection.execute("SELECT max(number) FROM memories WHERE user = ?", (user,)).fetchone()
    allowed = ~rows["merged"]
    if limits.session is not None:
        allowed[_merged_elsewhere(connection, user, held, limits.session)] = True
    allowed &= (rows["expires_at"] > limits.now) & (rows["number"] <= (newest or 0))
    if not limits.archived:
        allowed &= ~rows["archived"]
    if limits.as_of is not None:
        allowed &= rows["said_at"] <= limits.as_of
    if limits.session is not None:
        allowed &= rows["session"] == held.sessions.numbers.get(limits.session, -1)
    if limits.agent is not None:
        allowed &= rows["agent"] == held.agents.numbers.get(limits.agent, -1)
    return allowed


def _merged_elsewhere(
    connection: sqlite3.Connection, user: int, held: Held, session: str
) -> NDArray[np.int64]:
    """Places of a session's notes that were merged into notes of other sessions: in this one they stand."""
    rows = connection.execute(
        "SELECT m.number FROM memories m JOIN memories t ON t.number = m.merged_into "
        "WHERE m.user = ? AND m.session = ? AND t.session <> m.session ORDER BY m.number",
        (user, session),
    )
    places, _ = held.places(np.array([row["number"] for row in rows], np.int64))
    return places
