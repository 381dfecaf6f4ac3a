"""Generates users for the memory suite: what they say, when, and what is right to answer. Knows no keeper."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DAY = 86_400.0
EXPIRY = 20.0
"""Seconds after which what expires is gone."""
Slot = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something a user says. `value` holds from then on in `slot`, or (`holds` false) no longer does."""

    text: str
    at: float
    slot: str = ""
    value: str = ""
    holds: bool = True
    expires: bool = False
    secret: str = ""
    """A word that no file may hold once this is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question, and which of what was said answers it: places in `Person.said`."""

    text: str
    kind: str
    right: frozenset[int]
    stale: frozenset[int]
    as_of: float | None = None


@dataclass(slots=True)
class Person:
    """One user: all they say in the order in which it is written, and what is asked."""

    name: str
    said: list[Said] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)


class Templates:
    """Sentences of one group for each slot: of its own three times of four, where it has any."""

    def __init__(self, shown: Mapping[str, Any], group: Mapping[str, Any], seed: int) -> None:
        self.slots: Mapping[str, Slot] = group.get("slots", shown["slots"])
        self.chatter: Sequence[str] = shown["chatter"]
        several = group["several"].items()
        self.several = {name: {**shown["several"].get(name, {}), **own} for name, own in several}
        self._nouns = group["nouns"]
        self._special = group["special"]
        self.random = random.Random(seed)

    def sentence(self, slot: str, act: str, value: str = "", old: str = "") -> str:
        """One sentence of a kind (`tell`, `update`, `retract`, `ask`) about a slot."""
        if slot in self.several:
            return str(self.random.choice(self.several[slot][act])).format(v=value, o=old)
        own = self._special.get(slot, {}).get(act)
        about = self.slots[slot]
        general = [one for one in self._nouns[act] if "be" not in about or _natural(one)]
        template = self.random.choice(own if own and self.random.random() < 0.75 else general)
        phrase = self.random.choice(about["np"])
        be = about.get("be", "") if own is None or template not in own else ""
        text = str(template).format(np=phrase, Np=phrase[0].upper() + phrase[1:], v=be + value, o=be + old)
        return text[0].upper() + text[1:]


def _natural(template: str) -> bool:
    """Whether a template reads well where the value begins with a preposition: the noun must come first."""
    return re.search(r"\{[vo]\}.*\{[nN]p\}", template) is None


def people(templates: Templates, count: int, now: float) -> list[Person]:
    """Users by pairs: both of a pair speak of the same slots and, where they can, give other values."""
    found = []
    for number in range(count):
        if number % 2 == 0:
            slots = templates.random.sample(sorted(templates.slots), 14)
        found.append(_person(templates, f"user-{number}", slots, number % 2, now))
    return found


def _person(templates: Templates, name: str, slots: Sequence[str], parity: int, now: float) -> Person:
    person = Person(name)
    scenes = ["plain", "update", "update", "twice", "late", "late", "retract", "replace", "restate", "return"]
    threads = [
        list(_scene(templates, slot, scene, parity, now))
        for slot, scene in zip(slots, [*scenes, "heal", "expire", "update", "late"], strict=True)
    ]
    threads.append([_chatter(templates, now) for _ in range(20)])
    threads.append([_secret(templates, now) for _ in range(3)])
    several = templates.random.choice(sorted(templates.several))
    threads.append(list(_several(templates, several, now)))
    while any(threads):
        person.said.append(templates.random.choice([thread for thread in threads if thread]).pop(0))
    for slot, scene in zip(slots, [*scenes, "heal", "expire", "update", "late"], strict=True):
        person.queries.extend(_queries(templates, person, slot, scene))
    person.queries.append(_several_query(templates, person, several))
    return person


def _scene(templates: Templates, slot: str, scene: str, parity: int, now: float) -> Iterator[Said]:
    """What is said of one slot, in the order in which it is written."""
    values = [value for place, value in enumerate(templates.slots[slot]["values"])]
    values = values[parity::2] if len(values) >= 6 else values
    one, two, *more = templates.random.sample(values, min(3, len(values)))
    three = more[0] if more else one
    t1, t2, t3 = (
        now - days * DAY for days in sorted(templates.random.sample(range(2, 400), 3), reverse=True)
    )
    tell = Said(text=templates.sentence(slot, "tell", one), at=t1, slot=slot, value=one)
    update = Said(text=templates.sentence(slot, "update", two, one), at=t2, slot=slot, value=two)
    retract = Said(
        text=templates.sentence(slot, "retract", "", one), at=t2, slot=slot, value=one, holds=False
    )
    third = Said(text=templates.sentence(slot, "update", three, two), at=t3, slot=slot, value=three)
    again = Said(text=templates.sentence(slot, "tell", one), at=t3, slot=slot, value=one)
    told = Said(text=templates.sentence(slot, "tell", two), at=t3, slot=slot, value=two)
    secret = f"zq{templates.random.randrange(16**6):06x}"
    gone = Said(text=f"{update.text} Ref {secret}.", at=t2, slot=slot, value=two, secret=secret)
    expiring = Said(text=tell.text, at=t1, slot=slot, value=one, expires=True)
    scenes = {
        "plain": [tell],
        "update": [tell, update],
        "twice": [tell, update, third],
        "late": [update, tell],
        "retract": [tell, retract],
        "replace": [tell, retract, told],
        "restate": [tell, again],
        "return": [tell, update, again],
        "heal": [tell, gone],
        "expire": [expiring],
    }
    yield from scenes[scene]


def _several(templates: Templates, slot: str, now: float) -> Iterator[Said]:
    one, two, three = templates.random.sample(templates.several[slot]["values"], 3)
    for days, value in ((300, one), (200, two), (120, three)):
        yield Said(text=templates.sentence(slot, "tell", value), at=now - days * DAY, slot=slot, value=value)
    text = templates.sentence(slot, "retract", "", two)
    yield Said(text=text, at=now - 30 * DAY, slot=slot, value=two, holds=False)


def _chatter(templates: Templates, now: float) -> Said:
    text = templates.random.choice(templates.chatter)
    return Said(text=text, at=now - templates.random.uniform(1, 400) * DAY)


def _secret(templates: Templates, now: float) -> Said:
    word = f"zq{templates.random.randrange(16**6):06x}"
    text = templates.random.choice(
        ["The code word is {}.", "Between us: {} is the plan.", "I hid it under {}."]
    )
    return Said(text=text.format(word), at=now - templates.random.uniform(1, 400) * DAY, secret=word)


def _queries(templates: Templates, person: Person, slot: str, scene: str) -> Iterator[Query]:
    asked = templates.sentence(slot, "ask")
    told = [(place, said) for place, said in enumerate(person.said) if said.slot == slot]
    if scene == "expire":
        places = frozenset(place for place, _ in told)
        yield Query(text=asked, kind="expiring", right=places, stale=frozenset())
        yield Query(text=asked, kind="expired", right=frozenset(), stale=places)
        return
    kept = [(place, said) for place, said in told if not said.secret]
    yield _query(asked, "healed" if scene == "heal" else scene, kept, None)
    times = sorted(said.at for _, said in told)
    if scene in ("update", "twice", "late", "replace", "return"):
        at = templates.random.randrange(len(times) - 1)
        yield _query(asked, "as of", told, (times[at] + times[at + 1]) / 2)


def _query(text: str, kind: str, told: Sequence[tuple[int, Said]], as_of: float | None) -> Query:
    """The right answers by a model of its own: the last thing said by then decides."""
    known = sorted((one for one in told if as_of is None or one[1].at <= as_of), key=lambda one: one[1].at)
    place, last = known[-1]
    if not last.holds:
        stale = frozenset(place for place, said in known if said.holds)
        return Query(text=text, kind=kind, right=frozenset([place]), stale=stale, as_of=as_of)
    right = frozenset(place for place, said in known if said.holds and said.value == last.value)
    stale = frozenset(place for place, said in known if said.holds) - right
    return Query(text=text, kind=kind, right=right, stale=stale, as_of=as_of)


def _several_query(templates: Templates, person: Person, slot: str) -> Query:
    told = [(place, said) for place, said in enumerate(person.said) if said.slot == slot]
    gone = {said.value for _, said in told if not said.holds}
    right = frozenset(place for place, said in told if said.holds and said.value not in gone)
    stale = frozenset(place for place, said in told if said.holds and said.value in gone)
    return Query(text=templates.sentence(slot, "ask"), kind="several", right=right, stale=stale)
