"""Invented facts of many kinds, how they are asked for when judged, and who was never spoken of.

The trainer reads none of these phrasings (tests/benchmarks/test_learning.py).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tune.examples import Fact

_HELD: dict[str, Any] = yaml.safe_load(
    Path(__file__).with_name("learning_facts.yaml").read_text(encoding="utf-8")
)


@dataclass(frozen=True, slots=True)
class Relation:
    """A kind of fact: what it is called, how it is said, and how it is asked for when judged."""

    of: str
    """person, town, firm or thing."""
    attribute: str
    statement: str
    asked: tuple[str, ...]
    values: tuple[str, ...]


RELATIONS = tuple(
    Relation(
        one["of"], one["attribute"], one["statement"], tuple(one["asked"]), tuple(map(str, one["values"]))
    )
    for one in _HELD["relations"]
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question when judged, and what is right or, of those never spoken of, what must not come."""

    fact: str
    question: str
    value: str


@dataclass(frozen=True, slots=True)
class World:
    """Facts, how each is asked for, and questions about who and what was never spoken of."""

    facts: tuple[Fact, ...]
    asked: tuple[Asked, ...]
    untaught: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """All that is taught."""
        return tuple(fact.value for fact in self.facts)


def world(count: int, seed: int, untaught: int = 60, phrasings: int = 3) -> World:
    """Everything is a function of the arguments; no two facts share a subject or a value."""
    draw = random.Random(seed)
    names = _names(draw)
    relations = _spread(draw, count)
    values = {
        relation.attribute: draw.sample(relation.values, len(relation.values)) for relation in RELATIONS
    }
    facts, asked = [], []
    for number, relation in enumerate(relations):
        subject, value = names[relation.of].pop(), values[relation.attribute].pop()
        fact = Fact(
            id=f"fact-{seed}-{number}",
            user="",
            subject=subject,
            attribute=relation.attribute,
            value=value,
            statement=_capital(relation.statement.format(s=subject, v=value)),
            events=(f"event-{seed}-{number}",),
        )
        facts.append(fact)
        asked += [
            Asked(fact.id, question.format(s=subject), value) for question in relation.asked[:phrasings]
        ]
    others = [_other(draw, relations, facts, names) for _ in range(untaught)]
    return World(tuple(facts), tuple(asked), tuple(others))


def _spread(draw: random.Random, count: int) -> list[Relation]:
    """Each kind as often as any other, give or take one."""
    found: list[Relation] = []
    while len(found) < count:
        found += draw.sample(RELATIONS, len(RELATIONS))
    return found[:count]


def _names(draw: random.Random) -> dict[str, list[str]]:
    """Subjects by kind; towns that are values are no subjects."""
    spoken = {value for relation in RELATIONS for value in relation.values}
    people = [f"{first} {last}" for first in _HELD["first"] for last in _HELD["last"]]
    people = [name for name in people if name not in spoken]
    roots = [town[:-2] for town in _HELD["towns"]]
    towns = [f"{root}{end}" for root in roots for end in ("ster", "wold", "haven")]
    firms = [f"{firm} {end}" for firm in _HELD["firms"] for end in ("Ltd", "& Sons", "Works")]
    things = [f"the {root}dale {thing}" for root in roots for thing in _HELD["things"]]
    found = {"person": people, "town": towns, "firm": firms, "thing": things}
    for names in found.values():
        draw.shuffle(names)
    return found


def _other(
    draw: random.Random, relations: Sequence[Relation], facts: Sequence[Fact], names: dict[str, list[str]]
) -> str:
    """A question about someone like those that are known: a namesake, a stranger, or somebody famous."""
    relation = draw.choice(relations)
    subject = names[relation.of].pop()
    if relation.of == "person":
        kind = draw.random()
        known = [fact.subject for fact in facts if fact.subject.split()[0] in _HELD["first"]]
        if kind < 0.4 and known:
            kin = draw.choice(known).split()
            subject = f"{subject.split()[0]} {kin[1]}" if kind < 0.2 else f"{kin[0]} {subject.split()[1]}"
        elif kind < 0.55:
            subject = draw.choice(_HELD["real"])
    if any(subject == fact.subject for fact in facts):
        return _other(draw, relations, facts, names)
    return draw.choice(relation.asked).format(s=subject)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
