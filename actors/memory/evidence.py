"""Picks the sentences that answer a question out of retrieved passages, and says how well they support one.

Pure functions over records: knows no index and no model; vectors come in as numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from actors.memory import matching
from actors.memory.matching import read
from actors.memory.questions import Question
from actors.memory.ranking import stems_of
from actors.memory.sentences import sentences
from actors.memory.weights import REREAD, SENTENCE, SUPPORT
from actors.messages import Passage

READ = 10
"""Passages whose sentences are compared with a question, before the best are chosen of them."""
SHORTLIST = 20
"""Sentences worth the cost of an embedding: more find no more answers."""
LONGEST_QUOTE = 600
"""A sentence of more characters (a table, a list without ends) is not quoted whole: it is no candidate."""
SUPPORT_FEATURES = ("cosine", "coverage", "sentence_cosine", "sentence", "names")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence with its features, of the retrieved passage number `passage` (the best is 0).

    `start` and `end` count in the document.
    """

    document_id: str
    filename: str
    start: int
    end: int
    text: str
    passage: int
    values: Mapping[str, float]


def sentences_of(question: Question, passages: Sequence[Passage]) -> list[Sentence]:
    """Every quotable sentence of the passages (best passage first), with all features but the cosine."""
    best = max((passage.score for passage in passages), default=0.0)
    found = []
    seen: set[tuple[str, int, int]] = set()
    for number, passage in enumerate(passages):
        place = stems_of(f"{passage.filename} {passage.heading} {passage.lead}")
        for low, high in sentences(passage.text):
            key = (passage.document_id, passage.start + low, passage.start + high)
            if key in seen or high - low > LONGEST_QUOTE:
                continue
            seen.add(key)
            text = passage.text[low:high]
            values = {"passage": passage.score - best} | _values(question, text, place)
            found.append(
                Sentence(
                    document_id=passage.document_id,
                    filename=passage.filename,
                    start=key[1],
                    end=key[2],
                    text=text,
                    passage=number,
                    values=values,
                )
            )
    return found


def shortlist(
    found: Sequence[Sentence], limit: int = SHORTLIST, weights: Mapping[str, float] = SENTENCE
) -> list[Sentence]:
    """The `limit` best sentences by all that is known without a vector, in the order they came.

    Each passage's best sentence goes before all second ones.
    """
    order = sorted(range(len(found)), key=lambda index: (-score(found[index].values, weights), index))
    firsts: dict[int, int] = {}
    for index in order:
        firsts.setdefault(found[index].passage, index)
    order = list(dict.fromkeys([*firsts.values(), *order]))
    return [found[index] for index in sorted(order[:limit])]


def with_cosines(found: Sequence[Sentence], cosines: Sequence[float]) -> list[Sentence]:
    """The sentences with their cosine to the question among the features, best first."""
    if len(found) != len(cosines):
        raise ValueError(f"{len(found)} sentences and {len(cosines)} cosines")
    known = [
        replace(one, values={**one.values, "cosine": float(cosine)})
        for one, cosine in zip(found, cosines, strict=True)
    ]
    return sorted(known, key=lambda one: -score(one.values))


def reread(
    passages: Sequence[Passage],
    compared: Sequence[Sentence],
    k: int,
    weights: Mapping[str, float] = REREAD,
) -> tuple[list[Passage], list[Sentence]]:
    """The k best passages by score and best sentence's cosine, and their sentences, both best first."""
    values = reread_features(passages, compared)
    scores = [score(one, weights) for one in values]
    order = sorted(range(len(passages)), key=lambda number: (-scores[number], number))[:k]
    places = {number: place for place, number in enumerate(order)}
    kept = [
        replace(
            one,
            passage=places[one.passage],
            values={**one.values, "passage": scores[one.passage] - scores[order[0]]},
        )
        for one in compared
        if one.passage in places
    ]
    chosen = [replace(passages[number], score=scores[number]) for number in order]
    return chosen, sorted(kept, key=lambda one: -score(one.values))


def reread_features(passages: Sequence[Passage], compared: Sequence[Sentence]) -> list[dict[str, float]]:
    """Of each passage its score (found) and its best sentence's cosine, or the lowest such (sentence)."""
    best: dict[int, float] = {}
    for one in compared:
        best[one.passage] = max(best.get(one.passage, -1.0), one.values["cosine"])
    lowest = min(best.values(), default=0.0)
    return [
        {"found": passage.score, "sentence": best.get(number, lowest)}
        for number, passage in enumerate(passages)
    ]


def score(values: Mapping[str, float], weights: Mapping[str, float] = SENTENCE) -> float:
    """The weighted sum of a sentence's features; a feature not known yet counts nothing."""
    return math.fsum(weight * values.get(name, 0.0) for name, weight in weights.items())


def shares(ranked: Sequence[Sentence]) -> list[float]:
    """Each sentence's probability of being the best of them, given that one is."""
    scores = [score(one.values) for one in ranked]
    top = max(scores, default=0.0)
    raised = [math.exp(one - top) for one in scores]
    return [one / sum(raised) for one in raised]


def support_features(passages: Sequence[Passage], ranked: Sequence[Sentence]) -> dict[str, float]:
    """What says, over all questions alike, whether the documents answer this one (SUPPORT_FEATURES).

    The best cosine and coverage of a passage, and of a sentence; and the best sentence's share of names.
    """
    return {
        "cosine": max((passage.parts["cosine"] for passage in passages), default=0.0),
        "coverage": max((passage.parts["placed"] for passage in passages), default=0.0),
        "sentence_cosine": max((one.values["cosine"] for one in ranked), default=0.0),
        "sentence": max((one.values["placed"] for one in ranked), default=0.0),
        "names": max((one.values["names"] for one in ranked), default=0.0),
    }


def support(values: Mapping[str, float], weights: Mapping[str, float] = SUPPORT) -> float:
    """Probability (0 to 1) that the documents hold the answer, from `support_features`."""
    total = weights["bias"] + math.fsum(weights[name] * values[name] for name in SUPPORT_FEATURES)
    return 1 / (1 + math.exp(-max(min(total, 60.0), -60.0)))


def _values(question: Question, text: str, place: frozenset[str]) -> dict[str, float]:
    matched = read(text)
    cover = matching.coverage(question, matched.stems)
    return {
        "coverage": cover,
        "kin": matching.kin_coverage(question, matched.prefixes),
        "placed": matching.coverage(question, matched.stems | place),
        "names": matching.name_share(question, matched.stems),
        "pairs": matching.pair_share(question, matched.pairs),
        "kind": matching.answers_kind(question, matched) * cover,
    }
