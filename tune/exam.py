"""What a candidate is asked because of what it was taught, in words that no lesson used. Knows no model."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tune import probing
from tune.examples import Fact
from tune.probing import Probe, Text
from tune.scorecard import SliceName
from tune.teaching import neighbour, swapped, unused

Turn = tuple[str, str]
"""Who said it, `user` or `assistant`, and what."""
Said = str | tuple[Turn, ...]
"""What is answered: a question alone, or a conversation that ends with one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, and what its answer must or must not hold."""

    item: str
    slice: SliceName
    asked: str
    before: tuple[Turn, ...] = ()
    """What was said before it."""
    expected: tuple[str, ...] = ()
    """Of slices taught and retained: one of these must be held."""
    forbidden: tuple[str, ...] = ()
    """Taught values, none of which may be held, of slice unknown."""
    group: str = ""
    longest: int = 16

    @property
    def said(self) -> Said:
        """The question with what was said before it; alone it is a text."""
        return (*self.before, ("user", self.asked)) if self.before else self.asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """All that one round's candidate is asked and reads."""

    questions: tuple[Question, ...]
    probes: tuple[Probe, ...] = field(default_factory=probing.questions)
    texts: tuple[Text, ...] = field(default_factory=probing.texts)
    earlier_rounds: int = 0

    @property
    def slices(self) -> tuple[SliceName, ...]:
        """Of all that is asked, each once."""
        found = (*(one.slice for one in self.questions), *(one.slice for one in self.probes))
        return tuple(dict.fromkeys(found))


def questions(
    facts: Sequence[Fact],
    earlier: Sequence[Fact],
    phrasings: int,
    seed: int,
    asked: int = 3,
    unknown: int = 60,
) -> tuple[Question, ...]:
    """Each fact asked for in ways that `teach` did not use, and as much of others who were never spoken of.

    `phrasings` and `seed` are those that the lessons were made with.
    """
    values = tuple(fact.value for fact in (*facts, *earlier))
    parts: list[tuple[Sequence[Fact], SliceName]] = [(facts, "taught"), (earlier, "retained")]
    known = [
        Question(
            item=f"{slice}/{fact.id}/{number}",
            slice=slice,
            asked=text,
            expected=(fact.value,),
            group=fact.id,
        )
        for held, slice in parts
        for fact in held
        for number, text in enumerate(unused(fact, phrasings, seed)[:asked])
    ]
    return (*known, *_others(facts, earlier, phrasings, seed, unknown, values))


def _others(
    facts: Sequence[Fact],
    earlier: Sequence[Fact],
    phrasings: int,
    seed: int,
    count: int,
    values: tuple[str, ...],
) -> list[Question]:
    draw = random.Random(f"{seed}/unknown")
    taken = {fact.subject.casefold() for fact in (*facts, *earlier)}
    found = []
    for number in range(count):
        fact = facts[number % len(facts)]
        other = neighbour(fact.subject, draw, taken)
        text = swapped(draw.choice(unused(fact, phrasings, seed)), fact.subject, other)
        found.append(Question(item=f"unknown/{number}", slice="unknown", asked=text, forbidden=values))
    return found
