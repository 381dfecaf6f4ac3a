"""Texts with questions whose answers stand in them, word for word. Knows no arm and no score."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

SEED = 5
"""Of the draw of questions."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the accepted answers; each stands in the text."""

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One text of a document and what is asked about it."""

    document: str
    text: str
    questions: tuple[Question, ...]


def load(path: Path) -> list[Case]:
    """The paragraphs of a SQuAD-like file in its order: a list of {"title", "context", "questions"}."""
    return [
        Case(
            document=entry["title"],
            text=entry["context"],
            questions=tuple(Question(one["question"], tuple(one["answers"])) for one in entry["questions"]),
        )
        for entry in json.loads(path.read_text())
    ]


def sample(cases: Sequence[Case], count: int, seed: int = SEED, per_text: int | None = None) -> list[Case]:
    """The cases with `count` of their questions, in the same order; a case without any goes.

    Questions are drawn evenly from the documents, text by text, at most `per_text` from one of them.
    """
    chance = random.Random(seed)
    left: dict[str, list[tuple[int, int]]] = {}
    for number in chance.sample(range(len(cases)), len(cases)):
        asked = len(cases[number].questions)
        drawn = chance.sample(range(asked), min(asked, per_text or asked))
        left.setdefault(cases[number].document, []).extend((number, position) for position in drawn)
    if per_text is None:
        for places in left.values():
            chance.shuffle(places)
    taken = set(_evenly(list(left.values()), count))
    return [
        replace(case, questions=kept)
        for number, case in enumerate(cases)
        if (kept := tuple(one for at, one in enumerate(case.questions) if (number, at) in taken))
    ]


def _evenly(places: Sequence[Sequence[tuple[int, int]]], count: int) -> Iterator[tuple[int, int]]:
    """The first ones of each, in turn, up to `count`."""
    turns = (one for turn in zip_longest(*places) for one in turn if one is not None)
    return islice(turns, count)


def questions(cases: Sequence[Case]) -> int:
    """How many there are."""
    return sum(len(case.questions) for case in cases)
