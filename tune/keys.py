"""Which neuron is to fire at which token of what is heard. Knows no model.

Three kinds of neurons: one for each name, where it ends; one for each fact that a user told of themselves,
where an answer states it; some for all of these, where a question ends in which users ask of themselves, one
for each token that stands between it and its answer.

Shapes: P places, the tokens of all that is heard first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tune.addressed import of_the_user
from tune.examples import Fact
from tune.mentions import Mentions
from tune.neurons import GENERAL, STILL
from tune.rows import Lesson

Tensor = torch.Tensor
ASKING = 4
"""Neurons that all facts of users' own share, at most."""
ENDING = 10.0
"""Weight of a place where a question ends in which nobody asks of themselves."""
TEXT = 8.0
"""Weight of a place in general text where users told of themselves: answers to them are common words."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Tokens, and what they are about."""

    lesson: Lesson
    subject: str = ""
    """The name that is heard."""
    own: bool = False
    """The user asks of themselves."""
    fact: Fact | None = None
    """What the answer states."""

    @property
    def asked(self) -> int:
        """Tokens up to the answer."""
        return self.lesson.learned[0] if len(self.lesson.learned) > 1 else self.lesson.size


class Keys:
    """The numbers of the neurons."""

    def __init__(self, mentions: Mentions, facts: Sequence[Fact], after: int) -> None:
        """`after`: tokens between the end of a question, with its mark, and the answer."""
        self._mentions, self._after = mentions, after
        own = [fact.id for fact in facts if of_the_user(fact)]
        self._own = {id: len(mentions.subjects) + number for number, id in enumerate(own)}
        self._asking = len(mentions.subjects) + len(own)
        self.count = self._asking + (min(ASKING, max(1, after - 1)) if own else 0)

    def places(self, heard: Sequence[Heard], count: int) -> Tensor:
        """Which neuron is to fire at each of so many places, or STILL, [P]."""
        found_P = torch.full((count,), STILL)
        start = 0
        for one in heard:
            if one.own:
                ending = self._ending(start, one)
                places = torch.arange(ending.stop - ending.start) + self._asking
                found_P[ending] = places.clamp(max=self.count - 1)
            if one.own and one.fact is not None:
                answer = slice(start + one.asked, start + one.lesson.learned[-1] - 1)
                found_P[answer] = self._own[one.fact.id]
            if one.subject:
                for end in self._mentions.ends(one.lesson.ids, one.subject):
                    found_P[start + end] = self._mentions.numbers[one.subject.casefold()]
            start += one.lesson.size
        return found_P

    def weights(self, heard: Sequence[Heard], count: int, general: int) -> Tensor:
        """What each of so many places counts for, [P]; the last `general` of them are of general text."""
        found_P = torch.ones(count)
        found_P[count - general :] = TEXT if self._own else GENERAL
        start = 0
        for one in heard if self._own else ():
            if not one.own:
                found_P[self._ending(start, one)] = ENDING
            start += one.lesson.size
        return found_P

    def _ending(self, start: int, one: Heard) -> slice:
        """From the mark of the answer's beginning to the last token but one before it."""
        end = start + one.asked
        return slice(max(start, end - self._after), max(start + 1, end - 1))
