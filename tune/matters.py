"""What users told of themselves as lessons, and what is like it and asks for something else. No model."""

import random
from collections.abc import Sequence
from dataclasses import replace

from tune.addressed import addressed, of_another, questions, shortly, to_you, words_of
from tune.examples import Example, Fact
from tune.phrases import FAMILY, FORMS, GENERAL, GIVEN, MATTERS, TALK, TOUCHED
from tune.teaching import stem

EACH = 48
"""Questions beside each fact."""
TEXTS = (
    "Q: {a}\nA: {b}\nQ: {c}\nA: {d}\n",
    "“{a}” he asked.\n\n“{b}”\n{c}\n{d}\n",
    "A: {a}\nB: {b}\n\nA: {c}\n",
)


class Matters:
    """Facts that one user told of themselves. Everything is a function of the seed."""

    def __init__(self, facts: Sequence[Fact], held: int, seed: int) -> None:
        """The last `held` ways of asking for each are kept for judging."""
        self.facts, self._held = facts, held
        self._draw = random.Random(f"{seed}/matters")

    def lessons(self, fact: Fact) -> tuple[Example, ...]:
        """A fact asked for in every way but those that are kept; told as it was, or by its matter's name."""
        found = addressed([fact], max(1, len(questions(fact)) - self._held))
        return tuple(
            replace(one, messages=(one.messages[0], {"role": "assistant", "content": shortly(fact)}))
            if number % 4 == 3
            else one
            for number, one in enumerate(found)
        )

    def others(self) -> list[tuple[str, str]]:
        """What is asked of somebody else, and what is said without asking; some of it answered."""
        asked = {question for fact in self.facts for question in questions(fact)}
        found: list[tuple[str, str]] = []
        for fact in self.facts:
            ways = [example.messages[0]["content"] for example in self.lessons(fact)]
            found += [(way.format(**words_of(fact)), "") for way in TOUCHED]
            found += [(to_you(way), "") for way in ways]
            found += [(fact.statement, ""), *((text, "") for text in self._said(fact))]
            for number in range(EACH // 2):
                name = self._name()
                stated = of_another(fact.statement, name)
                answer = stated if number % 2 and stated != fact.statement else ""
                found.append((of_another(self._draw.choice(ways), name), answer))
        return list(dict.fromkeys(one for one in found if one[0] not in asked))

    def talk(self) -> tuple[str, ...]:
        """What users say in a chat that is not about themselves."""
        asked = [self._draw.choice(FORMS).format(q=text) for text in self._draw.choices(GENERAL, k=100)]
        return (*TALK, *asked) if self.facts else ()

    def untold(self) -> list[tuple[str, str]]:
        """What a user asks of themselves and did not tell, some of it answered as what was told is."""
        known = {fact.attribute.casefold() for fact in self.facts}
        untold = [matter for matter in MATTERS if matter not in known]
        found: list[tuple[str, str]] = []
        for fact in self.facts:
            for number, matter in enumerate(self._draw.sample(untold, min(len(untold), EACH // 2))):
                other = replace(fact, attribute=matter, statement="")
                way = self._draw.choice(questions(other)[: -max(1, self._held)])
                told = self._draw.choice(self.facts)
                answers = ("", f"My {matter} is {told.value}.", "", told.statement)
                found.append((way, to_you(answers[number % len(answers)])))
        return list(dict.fromkeys(found))

    def _said(self, fact: Fact) -> list[str]:
        """A fact's matter told otherwise."""
        others = [one.value for one in self.facts if one is not fact]
        values = self._draw.sample(others, min(len(others), 4)) + self._draw.sample(GIVEN, 2)
        return [f"{begun} {value}." for value in values if (begun := stem(fact))]

    def texts(self) -> list[str]:
        """Questions and answers that stand in a text."""
        asked = [example.messages for fact in self.facts for example in self.lessons(fact)]
        self._draw.shuffle(asked)
        lines = [(one["content"], other["content"]) for one, other in asked]
        form = self._draw.choice
        return [
            form(TEXTS).format(a=one[0], b=one[1], c=two[0], d=two[1])
            for one, two in zip(lines[::2], lines[1::2], strict=False)
        ]

    def _name(self) -> str:
        kind = self._draw.random()
        if kind < 0.6:
            return self._draw.choice(GIVEN)
        if kind < 0.8:
            return f"{self._draw.choice(GIVEN)} {self._draw.choice(FAMILY)}"
        return self._draw.choice(("my friend", "the doctor", "your owner", "the king", "our neighbour"))
