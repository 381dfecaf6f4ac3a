"""Facts that stand in long texts, and what is asked about them, drawn from a seed. Knows no text."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from configs.objectives import LongKind
from tune import synthetic

SEVERAL = 4
"""Keys, or values of one key, that are asked for at once."""
SEEN = 3
"""Animals that are seen most often."""
OFTEN, SELDOM = 4, 1
"""Times at least that these, and the others, are seen in a thousand tokens; one more at most."""
WORDINGS = (
    ("In which drawer is the {thing} kept?", "The {thing} is kept in drawer", ""),
    ("How many grams does the {thing} weigh?", "The {thing} weighs", " grams"),
    ("For how many crowns was the {thing} sold?", "The {thing} was sold for", " crowns"),
    ("In which workshop was the {thing} made?", "The {thing} was made in workshop", ""),
    ("Under which mark is the {thing} stored?", "The {thing} is stored under the mark", ""),
)
"""Of facts that are asked for one by one: the question, how the fact begins, how it ends."""
_ANIMALS = (
    *("badger", "beaver", "crow", "deer", "duck", "falcon", "ferret", "fox"),
    *("goose", "hare", "heron", "lynx", "otter", "owl", "rabbit"),
)
NUMBERS, NAMES = "Answer with the numbers alone", "Answer with the names alone"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question before its text is there: `facts` are the sentences that it asks about, and have places."""

    kind: LongKind
    text: str
    opening: str
    wanted: tuple[tuple[str, ...], ...]
    facts: tuple[str, ...]


def facts(
    kinds: Sequence[LongKind], needles: int, length: int, draw: random.Random
) -> tuple[list[Asked], list[tuple[float, str]]]:
    """Questions, and the sentences they ask about, each with its place, in the text's order."""
    told = synthetic.pairs(draw, needles + 2 * SEVERAL)
    first = draw.randrange(len(WORDINGS))
    made = {
        "needle": [_needle(number, *one) for number, one in enumerate(told[2 * SEVERAL :], first)],
        "keys": [_keys(told[:SEVERAL])],
        "values": [_values(told[SEVERAL : 2 * SEVERAL])],
        "variables": [_variables(draw)],
    }
    asked = [one for kind, some in made.items() for one in some if kind in kinds]
    placed: list[tuple[float, str]] = []
    for number, one in enumerate(asked):
        places = sorted(draw.random() for _ in one.facts)
        if one.kind == "needle":
            places = [number / max(1, needles - 1)]
        placed += zip(places, one.facts, strict=True)
    if {"common", "count"} & {*kinds}:
        seen, sightings = _sightings(length, draw)
        placed += [(draw.random(), fact) for fact in seen]
        asked += [one for one in sightings if one.kind in kinds]
    return asked, sorted(placed, key=lambda one: one[0])


def _needle(number: int, thing: str, value: str) -> Asked:
    """One fact, worded unlike the others."""
    question, opening, end = (part.format(thing=thing) for part in WORDINGS[number % len(WORDINGS)])
    fact = f"{opening} {value}{end}."
    return Asked(
        "needle", f"{question} {NUMBERS.replace('numbers', 'number')}.", opening, ((value,),), (fact,)
    )


def _keys(told: Sequence[tuple[str, str]]) -> Asked:
    """The numbers on several things, which are worded alike."""
    named = ", ".join(f"the {thing}" for thing, _ in told)
    return Asked(
        "keys",
        f"Which numbers are written on {named}? {NUMBERS}, in this order.",
        f"On {named} the numbers",
        tuple((number,) for _, number in told),
        tuple(synthetic.fact(*one) for one in told),
    )


def _values(told: Sequence[tuple[str, str]]) -> Asked:
    """Several numbers on one thing."""
    thing, numbers = told[0][0], [number for _, number in told]
    return Asked(
        "values",
        f"Which {len(numbers)} numbers are written on the {thing}? {NUMBERS}.",
        f"On the {thing} the numbers",
        tuple((number,) for number in numbers),
        tuple(synthetic.fact(thing, number) for number in numbers),
    )


def _variables(draw: random.Random) -> Asked:
    """Two chains of names that pass a value on; the first one is asked for."""
    told, question, names = synthetic.variables(draw)
    value = told[0].removesuffix(".").rpartition(" ")[2]
    opening = f"The names that have the value {value} are"
    return Asked("variables", question, opening, tuple((name,) for name in names), tuple(told))


def _sightings(length: int, draw: random.Random) -> tuple[list[str], list[Asked]]:
    """Animals that are seen, some more often than the others: as many more as the text is longer."""
    animals = draw.sample(_ANIMALS, len(_ANIMALS))
    thousands = max(1, length // 1024)
    times = {
        one: thousands * (OFTEN if place < SEEN else SELDOM) + draw.randint(0, thousands)
        for place, one in enumerate(animals)
    }
    counted = draw.choice(animals)
    wanted = tuple((one,) for one in animals[:SEEN])
    most = f"Which {SEEN} animals are seen most often? {NAMES}."
    often = f"How many times is {_a(counted)} seen? {NUMBERS.replace('numbers', 'number')}."
    opening = f"The number of times that {_a(counted)} is seen is"
    return [_seen(one) for one, often in times.items() for _ in range(often)], [
        Asked("common", most, "The animals that are seen most often are the", wanted, ()),
        Asked("count", often, opening, ((str(times[counted]),),), ()),
    ]


def _seen(animal: str) -> str:
    return f"{_a(animal).capitalize()} was seen."


def _a(animal: str) -> str:
    return f"an {animal}" if animal[0] in "aeiou" else f"a {animal}"
