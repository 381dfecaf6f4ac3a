"""Orders the passages found for a question by a few weighted features. Knows no index and no model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.memory import matching
from actors.memory.matching import Matched, read
from actors.memory.questions import Question
from actors.memory.sentences import sentences
from actors.memory.weights import PASSAGE
from actors.memory.words import stem, tokens

FEATURES = ("text", "window", "cosine", "placed", "sentence", "pairs", "phrase", "kind", "kin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A passage with what the indexes say of it.

    `bm25_text` and `bm25_window` are relative to the best passage's (0 to 1); `place` is where it stands:
    filename, headings, how the document begins.
    """

    text: str
    place: str
    bm25_text: float
    bm25_window: float
    cosine: float


def features(question: Question, found: Found) -> dict[str, float]:
    """The features by name (FEATURES), each about 0 to 1.

    Coverage of the question, by passage and place together (placed), by the best sentence (sentence), by the
    best sentence that holds an answer of the wanted kind (kind), by first letters alone (kin); the best
    sentence's share of word pairs without stop words (pairs) and with them (phrase).
    """
    read_sentences = [read(found.text[start:end]) for start, end in sentences(found.text)]
    held = all_stems(read_sentences)
    covered = [matching.coverage(question, one.stems) for one in read_sentences]
    kinds = [
        matching.answers_kind(question, one) * cover
        for one, cover in zip(read_sentences, covered, strict=True)
    ]
    return {
        "text": found.bm25_text,
        "window": found.bm25_window,
        "cosine": found.cosine,
        "placed": matching.coverage(question, held | stems_of(found.place)),
        "sentence": max(covered, default=0.0),
        "pairs": max((matching.pair_share(question, one.pairs) for one in read_sentences), default=0.0),
        "phrase": max((matching.phrase_share(question, one.phrases) for one in read_sentences), default=0.0),
        "kind": max(kinds, default=0.0),
        "kin": matching.kin_coverage(question, frozenset().union(*(one.prefixes for one in read_sentences))),
    }


def score(values: Mapping[str, float], weights: Mapping[str, float] = PASSAGE) -> float:
    """The weighted sum of features: a log-odds against the other passages of the same question."""
    return math.fsum(weight * values[name] for name, weight in weights.items())


def all_stems(parts: Sequence[Matched]) -> frozenset[str]:
    """The content stems of all sentences together."""
    return frozenset().union(*(part.stems for part in parts))


def stems_of(text: str) -> frozenset[str]:
    """The stems of a text's words."""
    return frozenset(stem(word) for word in tokens(text))
