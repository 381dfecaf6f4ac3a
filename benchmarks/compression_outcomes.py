"""What each arm makes of each text at each budget, and what is left of the answers. Knows no reader."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.compression.counting import TokenCounter
from actors.compression.reward import find
from benchmarks.compression_arms import Arm, Short, Text

LEAST_TOKENS = 50
"""Texts of at most so many tokens are not held to the asked ratio."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question after its text was made shorter; `text` numbers the text among those given."""

    text: int
    question: str
    answers: tuple[str, ...]
    short: Short
    kept: bool
    """Whether an accepted answer still stands there whole."""


Outcomes = Mapping[tuple[str, float], list[Outcome]]
"""By arm's name and budget; one for each question, in the same order for all."""


def outcomes(arms: Sequence[Arm], texts: Sequence[Text], budgets: Sequence[float]) -> Outcomes:
    """Every arm over every text; an arm that asks shortens once for each question."""
    return {
        (arm.name, budget): [
            one for number, text in enumerate(texts) for one in _of_text(arm, number, text, budget)
        ]
        for arm in arms
        for budget in budgets
    }


def given(texts: Sequence[Text], made: Sequence[str], counter: TokenCounter) -> list[Outcome]:
    """Outcomes of texts that something else made shorter, in the order of `texts`."""
    found = []
    for number, (text, one) in enumerate(zip(texts, made, strict=True)):
        short = Short(one, counter.count(text.case.text), counter.count(one))
        for question in text.case.questions:
            kept = holds(text, short, question.answers)
            found.append(Outcome(number, question.text, question.answers, short, kept))
    return found


def _of_text(arm: Arm, number: int, text: Text, budget: float) -> Iterator[Outcome]:
    short = None
    for question in text.case.questions:
        if short is None or arm.asks:
            short = arm.shorten(text, question.text, budget)
        kept = holds(text, short, question.answers)
        yield Outcome(number, question.text, question.answers, short, kept)


def holds(text: Text, short: Short, answers: Sequence[str]) -> bool:
    """Whether an accepted answer is left whole: where words were chosen, all words of one of its places."""
    plain, mask = _plain(short.text), short.mask
    if mask is None:
        return any(_plain(answer) in plain for answer in answers)
    return any(
        bool(mask[start:end].all()) and _plain(answer) in plain
        for answer in answers
        for start, end in find(text.case.text, text.words, answer)
    )


def deviations(found: Sequence[Outcome], budget: float) -> NDArray[np.float64]:
    """How far each long enough text is from the share of tokens that was asked for."""
    some = {id(one.short): one.short for one in found}.values()
    return np.array([abs(one.ratio - budget) for one in some if one.before > LEAST_TOKENS])


def _plain(text: str) -> str:
    return " ".join(text.split())
