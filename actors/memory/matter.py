"""How likely each of some found memories is to speak of the matter of a question. Knows no time, no SQL."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.memory.aspects import Wording, fitting, worded
from actors.memory.vectors import Vectors

Floats = NDArray[np.float32]
WEIGHTS = Path(__file__).with_name("matter.json")
"""The shipped weights; matter.manifest.json says from what they were learned."""
FIRST = (
    *("near", "behind", "score", "below", "covered", "begun", "content", "names", "strangers"),
    *("kin", "strange_kin", "person", "answers", "holds", "related", "elsewhere", "other", "ended"),
    *("unreal", "changes", "denies", "fits", "fits_not", "length", "topic", "off_topic", "strange_topic"),
    *("own", "less_own", "pair", "passing"),
)
"""What the question alone says of a memory."""
SECOND = (
    *("odds", "rest", "alike", "alike_beyond", "shared", "shared_name", "same_slot", "company"),
    *("denied_name", "same_topic", "alike_elsewhere", "shared_elsewhere", "strange_company"),
    *("settled", "settled_elsewhere"),
)
"""What the memories that seem to speak of the matter say of the others."""
_MOST_SHARED = 2.5
"""The most that words in common count, in units of the rarest."""
_ODDS = 8.0
"""Log-odds beyond this say no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One of the memories found, as far as the matter of a question goes.

    `near`: cosine with the question; `own` and `pair` are the ranking's features of these names. It `answers`
    where it states the likeliest slot asked for, is `related` where it states any, and `holds` if that is so
    as far as is known. `elsewhere`: what it states is of no slot asked for; `other`: of nobody asked about.
    `ended`: all it states has ended.
    """

    number: int
    text: str
    at: float
    speaker: str
    score: float
    near: float
    own: float = 0.0
    pair: float = 0.0
    answers: bool = False
    related: bool = False
    holds: bool = False
    elsewhere: bool = False
    other: bool = False
    ended: bool = False
    slots: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of rectified units and their sum: log-odds from features."""

    hidden: Floats
    """Shape (F, H)."""
    bias: Floats
    out: Floats
    """Shape (H + 1,): the last is the sum's own bias."""

    def odds(self, features: Floats) -> Floats:
        """Log-odds, shape (N,), of features, shape (N, F)."""
        found: Floats = np.maximum(features @ self.hidden + self.bias, 0) @ self.out[:-1] + self.out[-1]
        return found


@dataclass(frozen=True, slots=True)
class Weights:
    """Both rounds; FIRST features are centred and scaled before either."""

    mean: Floats
    spread: Floats
    first: Layer
    second: Layer


def likely(question: str, told: Sequence[Told], vectors: Vectors, weights: Weights | None = None) -> Floats:
    """How likely each memory is to speak of what is asked, shape (N,), from 0 to 1.

    `told` is in the order of the answer, with unit vectors of shape (N, dimensions).
    """
    weights = weights or SHIPPED
    asked, said = worded(question, question=True), [worded(one.text) for one in told]
    raw = first_features(question, asked, told, said)
    scaled = (raw - weights.mean) / weights.spread
    odds = weights.first.odds(scaled)
    links = links_of(asked, told, said, vectors)
    both = np.concatenate([scaled, second_features(odds, links)], axis=1)
    return _chance(weights.second.odds(both))


def first_features(question: str, asked: Wording, told: Sequence[Told], said: Sequence[Wording]) -> Floats:
    """FIRST of each memory, shape (N, len(FIRST))."""
    near, score, own = (max(getattr(one, name) for one in told) for name in ("near", "score", "own"))
    fits = fitting(question)
    rows = [
        (
            *(one.near, near - one.near, one.score / 10, (score - one.score) / 5),
            *(_share(asked.stems, words.stems), _share(asked.beginnings, words.beginnings)),
            *(min(len(asked.stems), 4) / 4, _agreement(asked.names, words.names)),
            *(min(2, len(words.names - asked.names)) / 2, _agreement(asked.kin, words.kin)),
            *(bool(words.kin - asked.kin), asked.of_me == words.of_me),
            *(one.answers, one.holds, one.related, one.elsewhere, one.other, one.ended),
            *(words.unreal and not one.slots, words.changes, words.denies),
            *(fits is not None and fits(words), fits is not None and not fits(words)),
            min(words.length, 60) / 20,
            *_topical(asked.topics, words.topics),
            *(one.own, own - one.own, one.pair, words.passing and not one.slots),
        )
        for one, words in zip(told, said, strict=True)
    ]
    return np.array(rows, np.float32)


@dataclass(frozen=True, slots=True)
class Links:
    """What every two memories have in common, each of shape (N, N) with an empty diagonal."""

    alike: Floats
    shared: Floats
    """Rare words that the question lacks."""
    named: Floats
    """Whether these are names."""
    slot: Floats
    topic: Floats
    near: Floats
    """Cosines with the question, shape (N,)."""
    denied: Floats
    """Which deny something, shape (N,)."""
    settled: Floats
    """Whether another states what is asked for and holds, shape (N,)."""
    elsewhere: Floats
    """Which state something of slots not asked for alone, shape (N,)."""


def links_of(asked: Wording, told: Sequence[Told], said: Sequence[Wording], vectors: Vectors) -> Links:
    """Compare every two memories."""
    count = len(told)
    words = _table([dict.fromkeys(one.stems - asked.stems, 1.0) for one in said])
    names = _table([dict.fromkeys(one.names - asked.names, 1.0) for one in said])
    slots = _table([dict.fromkeys(one.slots, 1.0) for one in told])
    topics = _table([one.topics for one in said])
    rare = np.log((1 + count) / np.maximum(words.sum(axis=0), 1)) / math.log(1 + count)
    length = np.sqrt((topics * topics).sum(axis=1)) + 0.5
    apart = 1 - np.eye(count, dtype=np.float32)
    shared = np.minimum((words * rare) @ words.T, _MOST_SHARED) * apart
    named, slot = ((table @ table.T > 0) * apart for table in (names, slots))
    topic = (topics @ topics.T / np.outer(length, length) * apart).astype(np.float32)
    alike = (vectors @ vectors.T).astype(np.float32) * apart
    near = np.array([one.near for one in told], np.float32)
    denied = np.array([one.denies for one in said], np.float32)
    answers = np.array([one.answers and one.holds for one in told], np.float32)
    settled = (answers.sum() - answers > 0).astype(np.float32)
    elsewhere = np.array([one.elsewhere for one in told], np.float32)
    return Links(alike, shared, named, slot, topic, near, denied, settled, elsewhere)


def second_features(odds: Floats, links: Links) -> Floats:
    """SECOND of each memory, shape (N, len(SECOND)); `odds` are the first round's."""
    chance = _chance(odds)
    others = chance[None, :] * (1 - np.eye(len(odds), dtype=np.float32))
    alike, shared = (others * links.alike).max(axis=1), (others * links.shared).max(axis=1)
    columns = (
        np.clip(odds, -_ODDS, _ODDS) / 4,
        others.max(axis=1),
        alike,
        (others * (links.alike - links.near[:, None])).max(axis=1),
        shared,
        (others * links.named).max(axis=1),
        (others * links.slot).max(axis=1),
        np.minimum(others.sum(axis=1), 4) / 4,
        (others * links.named * links.alike).max(axis=1) * links.denied,
        (others * links.topic).max(axis=1),
        alike - links.alike.max(axis=1),
        shared - links.shared.max(axis=1),
        ((1 - chance)[None, :] * links.alike).max(axis=1),
        links.settled,
        links.settled * links.elsewhere,
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _table(rows: Sequence[Mapping[Any, float]]) -> Floats:
    """Weights by key as an array, a row each, shape (N, keys)."""
    columns: dict[Any, int] = {}
    for row in rows:
        for key in row:
            columns.setdefault(key, len(columns))
    found = np.zeros((len(rows), max(1, len(columns))), np.float32)
    at = [number for number, row in enumerate(rows) for _ in row]
    weights = [weight for row in rows for weight in row.values()]
    found[at, [columns[key] for row in rows for key in row]] = weights
    return found


def _topical(asked: Mapping[str, float], said: Mapping[str, float]) -> tuple[float, float, float]:
    """How much of the question's topics a memory has, whether it has others alone, how much of others."""
    common = sum(min(weight, said.get(topic, 0.0)) for topic, weight in asked.items())
    total, mine = max(1.0, sum(asked.values())), sum(said.values())
    return common / total, float(bool(asked and said) and not common), (mine - common) / max(1.0, mine)


def _share(asked: frozenset[str], said: frozenset[str]) -> float:
    return len(asked & said) / max(1, len(asked))


def _agreement(asked: frozenset[str], said: frozenset[str]) -> float:
    if not asked:
        return 0.0
    return -1.0 if asked.isdisjoint(said) else 1.0


def _chance(odds: Floats) -> Floats:
    found: Floats = (1 / (1 + np.exp(-np.clip(odds, -30, 30)))).astype(np.float32)
    return found


def read(path: Path) -> Weights:
    """Weights as `benchmarks.matter_fit` writes them."""
    stored: dict[str, Any] = json.loads(path.read_text())
    mean, spread = (np.array(stored[name], np.float32) for name in ("mean", "spread"))
    first, second = (
        Layer(*(np.array(stored[name][part], np.float32) for part in ("hidden", "bias", "out")))
        for name in ("first", "second")
    )
    return Weights(mean, spread, first, second)


SHIPPED = read(WEIGHTS)
