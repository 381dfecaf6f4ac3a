"""What a question says of each of a user's memories by words, vector and neighbours. Knows no weights.

A memory that may not be answered with says nothing: its words, vector and text touch no score of another's,
only its place does (a neighbour of it does not open the session), and its length the average of all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from actors.memory.dated import Date, dates, nearness
from actors.memory.questions import content_words
from actors.memory.source import Columns, Hits, Source, Vectors
from actors.memory.words import stem, tokens

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

MOST_TERMS = 24
"""Content words of a question that are looked up, the first ones."""
REACH = 2
"""Turns before and after a memory that belong to its window."""
KERNEL = (1.0, 0.6, 0.35)
"""How much a word counts in the memory itself, one turn away, two turns away."""
COSINE_KERNEL = (0.4, 0.2, 0.1)
HALF = 0.8
"""Spread frequency of a word in a window at which it counts half of what it can."""
MOST_FREQUENT = 2.2
"""Where BM25's frequency of a word in one memory saturates."""
GAP_S = 12 * 3600.0
"""Longer silence parts a session: what was said before is no neighbour of what was said after."""
_FRAME = """
    kind kinds type types sort sorts many much name names named called thing things something someone somebody
    else ever say said tell told mention mentioned describe described according
"""
FRAME = frozenset(_FRAME.split())
"""Words that questions are built with, which say little of what an answer says."""
ASKER = frozenset(["i", "me", "my", "mine", "myself"])
"""Words by which a question means the user, whose turns have no speaker's name."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question as it is looked up: its words without speakers' names and dates; speakers in their order."""

    text: str
    terms: tuple[str, ...]
    named: tuple[int, ...]
    dates: tuple[Date, ...]


def read_question(text: str, speakers: Sequence[str]) -> Asking:
    """Who is asked about, and with which words; a question of nothing but names is looked up by them."""
    said = tokens(text)
    of_name = {part: place for place, name in enumerate(speakers) for part in tokens(name)}
    named = [of_name[word] for word in said if word in of_name]
    if "" in speakers and not ASKER.isdisjoint(said):
        named.append(speakers.index(""))
    found, undated = dates(text)
    words = content_words(undated) or content_words(text)
    telling = [word for word in words if word not in of_name and word not in FRAME]
    kept = telling or [word for word in words if word not in of_name] or words
    first = {stem(word): word for word in reversed(kept)}
    terms = tuple(list(reversed(first.values()))[:MOST_TERMS])
    return Asking(text, terms, tuple(dict.fromkeys(named)), tuple(found))


@dataclass(frozen=True, slots=True)
class Stretches:
    """Which rows are neighbours: of one session, without a long silence, in order."""

    starts: Rows
    """The first row of each stretch of neighbours."""
    of: Rows
    """The stretch of each row, shape (N,)."""
    linked: tuple[Floats, ...]
    """By distance: 1 where the row so far before belongs to the same stretch, shape (N,)."""


_STRETCHES: WeakKeyDictionary[Columns, Stretches] = WeakKeyDictionary()
"""Of the columns that are held by somebody: many questions are asked of the same."""


def stretches(columns: Columns) -> Stretches:
    """Read from the columns once."""
    found = _STRETCHES.get(columns)
    if found is None:
        found = _STRETCHES[columns] = _stretches(columns)
    return found


def _stretches(columns: Columns) -> Stretches:
    size = len(columns.session)
    joined = np.zeros(size, np.bool_)
    if size > 1:
        same = columns.session[1:] == columns.session[:-1]
        joined[1:] = same & (np.abs(np.diff(columns.said_at)) <= GAP_S)
    of: Rows = np.cumsum(~joined) - 1
    linked = [np.ones(size, np.float32)]
    for away in range(1, REACH + 1):
        near = np.zeros(size, np.float32)
        near[away:] = of[away:] == of[:-away]
        linked.append(near)
    return Stretches(np.flatnonzero(~joined), of, tuple(linked))


class Neighbourhood:
    """The stretches of a user's memories, and which of these may be answered with."""

    def __init__(self, columns: Columns, allowed: NDArray[np.bool_]) -> None:
        found = stretches(columns)
        self.allowed = allowed.astype(np.float32)
        self.starts, self.stretch, self.linked = found.starts, found.of, found.linked

    def beside(self, values: Floats, rows: Rows, away: int) -> Floats:
        """The value of each row's neighbour: `away` turns before (negative) or after; 0 where none is."""
        there = rows + away
        inside = (there >= 0) & (there < len(values))
        there = np.where(inside, there, 0)
        linked = self.linked[abs(away)][np.maximum(rows, there)] * inside
        found: Floats = values[there] * linked.astype(np.float32)
        return found

    def spread_at(self, values: Floats, rows: Rows, kernel: Sequence[float]) -> Floats:
        """What `spread` gives for some rows."""
        found: Floats = np.float32(kernel[0]) * values[rows]
        for away in range(1, REACH + 1):
            share = np.float32(kernel[away])
            found = found + share * self.beside(values, rows, -away)
            found = found + share * self.beside(values, rows, away)
        return found

    def around(self, rows: Rows, values: Floats, kernel: Sequence[float]) -> tuple[Rows, Floats]:
        """What `spread` gives of values that only some rows have: the rows with any, and theirs."""
        size = len(self.allowed)
        found = np.zeros(size, np.float32)
        found[rows] = np.float32(kernel[0]) * values
        for away in range(1, REACH + 1):
            shares = np.float32(kernel[away]) * self.linked[away]
            before = rows < size - away
            there = rows[before] + away
            found[there] += values[before] * shares[there]
            after = rows >= away
            there = rows[after]
            found[there - away] += values[after] * shares[there]
        touched = np.flatnonzero(found)
        return touched, found[touched]

    def spread(self, values: Floats, kernel: Sequence[float]) -> Floats:
        """The weighted sum over the window; `kernel` by distance."""
        found = np.float32(kernel[0]) * values
        for away in range(1, REACH + 1):
            shares = np.float32(kernel[away]) * self.linked[away][away:]
            found[away:] += values[:-away] * shares
            found[:-away] += values[away:] * shares
        return found

    def best(self, values: Floats) -> Floats:
        """The greatest value of each memory's stretch."""
        found: Floats = np.maximum.reduceat(values, self.starts)[self.stretch]
        return found


@dataclass(frozen=True, slots=True)
class Signals:
    """What words and vector say of each memory; each shape (N,)."""

    own: Floats
    """BM25 of the memory's own words, relative to the best."""
    window: Floats
    """The same of its window: words of neighbours count less, many count little more than one."""
    covered: Floats
    """Share of the question's weight that the memory's own words hold."""
    around: Floats
    """The same of the window's words."""
    cosine: Floats
    """Above the mean cosine of all."""
    cosine_window: Floats
    speaker: Floats
    """1: the one speaker that the question names; 0.5: it names several; else 0."""
    other: Floats
    """1: another than the one speaker that the question names."""
    leads: Floats
    """1: the first of several speakers that the question names."""
    dated: Floats
    """1: said at a time that the question names; less some days away."""
    session: Floats
    """The greatest `window` of the memory's stretch of neighbours."""
    session_cosine: Floats


def signals(source: Source, asking: Asking, near: Neighbourhood) -> Signals:
    """What words say, for every memory of the user; as `compared` without a vector."""
    own, window, covered, around = _words(source, asking, near)
    speaker, other, leads = _spoken(source.columns, asking)
    window = relative(window)
    nothing = np.zeros(len(near.allowed), np.float32)
    return Signals(
        own=relative(own),
        window=window,
        covered=covered,
        around=around,
        cosine=nothing,
        cosine_window=nothing,
        speaker=speaker,
        other=other,
        leads=leads,
        dated=nearness(asking.dates, source.columns.said_at),
        session=near.best(window),
        session_cosine=nothing,
    )


def compared(told: Signals, source: Source, vector: Vectors | None, near: Neighbourhood) -> Signals:
    """The same with what the question's vector says; without one as they are."""
    if vector is None:
        return told
    cosine = _cosines(source, vector, near)
    return replace(
        told,
        cosine=cosine,
        cosine_window=near.spread(cosine, COSINE_KERNEL),
        session_cosine=near.best(cosine),
    )


class Weighed(NamedTuple):
    """The memories that hold a term, of those that may be answered with, ascending; and its rarity.

    `frequency`: how often it stands in each, saturated.
    """

    rows: Rows
    frequency: Floats
    rarity: float


def weighed(source: Source, terms: Sequence[str], near: Neighbourhood) -> dict[str, Weighed]:
    """Each term's memories and weight; terms that are nowhere too."""
    size, among = len(near.allowed), float(near.allowed.sum())
    found: dict[str, Weighed] = {}
    for term, hits in source.hits(terms).items():
        may = near.allowed[hits.rows] > 0
        rows = hits.rows[may]
        held = len(rows)
        rarity = math.log(1 + (among - held + 0.5) / (held + 0.5))
        found[term] = Weighed(rows, _frequency(hits, size)[may], rarity)
    return found


def relative(values: Floats) -> Floats:
    """Divided by the greatest; zeros where nothing is above 0."""
    best = float(values.max(initial=0.0))
    return values / np.float32(best) if best > 0 else np.zeros_like(values)


def _words(source: Source, asking: Asking, near: Neighbourhood) -> tuple[Floats, Floats, Floats, Floats]:
    own, window, covered, around = (np.zeros(len(near.allowed), np.float32) for _ in range(4))
    total = 1e-9
    for rows, frequency, rarity in weighed(source, asking.terms, near).values():
        total += rarity
        if len(rows):
            weight = np.float32(rarity)
            touched, nearby = near.around(rows, frequency, KERNEL)
            own[rows] += weight * frequency
            window[touched] += weight * (nearby / (nearby + np.float32(HALF)))
            covered[rows] += weight
            around[touched] += weight
    return own, window, covered / np.float32(total), around / np.float32(total)


def _frequency(hits: Hits, size: int) -> Floats:
    """BM25 of one term without its rarity: the frequency, saturated and by the memory's length."""
    held = len(hits.rows)
    rarity = max(math.log((size - held + 0.5) / (held + 0.5)), 1e-6)
    found: Floats = np.clip(hits.scores / rarity, 0.05, MOST_FREQUENT).astype(np.float32)
    return found


def _cosines(source: Source, vector: Vectors, near: Neighbourhood) -> Floats:
    size = len(near.allowed)
    cosines = np.asarray(source.cosines(vector), np.float32)
    known = np.isfinite(cosines) & (near.allowed > 0)
    if known.all() and size:
        above: Floats = cosines - cosines.mean()
        return above
    if not known.any():
        return np.zeros(size, np.float32)
    return np.where(known, cosines - cosines[known].mean(), 0).astype(np.float32)


def _spoken(columns: Columns, asking: Asking) -> tuple[Floats, Floats, Floats]:
    size = len(columns.speaker)
    nobody = np.zeros(size, np.float32)
    if not asking.named:
        return nobody, nobody, nobody
    first = (columns.speaker == asking.named[0]).astype(np.float32)
    if len(asking.named) > 1:
        return np.full(size, 0.5, np.float32), nobody, first
    return first, 1 - first, nobody
