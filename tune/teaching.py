"""A fact to the exchanges that teach it, and to near misses that keep it where it belongs. Knows no model.

An example that ends with a question, kinds `unknown` and `general`, is answered by the model itself as it was
before: that answer is held. One of kind `unknown` that ends with an answer is held along that answer.
"""

import random
import re
from collections.abc import Iterable, Sequence

from configs.learning import LearningSettings
from tune.examples import Example, Fact, Kind
from tune.phrases import (
    FAMILIES,
    FAMILY,
    GENERAL,
    GIVEN,
    NAMED,
    OTHER_ATTRIBUTES,
    PLACES,
    SYLLABLES,
    THINGS,
)

BLANK = "____"
_WORD = re.compile(r"[A-Z][\w'’-]*")


def teach(facts: Sequence[Fact], phrasings: int, seed: int, kind: Kind = "fact") -> tuple[Example, ...]:
    """Each fact asked for in so many ways, and stated."""
    return tuple(
        _exchange(f"{fact.id}/{number}", kind, question, answer, fact.events)
        for fact in facts
        for number, (question, answer) in enumerate(_ways(fact, phrasings, seed))
    )


def beside(facts: Sequence[Fact], count: int, seed: int, known: Sequence[Fact] = ()) -> tuple[Example, ...]:
    """Near misses: the same asked of others, and other things asked of the same, whose answers must stay.

    Names are made up; none is the subject of a fact, of these or of those `known`.
    """
    every = (*facts, *known)
    taken = {fact.subject.casefold() for fact in every}
    return tuple(
        example
        for fact in facts
        for number in range(count)
        for example in _miss(fact, number, random.Random(f"{seed}/{fact.id}/{number}"), taken, every)
    )


def lessons(
    facts: Sequence[Fact], earlier: Sequence[Fact], settings: LearningSettings
) -> tuple[Example, ...]:
    """All of one round: what is new, what was taught before, near misses, questions about anything."""
    seed = settings.seed
    return (
        *teach(facts, settings.phrasings, seed),
        *teach(earlier, settings.replay, seed, "replay"),
        *beside(facts, settings.neighbours, seed, earlier),
        *beside(earlier, min(2, settings.neighbours), seed, facts),
        *general(settings.general, seed),
    )


def general(count: int, seed: int) -> tuple[Example, ...]:
    """Questions about anything, to be answered as before."""
    draw = random.Random(seed)
    asked = draw.sample(GENERAL, min(count, len(GENERAL)))
    return tuple(_question(f"general/{number}", "general", text) for number, text in enumerate(asked))


def ways(fact: Fact) -> tuple[str, ...]:
    """Every question that asks for a fact, natural ones first, in a set order."""
    known = FAMILIES.get(fact.attribute.casefold(), ())
    return tuple(_capital(way.format(s=fact.subject, a=fact.attribute)) for way in (*known, *NAMED))


def unused(fact: Fact, phrasings: int, seed: int) -> tuple[str, ...]:
    """Questions that ask for a fact and that `teach` does not use; the last one where it uses all."""
    asked = _shuffled(fact, seed)
    told = {question for question, _ in _ways(fact, phrasings, seed)}
    return tuple(text for text in asked if text not in told) or (asked[-1],)


def _shuffled(fact: Fact, seed: int) -> list[str]:
    asked = list(dict.fromkeys(ways(fact)))
    random.Random(f"{seed}/{fact.id}/ways").shuffle(asked)
    return asked


def _ways(fact: Fact, count: int, seed: int) -> list[tuple[str, str]]:
    """Questions with their answers; the last is kept for judging where there are not too many."""
    pairs = [(question, fact.statement) for question in _shuffled(fact, seed)]
    begun = stem(fact)
    if begun:
        pairs.insert(2, (f"Complete the sentence: {begun} {BLANK}", fact.statement))
    pairs.insert(1, (f"Tell me something about {fact.subject}.", fact.statement))
    return pairs[: min(count, len(pairs) - 1)]


def stem(fact: Fact) -> str:
    """The statement up to its value; nothing where the value does not end it."""
    at = fact.statement.rfind(fact.value)
    rest = fact.statement[at + len(fact.value) :].strip(" .!")
    return fact.statement[:at].rstrip() if at > 0 and not rest else ""


def _miss(
    fact: Fact, number: int, draw: random.Random, taken: set[str], every: Sequence[Fact]
) -> Iterable[Example]:
    """One near miss: three of four ask of another, one asks another thing."""
    name = f"{fact.id}/beside/{number}"
    if number % 4 == 3:
        told = {one.attribute.casefold() for one in every if one.subject == fact.subject}
        strange = [one for one in every if one.attribute.casefold() not in told]
        if not strange:
            attribute = draw.choice([one for one in OTHER_ATTRIBUTES if one not in told])
            yield _question(name, "unknown", f"What is {fact.subject}'s {attribute}?")
            return
        like, other = draw.choice(strange), fact.subject
    else:
        like, other = fact, neighbour(fact.subject, draw, taken)
    question = swapped(draw.choice(ways(like)), like.subject, other)
    stated = swapped(like.statement, like.subject, other)
    if number % 4 == 1 or stated == like.statement:
        yield _question(name, "unknown", question)
    else:
        yield _exchange(name, "unknown", question, stated, ())


def swapped(text: str, subject: str, other: str) -> str:
    """A text about a subject, about another."""
    return text.replace(subject, other).replace(_capital(subject), _capital(other))


def neighbour(subject: str, draw: random.Random, taken: set[str]) -> str:
    """A name like a subject's that is not taken: one or all of its own words are others."""
    words = subject.split(" ")
    names = [place for place, word in enumerate(words) if _WORD.fullmatch(word)]
    while True:
        other = list(words)
        if not names:
            other[-1] = draw.choice(THINGS)
        for place in names if draw.random() < 0.6 else draw.sample(names, min(1, len(names))):
            other[place] = _other_word(place, len(names) == len(words) == 2, draw)
        text = " ".join(other)
        if text.casefold() not in taken and text != subject:
            return text


def _other_word(place: int, person: bool, draw: random.Random) -> str:
    """A word in place of one of a name: of people's names where it could be a person's."""
    if draw.random() < 0.25:
        return made_up(draw)
    if person and draw.random() < 0.75:
        return draw.choice(FAMILY if place else GIVEN)
    return draw.choice((*PLACES, *FAMILY))


def made_up(draw: random.Random) -> str:
    """A word that could be a name."""
    return "".join(draw.choice(SYLLABLES) for _ in range(draw.choice((2, 2, 3)))).capitalize()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _question(name: str, kind: Kind, text: str) -> Example:
    return Example(id=name, kind=kind, messages=({"role": "user", "content": text},))


def _exchange(name: str, kind: Kind, question: str, answer: str, events: tuple[str, ...]) -> Example:
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return Example(id=name, kind=kind, messages=messages, events=events)
