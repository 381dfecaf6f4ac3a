"""Finds the memories that answer a question: two rounds, the second seeded by the first. Knows no SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actors.memory.ranker import SHIPPED, Ranker
from actors.memory.signals import (
    Asking,
    Floats,
    Neighbourhood,
    Rows,
    known_cosines,
    lexical,
    read_question,
)
from actors.memory.source import Source, Vectors

CANDIDATES = 300
"""Memories that all features are computed of."""
SEEDS = 5
"""Memories of the first round that seed the second."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A memory found: its row in the columns, its score (log-odds-like) and what it is made of.

    `hop` is 2 where it came among the results by the second round alone.
    """

    row: int
    score: float
    parts: Mapping[str, float]
    hop: Literal[1, 2]


def recollect(
    source: Source, query: str, vector: Vectors | None, limit: int, ranker: Ranker = SHIPPED
) -> list[Ranked]:
    """The `limit` memories that answer best, best first; fewer where fewer are allowed.

    `vector` is the question's, unit length; without it, or where memories have none, words alone decide.
    """
    columns, allowed = source.columns, source.allowed
    if limit < 1 or not allowed.any():
        return []
    near = Neighbourhood(columns, allowed)
    asking = read_question(query, columns.speakers)
    rows, features = first_round(source, asking, vector, near, max(CANDIDATES, limit))
    first = ranker.score(ranker.first, features)
    features |= second_round(source, rows, first, near)
    scores = first + ranker.score(ranker.second, features)
    order = np.lexsort((rows, -scores))[:limit]
    before = set(np.lexsort((rows, -first))[:limit].tolist())
    return [
        Ranked(
            row=int(rows[one]),
            score=float(scores[one]),
            parts={name: float(values[one]) for name, values in features.items()},
            hop=1 if one in before else 2,
        )
        for one in order.tolist()
    ]


def first_round(
    source: Source, asking: Asking, vector: Vectors | None, near: Neighbourhood, count: int
) -> tuple[Rows, dict[str, Floats]]:
    """The `count` best rows by a cheap fusion, ascending, and their features."""
    columns = source.columns
    words = lexical(source, asking, near)
    cosine = known_cosines(source, vector, near)
    cosine_near = np.maximum.reduce([near.shifted(cosine, away) for away in (-1, 1)])
    fused = words.own + 1.5 * words.window + 2.0 * cosine + 0.5 * cosine_near
    rows = best_rows(fused, near, count)
    texts = source.texts(rows.tolist())
    named = np.isin(columns.speaker, list(asking.named)) if asking.named else np.zeros(len(cosine), np.bool_)
    return rows, {
        "own": words.own[rows],
        "window": words.window[rows],
        "session": words.session[rows],
        "covered": words.covered[rows],
        "around": words.around[rows],
        "cosine": cosine[rows],
        "cosine_near": cosine_near[rows],
        "speaker": named[rows].astype(np.float32),
        "asks": np.array([text.rstrip().endswith("?") for text in texts], np.float32),
        "length": np.log1p(columns.words[rows]).astype(np.float32) / 4,
    }


def second_round(source: Source, rows: Rows, first: Floats, near: Neighbourhood) -> dict[str, Floats]:
    """What the best of the first round say of all: alike in vector, or standing next to them."""
    seeds = np.lexsort((rows, -first))[:SEEDS]
    odds = np.exp(first - first.max())
    spread = np.zeros(len(near.allowed), np.float32)
    spread[rows] = odds / odds.sum()
    vectors = source.vectors(rows.tolist())
    alike = vectors @ vectors[seeds].T
    alike[seeds, np.arange(len(seeds))] = 0
    return {
        "cosine_found": alike.max(axis=1, initial=0.0).astype(np.float32),
        "near_found": (near.shifted(spread, -1) + near.shifted(spread, 1))[rows],
    }


def best_rows(scores: Floats, near: Neighbourhood, count: int) -> Rows:
    """The `count` allowed rows with the greatest scores, ascending."""
    allowed = np.flatnonzero(near.allowed)
    if len(allowed) > count:
        allowed = allowed[np.argpartition(-scores[allowed], count - 1)[:count]]
    return np.sort(allowed)
