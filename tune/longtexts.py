"""Long texts of any length with questions about them, made by rule from a seed. Knows no torch and no model.

After RULER (Hsieh et al., 2024): facts asked for one by one, several keys or several values at once, chains
of names, what is named most often, how often. One text holds the facts of all kinds, so that it is read once.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from typing import get_args

from actors.memory.sentences import sentences
from actors.messages import ChatPrompt, InvalidRequest
from actors.models.template import render_chat
from actors.models.tokenizer import Tokenizer
from configs.objectives import LongKind
from tune import synthetic
from tune.grading import is_right
from tune.records import Record

KINDS: tuple[LongKind, ...] = get_args(LongKind)
SEVERAL = 4
"""Keys, or values of one key, that are asked for at once."""
SENTENCES = 8
"""Of a made-up paragraph."""
SPARE, WORDED = 8, 24
"""Tokens that an answer may take beyond the right one: where it is begun already, and where it is not."""
MOST_PASSAGES = 2
"""Questions about passages of the filler, of one text."""
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
QUOTED = "Answer with the shortest exact words from the text."


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a text: each of `wanted` is to be in the answer, in one of its forms."""

    kind: LongKind
    text: str
    opening: str
    """What the answer begins with, which is given."""
    wanted: tuple[tuple[str, ...], ...]
    depth: float
    """Where in the text, from 0 to 1, what it asks for stands; the mean of several places."""

    def worth(self, given: str) -> float:
        """Share of what is wanted that an answer holds."""
        return sum(is_right(given, forms) for forms in self.wanted) / len(self.wanted)

    @property
    def answer(self) -> str:
        """The right one, after its opening."""
        return ", ".join(forms[0] for forms in self.wanted)


@dataclass(frozen=True, slots=True)
class LongText:
    """A text, how many tokens it has, and what is asked about it."""

    text: str
    tokens: int
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question before its text is there: `facts` are the sentences that it asks about, and have places."""

    kind: LongKind
    text: str
    opening: str
    wanted: tuple[tuple[str, ...], ...]
    facts: tuple[str, ...]


def long_text(
    kinds: Sequence[LongKind],
    length: int,
    seed: str,
    tokenizer: Tokenizer,
    needles: int = 5,
    filler: Sequence[Record] = (),
) -> LongText:
    """A text that takes `length` tokens at most with the longest question and its answer, by whole sentences.

    A function of the arguments. Facts asked one by one stand at even depths, all others anywhere. What stands
    between is made up, or passages of `filler` in an order of the seed's, over and over.
    Raises InvalidRequest if `length` is too short for the facts.
    """
    draw = random.Random(f"{seed}/{length}")
    asked, told = _facts(kinds, needles, length, draw)
    passages = _passages(filler, draw)
    sizes: dict[str, int] = {}
    lines: list[str] = []
    used: list[Record] = []
    room = length - _longest([_drawn_up(one, "") for one in asked], _text(told, lines), tokenizer)
    if room < 0:
        raise InvalidRequest(f"{length} tokens are too few for questions of {', '.join(kinds)}: {-room} more")
    while room > 0:
        record, paragraph = next(passages)
        used += [record] if record else []
        for line in paragraph:
            if line not in sizes:
                sizes[line] = len(tokenizer.encode_plain(f" {line}"))
            room -= sizes[line]
            lines.append(line)
    while True:
        text = _text(told, lines)
        found = [_drawn_up(one, text) for one in asked]
        found += list(_about_passages(kinds, used, text))
        if _longest(found, text, tokenizer) <= length:
            return LongText(text, len(tokenizer.encode_plain(text)), tuple(found))
        lines.pop()


def prompt(tokenizer: Tokenizer, text: str, question: Question) -> list[int]:
    """A text with a question, as a model is asked it, up to where its own part of the answer begins."""
    content = f"{text}\n\n{question.text}"
    ids = render_chat(tokenizer, ChatPrompt(messages=({"role": "user", "content": content},)))
    return [*ids, *tokenizer.encode_plain(question.opening)]


def longest_answer(tokenizer: Tokenizer, question: Question) -> int:
    """Tokens that an answer may take after its opening."""
    spare = SPARE if question.opening else WORDED
    return len(tokenizer.encode_plain(f" {question.answer}")) + spare


def _longest(asked: Sequence[Question], text: str, tokenizer: Tokenizer) -> int:
    """Tokens of a text with the longest question and its answer."""
    sizes = [len(prompt(tokenizer, "", one)) + longest_answer(tokenizer, one) for one in asked]
    longest = asked[sizes.index(max(sizes))]
    return len(prompt(tokenizer, text, longest)) + longest_answer(tokenizer, longest)


def _facts(
    kinds: Sequence[LongKind], needles: int, length: int, draw: random.Random
) -> tuple[list[_Asked], list[tuple[float, str]]]:
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
        facts, sightings = _sightings(length, draw)
        placed += [(draw.random(), fact) for fact in facts]
        asked += [one for one in sightings if one.kind in kinds]
    return asked, sorted(placed, key=lambda one: one[0])


def _needle(number: int, thing: str, value: str) -> _Asked:
    """One fact, worded unlike the others."""
    question, opening, end = (part.format(thing=thing) for part in WORDINGS[number % len(WORDINGS)])
    fact = f"{opening} {value}{end}."
    return _Asked(
        "needle", f"{question} {NUMBERS.replace('numbers', 'number')}.", opening, ((value,),), (fact,)
    )


def _keys(told: Sequence[tuple[str, str]]) -> _Asked:
    """The numbers on several things, which are worded alike."""
    named = ", ".join(f"the {thing}" for thing, _ in told)
    return _Asked(
        "keys",
        f"Which numbers are written on {named}? {NUMBERS}, in this order.",
        f"On {named} the numbers",
        tuple((number,) for _, number in told),
        tuple(synthetic.fact(*one) for one in told),
    )


def _values(told: Sequence[tuple[str, str]]) -> _Asked:
    """Several numbers on one thing."""
    thing, numbers = told[0][0], [number for _, number in told]
    return _Asked(
        "values",
        f"Which {len(numbers)} numbers are written on the {thing}? {NUMBERS}.",
        f"On the {thing} the numbers",
        tuple((number,) for number in numbers),
        tuple(synthetic.fact(thing, number) for number in numbers),
    )


def _variables(draw: random.Random) -> _Asked:
    """Two chains of names that pass a value on; the first one is asked for."""
    facts, question, names = synthetic.variables(draw)
    value = facts[0].removesuffix(".").rpartition(" ")[2]
    opening = f"The names that have the value {value} are"
    return _Asked("variables", question, opening, tuple((name,) for name in names), tuple(facts))


def _sightings(length: int, draw: random.Random) -> tuple[list[str], list[_Asked]]:
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
        _Asked("common", most, "The animals that are seen most often are the", wanted, ()),
        _Asked("count", often, opening, ((str(times[counted]),),), ()),
    ]


def _seen(animal: str) -> str:
    return f"{_a(animal).capitalize()} was seen."


def _a(animal: str) -> str:
    return f"an {animal}" if animal[0] in "aeiou" else f"a {animal}"


def _passages(filler: Sequence[Record], draw: random.Random) -> Iterator[tuple[Record | None, list[str]]]:
    """Paragraphs without end, as sentences; the last one ends with what parts it from the next."""
    if not filler:
        for _ in count():
            lines = [synthetic.sentence(draw) for _ in range(SENTENCES)]
            yield None, [*lines[:-1], f"{lines[-1]}\n\n"]
    records = draw.sample(list(filler), len(filler))
    for number, record in enumerate(cycle(records)):
        lines = _sentences(record.text)
        yield record if number < len(records) else None, [*lines[:-1], f"{lines[-1]}\n\n"]


def _about_passages(kinds: Sequence[LongKind], used: Sequence[Record], text: str) -> Iterator[Question]:
    """Questions that the filler brought, about passages of which every sentence stands in the text."""
    if "passages" not in kinds:
        return
    asked = [
        (record.questions[0], text.find(_sentences(record.text)[0]) / len(text))
        for record in used
        if record.questions and all(line in text for line in _sentences(record.text))
    ]
    most = min(MOST_PASSAGES, len(asked))
    for place in range(most):
        one, depth = asked[place * len(asked) // most]
        yield Question("passages", f"{one.question} {QUOTED}", "", (one.answers,), depth)


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)] or [text]


def _text(told: Sequence[tuple[float, str]], lines: Sequence[str]) -> str:
    """Sentences with the facts put in, the last one first, so that places stay what they are."""
    whole = list(lines)
    for place, fact in reversed(told):
        whole.insert(round(place * len(lines)), fact)
    return " ".join(whole).replace("\n\n ", "\n\n").strip()


def _drawn_up(one: _Asked, text: str) -> Question:
    """A question with the depth of what it asks for: the middle where that is all over the text."""
    places = [text.find(fact) / len(text) for fact in one.facts if text]
    depth = sum(places) / len(places) if places else 0.5
    return Question(one.kind, one.text, one.opening, one.wanted, depth)
