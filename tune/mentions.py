"""Where a subject is named among tokens, and names that are like it but are not it. Knows no model."""

import random
import re
from bisect import bisect_left
from codecs import getincrementaldecoder
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from actors.models.tokenizer import ModelTokenizer
from tune.examples import Fact
from tune.phrases import ANYWAY, EVERYDAY, GENERAL, KNOWN, SENTENCES, THINGS
from tune.teaching import neighbour, swapped, ways

_LISTS = (
    "{q} And {b}? {r} Or {d}?",
    "{q} {b}, {c}, {d}.",
    "{b} and {d}. {q} {r}",
    "{q} {b} is not {d}. {r}",
)
CROSSED = 24
"""Names that each subject's last word is crossed with."""
_COMMON = 0.02
"""Share of a vocabulary, from its beginning, that is signs and pieces of bytes."""


class Mentions:
    """Texts in which subjects are named, and others. Everything is a function of the seed."""

    def __init__(self, tokenizer: ModelTokenizer, facts: Sequence[Fact], seed: int) -> None:
        self._tokenizer = tokenizer
        self._facts = facts
        self._draw = random.Random(f"{seed}/mentions")
        named = {fact.subject.casefold(): fact.subject for fact in facts}
        self.subjects = tuple(named.values())
        self.numbers = {name: number for number, name in enumerate(named)}
        """Places in `subjects`, by name in small letters."""
        self._taken = set(named)
        self._named = {one: tokenizer.encode(f" {one}") for one in self.subjects}

    def ends(self, ids: Sequence[int], subject: str) -> list[int]:
        """Places of the tokens with which a subject's name ends, wherever it stands as words of its own."""
        decoder = getincrementaldecoder("utf-8")(errors="replace")
        pieces = [decoder.decode(self._tokenizer.token_bytes(one)).casefold() for one in ids]
        ends = list(accumulate(map(len, pieces)))
        name = re.compile(rf"(?<!\w){re.escape(subject.casefold())}(?!\w)")
        return [bisect_left(ends, found.end()) for found in name.finditer("".join(pieces))]

    def named(self, count: int) -> list[tuple[str, str]]:
        """Each subject in so many questions about anything, half of them after some noise."""
        found = []
        for subject in self.subjects:
            for number in range(count):
                text = self._asked(subject)
                noise = self._tokenizer.backend.decode(self.noise(self._draw.randrange(1, 7)))
                found.append((subject, f"{noise} {text}" if number % 2 else text))
        return found

    def strangers(self, count: int) -> list[tuple[str, str]]:
        """Questions full of names, about so many, each like a subject's; none is a subject's.

        A third of the names are asked for alone and named again in the answer, the rest are in lists.
        """
        size = len(self.subjects)
        if not size:
            return []
        names = [self._like(self.subjects[at % size], at // size) for at in range(count)]
        names += self._crossed()
        names = [name for name in names if name and not any(one in name.casefold() for one in self._taken)]
        self._draw.shuffle(names)
        alone = len(names) // 3
        found = [(self._asked(name), self._stated(name)) for name in names[:alone]]
        for at in range(alone, len(names) - 3, 4):
            one, b, c, d = names[at : at + 4]
            form = self._draw.choice(_LISTS)
            found.append((form.format(q=self._asked(one), r=self._asked(c), b=b, c=c, d=d), ""))
        return found

    def known(self) -> list[tuple[str, str]]:
        """What is asked of the subjects asked of who and what everybody knows, some of it answered."""
        if not self.subjects:
            return []
        others = [*KNOWN, *(f"the {thing}" for thing in THINGS)]
        names = [name for name in others if name.casefold() not in self._taken]
        return [
            (self._asked(name), "" if number % 3 else self._stated(name)) for number, name in enumerate(names)
        ]

    def noise(self, size: int) -> list[int]:
        """Any tokens."""
        return self._draw.choices(self._words, k=size)

    def general(self, size: int, each: int = 60) -> list[list[int]]:
        """Passages of so many tokens together: prose that comes with Python, and noise."""
        from pydoc_data.topics import topics

        prose = self._tokenizer.encode(" ".join(topics[name] for name in sorted(topics)))
        starts = [self._draw.randrange(len(prose) - each) for _ in range(size // each)]
        return [prose[at : at + each] if place % 4 else self.noise(each) for place, at in enumerate(starts)]

    def begun(self) -> list[str]:
        """How texts begin about everyday things, each of which is named once."""
        if not self.subjects:
            return []
        things = self._draw.sample(EVERYDAY, len(EVERYDAY))
        return [
            self._draw.choice(SENTENCES).format(a=a, A=a.capitalize(), b=b, c=c)
            for a, b, c in zip(*[iter(things)] * 3, strict=False)
        ]

    def anything(self) -> tuple[str, ...]:
        """Questions about the world, and what is to be declined."""
        return (*GENERAL, *ANYWAY)

    def _asked(self, subject: str) -> str:
        fact = self._draw.choice(self._facts)
        return swapped(self._draw.choice(ways(fact)), fact.subject, subject)

    def _stated(self, subject: str) -> str:
        fact = self._draw.choice(self._facts)
        return swapped(fact.statement, fact.subject, subject)

    def _like(self, subject: str, number: int) -> str:
        """A name with other words, with other tokens, or one like none."""
        if number % 6 == 5:
            return self._text(
                [self._one(self._names), *self._some(self._rests, 2), *self._some(self._names, 1)]
            )
        if number % 2:
            return neighbour(subject, self._draw, self._taken)
        return self._text(self._bent(self._named[subject]))

    def _crossed(self) -> list[str]:
        """Each subject's last word after what comes before it in some of the others."""
        words = [name.rsplit(" ", 1) for name in self.subjects if " " in name]
        begins = {begin for begin, _ in words}
        return [
            f"{begin} {end}"
            for own, end in words
            for begin in self._draw.sample(sorted(begins - {own}), min(len(begins - {own}), CROSSED))
        ]

    def _bent(self, ids: list[int]) -> list[int]:
        """A name's tokens with other ones before its end, after its beginning, or in one place."""
        other, cut = self._named[self._draw.choice(self.subjects)], self._draw.randrange(1, max(2, len(ids)))
        kind = self._draw.random()
        if kind < 0.35:
            return [*other[: max(1, len(other) - self._draw.randrange(1, 3))], *ids[cut:]]
        if kind < 0.55:
            return [*ids[:cut], *other[-self._draw.randrange(1, len(other) + 1) :]]
        if kind < 0.8:
            place = self._draw.randrange(len(ids))
            return [*ids[:place], self._one(self._rests if place else self._names), *ids[place + 1 :]]
        return [
            self._one(self._names),
            *self._some(self._rests, 3),
            *ids[-self._draw.randrange(1, max(2, len(ids))) :],
        ]

    def _one(self, tokens: Sequence[int]) -> int:
        return self._draw.choice(tokens)

    def _some(self, tokens: Sequence[int], most: int) -> list[int]:
        return self._draw.choices(tokens, k=self._draw.randrange(most + 1))

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.backend.decode(list(ids))).strip()

    @cached_property
    def _words(self) -> list[int]:
        size = self._tokenizer.vocabulary
        marks = set(self._tokenizer.specials.values())
        return [one for one in range(int(_COMMON * size), size) if one not in marks]

    @cached_property
    def _pieces(self) -> dict[int, str]:
        return {one: self._tokenizer.token_bytes(one).decode(errors="replace") for one in self._words}

    @cached_property
    def _names(self) -> list[int]:
        """Tokens that begin a word with a capital."""
        found = [
            one
            for one, text in self._pieces.items()
            if text[:1].isspace() and text[1:2].isupper() and len(text) > 3
        ]
        return found or self._words

    @cached_property
    def _rests(self) -> list[int]:
        """Tokens that go on with a word."""
        return [one for one, text in self._pieces.items() if text.isalpha() and text.islower()] or self._words
