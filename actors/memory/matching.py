"""How well a stretch of text matches a question, in numbers. Knows no index, no vector and no weights."""

from collections.abc import Iterable
from dataclasses import dataclass

from actors.memory.questions import Kind, Question, neighbours
from actors.memory.words import words_of

PREFIX = 4
"""Letters that two words must share to count as kin."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What one sentence holds, as compared with a question."""

    stems: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    phrases: frozenset[tuple[str, str]]
    prefixes: frozenset[str]
    names: frozenset[str]
    dates: frozenset[str]
    numbers: frozenset[str]
    words: int


def read(text: str) -> Matched:
    """The parts of a sentence that matching compares."""
    words = words_of(text)
    told = [word for word in words if not word.stop]
    stems = [word.stem for word in told]
    found = frozenset(stems)
    return Matched(
        stems=found,
        pairs=neighbours(stems),
        phrases=neighbours([word.stem for word in words]),
        prefixes=frozenset(root[:PREFIX] for root in found),
        names=frozenset(word.stem for word in words[1:] if word.capital and not word.stop),
        dates=frozenset(word.stem for word in told if word.date),
        numbers=frozenset(word.stem for word in words if word.number),
        words=len(words),
    )


def coverage(question: Question, stems: Iterable[str]) -> float:
    """Share (0 to 1) of the question's weight that the stems hold."""
    found = stems if isinstance(stems, (set, frozenset)) else set(stems)
    return sum(weight for root, weight in question.weights.items() if root in found)


def kin_coverage(question: Question, prefixes: frozenset[str]) -> float:
    """Like `coverage`, by the first letters alone: `Germany` and `German` are kin."""
    return sum(weight for root, weight in question.weights.items() if root[:PREFIX] in prefixes)


def pair_share(question: Question, pairs: frozenset[tuple[str, str]]) -> float:
    """Share of the question's neighbouring word pairs that stand so in the text."""
    return len(question.pairs & pairs) / len(question.pairs) if question.pairs else 0.0


def phrase_share(question: Question, phrases: frozenset[tuple[str, str]]) -> float:
    """Like `pair_share`, stop words included: `home of the` is not `home for`."""
    return len(question.phrases & phrases) / len(question.phrases) if question.phrases else 0.0


def name_share(question: Question, stems: frozenset[str]) -> float:
    """Share of the question's names and numbers that the text holds; 1 where it has none."""
    return len(question.names & stems) / len(question.names) if question.names else 1.0


def answers_kind(question: Question, matched: Matched) -> float:
    """1 where the sentence holds something of the wanted kind that is not in the question, else 0."""
    return float(bool(_of_kind(question.kind, matched) - question.weights.keys()))


def _of_kind(kind: Kind, matched: Matched) -> frozenset[str]:
    if kind in ("person", "place"):
        return matched.names
    if kind == "date":
        return matched.dates
    if kind == "number":
        return matched.numbers
    return frozenset()
