"""What a question, a user's memories and their neighbours say of each memory, in numbers. Knows no weights.

A memory that may not be answered with says nothing: its words, vector and text touch no score of another's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory.questions import content_words
from actors.memory.source import Columns, Hits, Source, Vectors
from actors.memory.words import stem, tokens

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

MOST_TERMS = 24
"""Content words of a question that are looked up; of more, the rarest would have to be chosen first."""
REACH = 2
"""Turns before and after a memory that belong to its window."""
KERNEL = (1.0, 0.6, 0.35)
"""How much a word counts in the memory itself, one turn away, two turns away."""
HALF = 0.8
"""Spread frequency of a word in a window at which it counts half of what it can."""
GAP_S = 12 * 3600.0
"""Longer silence parts a session: what was said before is no neighbour of what was said after."""
ASKER = frozenset(["i", "me", "my", "mine", "myself"])
"""Words by which a question means the user, whose turns have no speaker's name."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question as it is looked up: its words without the speakers' names, and the speakers it names."""

    text: str
    terms: tuple[str, ...]
    named: frozenset[int]


def read_question(text: str, speakers: Sequence[str]) -> Asking:
    """Who is asked about, and with which words; a question of nothing but names is looked up by them."""
    said = tokens(text)
    of_name = {part: place for place, name in enumerate(speakers) for part in tokens(name)}
    named = {of_name[word] for word in said if word in of_name}
    if "" in speakers and not ASKER.isdisjoint(said):
        named.add(speakers.index(""))
    words = content_words(text)
    unnamed = [word for word in words if word not in of_name] or words
    by_stem = {stem(word): word for word in reversed(unnamed)}
    return Asking(text, tuple(list(reversed(by_stem.values()))[:MOST_TERMS]), frozenset(named))


class Neighbourhood:
    """Which memories stand next to each other: of one session, without a long silence, in order."""

    def __init__(self, columns: Columns, allowed: NDArray[np.bool_]) -> None:
        size = len(columns.session)
        joined = np.zeros(size, np.bool_)
        if size > 1:
            same = columns.session[1:] == columns.session[:-1]
            joined[1:] = same & (np.abs(np.diff(columns.said_at)) <= GAP_S)
        self.stretch: NDArray[np.int64] = np.cumsum(~joined) - 1
        self.stretches = int(self.stretch[-1]) + 1 if size else 0
        self.allowed = allowed.astype(np.float32)
        self._linked: dict[int, Floats] = {}
        for away in range(1, REACH + 1):
            linked = np.zeros(size, np.float32)
            if size > away:
                linked[away:] = self.stretch[away:] == self.stretch[:-away]
            self._linked[away] = linked

    def shifted(self, values: Floats, away: int) -> Floats:
        """Each memory's neighbour's value: `away` turns before (negative) or after; 0 where there is none."""
        found = np.zeros_like(values)
        linked = self._linked[abs(away)]
        if away < 0 and len(values) > -away:
            found[-away:] = values[:away] * linked[-away:]
        elif away > 0 and len(values) > away:
            found[:-away] = values[away:] * linked[away:]
        return found

    def spread(self, values: Floats) -> Floats:
        """The sum over the window, weighted by KERNEL."""
        found = KERNEL[0] * values
        for away in range(1, REACH + 1):
            found += KERNEL[away] * (self.shifted(values, -away) + self.shifted(values, away))
        return found


@dataclass(frozen=True, slots=True)
class Lexical:
    """What the words say of each memory; each shape (N,), the first three relative to the best memory's."""

    own: Floats
    window: Floats
    session: Floats
    covered: Floats
    """Share of the question's weight that the memory's own words hold."""
    around: Floats
    """The same of the window's words."""


def lexical(source: Source, asking: Asking, near: Neighbourhood) -> Lexical:
    """The terms' frequencies by memory, window and session, saturated and weighted by rarity."""
    size = len(near.allowed)
    among = float(near.allowed.sum())
    own, window, covered, around = (np.zeros(size, np.float32) for _ in range(4))
    session = np.zeros(near.stretches, np.float32)
    total = 0.0
    for hits in source.hits(asking.terms).values():
        frequency = saturated(hits, size) * near.allowed
        held = float(np.count_nonzero(frequency))
        rarity = math.log(1 + (among - held + 0.5) / (held + 0.5))
        total += rarity
        if not held:
            continue
        nearby = near.spread(frequency)
        own += rarity * frequency
        window += rarity * nearby / (nearby + HALF)
        covered += rarity * (frequency > 0)
        around += rarity * (nearby > 0)
        said = np.bincount(near.stretch, frequency, near.stretches).astype(np.float32)
        session += rarity * said / (said + 2.0)
    share = 1 / total if total else 0.0
    return Lexical(
        own=relative(own),
        window=relative(window),
        session=relative(session)[near.stretch] if size else own,
        covered=covered * share,
        around=around * share,
    )


def saturated(hits: Hits, size: int) -> Floats:
    """A term's frequency in each memory as BM25 sees it (saturated, by length; 0 to 2.2), shape (size,)."""
    found = np.zeros(size, np.float32)
    held = len(hits.rows)
    if held:
        rarity = max(math.log((size - held + 0.5) / (held + 0.5)), 1e-6)
        found[hits.rows] = np.clip(hits.scores / rarity, 0.05, 2.2)
    return found


def relative(values: Floats) -> Floats:
    """Divided by the greatest; zeros where nothing is above 0."""
    best = float(values.max(initial=0.0))
    return values / best if best > 0 else np.zeros_like(values)


def known_cosines(source: Source, vector: Vectors | None, near: Neighbourhood) -> Floats:
    """Cosines of what may be answered with; where one is not known, the mean of those that are, else 0."""
    size = len(near.allowed)
    if vector is None or not size:
        return np.zeros(size, np.float32)
    cosines = np.asarray(source.cosines(vector), np.float32)
    known = np.isfinite(cosines) & (near.allowed > 0)
    if not known.any():
        return np.zeros(size, np.float32)
    return np.where(known, cosines, cosines[known].mean()).astype(np.float32)
