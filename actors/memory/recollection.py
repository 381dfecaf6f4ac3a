"""Finds the memories that answer a question: two rounds, the second seeded by the first. Knows no SQL."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np

from actors.memory.cues import CUES, Wanted, asks, cues, wanted, wording
from actors.memory.ranker import SHIPPED, Ranker
from actors.memory.signals import (
    KERNEL,
    Asking,
    Floats,
    Neighbourhood,
    Rows,
    Signals,
    compared,
    read_question,
    relative,
    signals,
    weighed,
)
from actors.memory.source import Source, Vectors
from actors.memory.words import tokens

CANDIDATES = 64
"""Memories of which all features are computed, in the first round."""
MORE = 24
"""Memories that the second round adds."""
SEEDS = 6
"""Memories of the first round that seed the second."""
SEED_TERMS = 6
"""Words of the seeds that the question lacks, looked up in the second round."""
SHORTEST_TERM = 3
FIRST = (
    *("own", "window", "covered", "around", "cosine", "cosine_window", "session", "session_cosine"),
    *("speaker", "other", "leads", "dated", "asked", "asked_words", "asked_cosine", "length", "opens", *CUES),
)
"""Features of the first round."""
SECOND = (*("standing", "top", "near_before", "near_after", "company", "expansion", "expansion_window"),)
"""Features of the second round, beside those of the first."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A memory found: its row in the columns, its score (log-odds-like) and what it is made of.

    `hop` is 2 where it came among the results by the second round alone.
    """

    row: int
    score: float
    parts: Mapping[str, float]
    hop: Literal[1, 2]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows, ascending, with their words (stem → word) and first features, each shape (len(rows),)."""

    rows: Rows
    words: list[dict[str, str]]
    features: dict[str, Floats]


class Said(NamedTuple):
    """What one memory's wording tells: its words (stem → word), CUES, whether the one before it asks."""

    words: dict[str, str]
    cues: tuple[float, ...]
    asked: bool


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a question without its vector says of the memories of one source."""

    asking: Asking
    want: Wanted
    near: Neighbourhood
    told: Signals
    said: dict[int, Said]
    """Of the rows that were read so far."""

    @classmethod
    def of(cls, source: Source, query: str) -> "Ahead":
        """Of no row so far."""
        near = Neighbourhood(source.columns, source.allowed)
        asking = read_question(query, source.columns.speakers)
        told = signals(source, asking, near)
        return cls(asking, wanted(asking.text, asking.terms), near, told, {})

    def read(self, source: Source, rows: Sequence[int]) -> list[Said]:
        """What rows say; those that were read before are not read again."""
        new = [row for row in rows if row not in self.said]
        if new:
            texts = source.texts([*new, *(max(row - 1, 0) for row in new)])
            for row, text, before in zip(new, texts, texts[len(new) :], strict=False):
                found = wording(text)
                self.said[row] = Said(found.words, cues(found, self.want), asks(before))
        return [self.said[row] for row in rows]


def recollect(
    source: Source,
    query: str,
    vector: Vectors | None,
    limit: int,
    ranker: Ranker = SHIPPED,
    ahead: Ahead | None = None,
) -> list[Ranked]:
    """The `limit` memories that answer best, best first; fewer where fewer are allowed.

    `vector` is the question's, unit length; without it, or where memories have none, words alone decide.
    `ahead` is what `look_up` gave for the same source and question.
    """
    if limit < 1 or not source.allowed.any():
        return []
    found, first = candidates(source, query, vector, limit, ranker, ahead)
    scores = ranker.score(ranker.second, found.features)
    order = _best_first(found.rows, scores)[:limit].tolist()
    before = set(_best_first(found.rows, first)[:limit].tolist())
    values = np.stack(list(found.features.values()), axis=1)[order].tolist()
    return [
        Ranked(
            row=int(found.rows[one]),
            score=float(scores[one]),
            parts=dict(zip(found.features, parts, strict=True)),
            hop=1 if one in before else 2,
        )
        for one, parts in zip(order, values, strict=True)
    ]


def look_up(source: Source, query: str) -> Ahead:
    """What `recollect` needs that asks for no vector, with the likeliest rows read."""
    ahead = Ahead.of(source, query)
    ahead.read(source, _best_rows(_cheap(ahead.told), ahead.near, CANDIDATES).tolist())
    return ahead


def candidates(
    source: Source,
    query: str,
    vector: Vectors | None,
    limit: int,
    ranker: Ranker,
    ahead: Ahead | None = None,
) -> tuple[Candidates, Floats]:
    """What is ranked, with the features of both rounds, and the first round's scores (-inf: not in it)."""
    ahead = ahead or Ahead.of(source, query)
    near = ahead.near
    told = compared(ahead.told, source, vector, near)
    cheap = _cheap(told)
    once = read(source, ahead, told, _best_rows(cheap, near, max(CANDIDATES, limit)))
    scores = ranker.score(ranker.first, once.features)
    expansion = expand(source, ahead.asking, once, scores, near)
    taken = near.allowed.copy()
    taken[once.rows] = 0
    more = _best_rows(cheap + expansion, near, MORE, taken)
    both = joined(once, read(source, ahead, told, more)) if len(more) else once
    all_scores = ranker.score(ranker.first, both.features)
    both.features.update(second_round(both.rows, all_scores, expansion, near))
    return both, np.where(np.isin(both.rows, once.rows), all_scores, -np.inf)


def read(source: Source, ahead: Ahead, told: Signals, rows: Rows) -> Candidates:
    """The rows with FIRST features."""
    columns, near = source.columns, ahead.near
    said = ahead.read(source, rows.tolist())
    asked = np.array([one.asked for one in said], np.float32)
    asked *= near.beside(near.allowed, rows, -1)
    values = np.array([one.cues for one in said], np.float32).reshape(len(rows), len(CUES))
    features = {
        "own": told.own[rows],
        "window": told.window[rows],
        "covered": told.covered[rows],
        "around": told.around[rows],
        "cosine": told.cosine[rows],
        "cosine_window": told.cosine_window[rows],
        "session": told.session[rows],
        "session_cosine": told.session_cosine[rows],
        "speaker": told.speaker[rows],
        "other": told.other[rows],
        "leads": told.leads[rows],
        "dated": told.dated[rows],
        "asked": asked,
        "asked_words": asked * near.beside(told.own, rows, -1),
        "asked_cosine": asked * near.beside(told.cosine, rows, -1),
        "length": np.log1p(columns.words[rows]).astype(np.float32) / 4,
        "opens": 1 - near.linked[1][rows],
    }
    words = [one.words for one in said]
    return Candidates(rows, words, features | dict(zip(CUES, values.T, strict=True)))


def joined(one: Candidates, other: Candidates) -> Candidates:
    """Both, the rows ascending again."""
    rows = np.concatenate([one.rows, other.rows])
    order = np.argsort(rows, kind="stable")
    words = one.words + other.words
    features = {
        name: np.concatenate([values, other.features[name]])[order] for name, values in one.features.items()
    }
    return Candidates(rows[order], [words[place] for place in order.tolist()], features)


def expand(source: Source, asking: Asking, once: Candidates, scores: Floats, near: Neighbourhood) -> Floats:
    """How much of what the best of the first round say beyond the question each memory says, shape (N,)."""
    seeds = _best_first(once.rows, scores)[:SEEDS]
    odds = np.exp(scores[seeds] - scores[seeds].max())
    names = {part for name in source.columns.speakers for part in tokens(name)}
    known = {*asking.terms, *names}
    held = Counter(chain.from_iterable(once.words))
    likely: dict[str, float] = {}
    for seed, share in zip(seeds.tolist(), (odds / odds.sum()).tolist(), strict=True):
        for stem, word in once.words[seed].items():
            if len(word) >= SHORTEST_TERM and word not in known:
                likely[word] = likely.get(word, 0.0) + share * math.log(1 + len(once.rows) / held[stem])
    terms = sorted(likely, key=lambda word: (-likely[word], word))[:SEED_TERMS]
    found = np.zeros(len(near.allowed), np.float32)
    for term, (rows, frequency, rarity) in weighed(source, terms, near).items():
        found[rows] += np.float32(likely[term] * rarity) * frequency
    return relative(found)


def second_round(rows: Rows, first: Floats, expansion: Floats, near: Neighbourhood) -> dict[str, Floats]:
    """SECOND features: what the first round's list says of each of its rows.

    Where it stands; how likely its neighbours are, and the rest of its session; how much it says of what the
    best say beyond the question, itself and with its window.
    """
    shares = np.exp(first - first.max())
    shares /= shares.sum()
    dense = np.zeros(len(near.allowed), np.float32)
    dense[rows] = np.sqrt(shares)
    stretches = near.stretch[rows]
    mass = np.bincount(stretches, shares, len(near.starts))[stretches]
    rank = np.empty(len(rows), np.float32)
    rank[_best_first(rows, first)] = np.arange(len(rows))
    found = {
        "standing": first - first.max(),
        "top": 1 / (1 + rank / 5),
        "near_before": near.beside(dense, rows, -1),
        "near_after": near.beside(dense, rows, 1),
        "company": np.sqrt(np.maximum(mass - shares, 0)),
        "expansion": expansion[rows],
        "expansion_window": near.spread_at(expansion, rows, KERNEL),
    }
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def _cheap(told: Signals) -> Floats:
    """The fixed fusion that picks candidates: its best 128 hold 0.96 of what its best 200 hold."""
    found = told.own + 4 * told.window + 1.5 * told.around + 8 * told.cosine_window
    found += 1.5 * told.dated + 1.2 * told.speaker - 0.6 * told.other + 1.5 * told.session
    return found.astype(np.float32)


def _best_first(rows: Rows, scores: Floats) -> Rows:
    order: Rows = np.lexsort((rows, -scores))
    return order


def _best_rows(scores: Floats, near: Neighbourhood, count: int, among: Floats | None = None) -> Rows:
    """The `count` allowed rows with the greatest scores, ascending."""
    allowed = np.flatnonzero(near.allowed if among is None else among)
    if len(allowed) > count:
        allowed = allowed[np.argpartition(-scores[allowed], count - 1)[:count]]
    return np.sort(allowed)
