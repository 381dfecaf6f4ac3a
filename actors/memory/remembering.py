"""Answers a question with memories: what ranking finds, less what faded, what holds before what it ended.

Writes nothing. Knows no feature's meaning, no grammar, no HTTP.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from actors.memory import decay, doubt, memories, memory_columns, recollection, standing, why, width
from actors.memory.ahead import Prepared, Waiting
from actors.memory.asking import Asked, asked
from actors.memory.aspects import worded
from actors.memory.currency import Placed, State, moved_up, ordered
from actors.memory.memory_source import Limits, MemorySource
from actors.memory.proposing import Proposer
from actors.memory.questions import content_words
from actors.memory.ranker import SHIPPED, Ranker
from actors.memory.recollection import Ahead, Ranked, recollect
from actors.memory.records import Memory, Recalled
from actors.memory.users import user_number
from actors.memory.vectors import Matrices, Vectors

EXACT_LIMIT = 200_000
"""Memories of one user up to which every vector is compared: at 384 dimensions 1.5 kB each. Ranking asks for
all of them, where documents are asked for the nearest alone."""
LONGEST_QUERY = 4_000
"""Characters of a question that are read."""
SPARE = 3
"""Memories ranked for each one wanted, so that those that faded can fall back behind others."""
EVIDENCE = ("own", "window", "session", "speaker")
"""Parts of a score of which one at least is not zero where words speak for a memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the searches of one keeper have in common."""

    matrices: Matrices
    proposer: Proposer | None = None
    half_life_days: float = 90.0
    decay_weight: float = 0.5
    ranker: Ranker = SHIPPED
    exact_limit: int = EXACT_LIMIT
    waiting: Waiting = field(default_factory=Waiting)


def search(
    connection: sqlite3.Connection,
    reading: Reading,
    user: str,
    query: str,
    vector: Vectors | None,
    limit: int,
    limits: Limits,
) -> list[Recalled]:
    """See MemoryKeeper.search_memories. Raises InvalidRequest for a vector of another width."""
    number = user_number(connection, user)
    if vector is not None:
        width.check_query(connection, vector)
    if number == 0 or limit < 1:
        return []
    source = _source(connection, reading, number, limits)
    if not source.allowed.any():
        return []
    query = query[:LONGEST_QUERY]
    prepared = _taken(reading, number, query, limits, source)
    ahead = None if prepared is None else prepared.ahead
    ranked = _ranked(source, reading, query, vector, limit, ahead)
    ranked = _faded(connection, source, reading, limits, ranked)
    questions = asked(query) if prepared is None else prepared.questions
    return _Answer(connection, number, source, query, questions, vector, limits).of(ranked, limit)


def look_up(connection: sqlite3.Connection, reading: Reading, user: str, query: str, limits: Limits) -> None:
    """See MemoryKeeper.look_up."""
    number = user_number(connection, user)
    if not number:
        return
    source = _source(connection, reading, number, limits)
    if not source.allowed.any():
        return
    query = query[:LONGEST_QUERY]
    ahead = recollection.look_up(source, query)
    source.hits(content_words(query)[: why.MOST_WORDS])
    worded(query, question=True)
    if source.current:
        reading.waiting.put(_key(number, query, limits), Prepared.of(source, asked(query), ahead))


def _taken(reading: Reading, user: int, query: str, limits: Limits, source: MemorySource) -> Prepared | None:
    prepared = reading.waiting.take(_key(user, query, limits))
    return prepared if prepared is not None and source.current and prepared.fits(source) else None


def _key(user: int, query: str, limits: Limits) -> object:
    return (user, query, replace(limits, now=0.0))


def _source(connection: sqlite3.Connection, reading: Reading, user: int, limits: Limits) -> MemorySource:
    held = memory_columns.held(connection, reading.matrices, user, reading.exact_limit)
    return MemorySource(connection, user, held, limits, reading.proposer)


def _ranked(
    source: MemorySource,
    reading: Reading,
    query: str,
    vector: Vectors | None,
    limit: int,
    ahead: Ahead | None,
) -> list[Ranked]:
    """What ranking finds; without words and vector the newest."""
    if vector is None and not content_words(query):
        rows = np.flatnonzero(source.allowed)
        newest = rows[np.argsort(-source.columns.said_at[rows], kind="stable")][:limit]
        return [Ranked(row=row, score=0.0, parts={}, hop=1) for row in newest.tolist()]
    found = recollect(source, query, vector, limit * SPARE, reading.ranker, ahead)
    if vector is not None and source.embedded:
        return found
    return [one for one in found if any(one.parts.get(name) for name in EVIDENCE)]


def _faded(
    connection: sqlite3.Connection,
    source: MemorySource,
    reading: Reading,
    limits: Limits,
    ranked: Sequence[Ranked],
) -> list[Ranked]:
    """Memories with what their lost strength costs them, best first."""
    numbers = source.columns.numbers[[one.row for one in ranked]].tolist()
    rows = connection.execute(
        "SELECT number, importance, uses, max(valid_from, ifnull(used_at, valid_from)) AS since, pinned "
        "FROM memories WHERE number IN (SELECT value FROM json_each(?))",
        (json.dumps(numbers),),
    ).fetchall()
    at = limits.now if limits.as_of is None else limits.as_of
    names = ("importance", "uses", "since", "pinned")
    importance, uses, since, pinned = (np.array([row[name] for row in rows]) for name in names)
    left = decay.strength(importance, uses, since, at, reading.half_life_days, pinned)
    strengths = dict(zip((row["number"] for row in rows), left.tolist(), strict=True))
    faded = [
        Ranked(
            row=one.row,
            score=one.score + reading.decay_weight * (strengths[number] - 1),
            parts={**one.parts, "strength": strengths[number]},
            hop=one.hop,
        )
        for one, number in zip(ranked, numbers, strict=True)
        if number in strengths
    ]
    return sorted(faded, key=lambda one: -one.score)


class _Answer:
    """One question's ranked memories made into records, those that hold first."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        user: int,
        source: MemorySource,
        query: str,
        questions: Sequence[Asked],
        vector: Vectors | None,
        limits: Limits,
    ) -> None:
        self._connection = connection
        self._user = user
        self._source = source
        self._query = query
        self._questions = questions
        self._vector = vector
        self._limits = limits

    def of(self, ranked: Sequence[Ranked], limit: int) -> list[Recalled]:
        """The `limit` best, of those that may be answered with."""
        numbers = self._source.columns.numbers
        by_number = {int(numbers[one.row]): one for one in ranked}
        scores = [(number, one.score) for number, one in by_number.items()][: max(limit, doubt.MOST)]
        questions = self._questions
        states = standing.states(
            self._connection, self._user, [number for number, _ in scores], questions, self._limits.as_of
        )
        placed = ordered(scores, states, questions)
        rows = self._source.allowed_rows([one.number for one in placed])
        kept = [one for one in placed if one.number in rows][: max(limit, doubt.MOST)]
        found = self._records([one.number for one in kept])
        kept = [one for one in kept if one.number in found]
        kept = self._newest_first(kept, rows, by_number, states, questions, found)[:limit]
        findings = [self._finding(one, rows[one.number], by_number, states, found, kept) for one in kept]
        reasons = why.reasons(self._source, self._query, findings)
        return [
            Recalled(memory=found[one.number], score=one.score, parts=finding.parts, why=reason)
            for one, finding, reason in zip(kept, findings, reasons, strict=True)
        ]

    def _newest_first(
        self,
        kept: Sequence[Placed],
        rows: Mapping[int, int],
        ranked: Mapping[int, Ranked],
        states: Sequence[State],
        questions: Sequence[Asked],
        found: Mapping[int, Memory],
    ) -> list[Placed]:
        """The same memories, the newest on the matter of the first before it; without vectors as they are."""
        if self._vector is None or not self._source.embedded or doubt.sure(states, questions):
            return list(kept)
        vectors = self._source.vectors([rows[one.number] for one in kept[: doubt.MOST]])
        told = [
            doubt.told(
                found[one.number],
                one.number,
                ranked[one.number].score if one.number in ranked else one.score,
                ranked[one.number].parts if one.number in ranked else {},
                float(vector @ self._vector),
                states,
                questions,
            )
            for one, vector in zip(kept, vectors, strict=False)
        ]
        first = doubt.newest_first(self._query, told, vectors)
        return moved_up(kept, first, "is the newest on what is asked")

    def _finding(
        self,
        one: Placed,
        row: int,
        ranked: Mapping[int, Ranked],
        states: Sequence[State],
        found: Mapping[int, Memory],
        kept: Sequence[Placed],
    ) -> why.Finding:
        known = ranked.get(one.number)
        return why.Finding(
            row=row,
            parts={} if known is None else known.parts,
            currency=one.why,
            states=[state for state in states if state.memory == one.number],
            seed=None if known is None or known.hop == 1 else self._seed(row, ranked, found, kept),
        )

    def _seed(
        self, row: int, ranked: Mapping[int, Ranked], found: Mapping[int, Memory], kept: Sequence[Placed]
    ) -> str | None:
        """The memory of the first round that is most like this one, among those answered with."""
        firsts = [one.number for one in kept if one.number in ranked and ranked[one.number].hop == 1]
        if not firsts:
            return None
        vectors = self._source.vectors([row, *(ranked[number].row for number in firsts)])
        return found[firsts[int(np.argmax(vectors[1:] @ vectors[0]))]].id

    def _records(self, numbers: Sequence[int]) -> dict[int, Memory]:
        found = memories.some(self._connection, self._user, numbers, self._limits.now)
        as_of = self._limits.as_of
        if as_of is None:
            return found
        return _as_they_were(self._connection, found, as_of)


def _as_they_were(
    connection: sqlite3.Connection, found: Mapping[int, Memory], as_of: float
) -> dict[int, Memory]:
    """Memories with the text they had, and as if what ended them later were not known."""
    edits = connection.execute(
        "SELECT memory, old FROM memory_changes WHERE event = 'UPDATE' AND at > ? "
        "AND memory IN (SELECT value FROM json_each(?)) ORDER BY number DESC",
        (as_of, json.dumps(list(found))),
    )
    texts = {row["memory"]: row["old"] for row in edits}
    then = {}
    for number, memory in found.items():
        if number in texts:
            memory = replace(memory, text=texts[number])
        if memory.valid_to is not None and memory.valid_to > as_of:
            memory = replace(memory, valid_to=None, superseded_by=None)
        then[number] = memory
    return then
