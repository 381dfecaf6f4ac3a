"""Makes up tasks that need a whole long sequence: needles among sentences, chains of names."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from actors.messages import ChatPrompt, InvalidRequest
from actors.models.template import render_chat
from actors.models.tokenizer import Tokenizer

Kind = Literal["needle", "needles", "variables"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NEEDLES = 4
"""Needles of a task of several."""
CHAIN = 4
"""Names of a chain of variables that all have one value, and chains that differ."""
_WHO = (
    "carpenter",
    "gardener",
    "teacher",
    "pilot",
    "baker",
    "doctor",
    "painter",
    "miller",
    "sailor",
    "clerk",
)
_DID = ("walked past", "remembered", "wrote about", "repaired", "sold", "looked for", "borrowed", "described")
_WHAT = ("bridge", "orchard", "letter", "engine", "garden", "window", "ladder", "harbour", "clock", "road")
_WHEN = ("in the morning", "before supper", "on a wet day", "last spring", "after the fair", "at dusk")
_COLOURS = ("amber", "blue", "crimson", "green", "grey", "indigo", "ivory", "olive", "scarlet", "violet")
_THINGS = ("anchor", "basket", "candle", "drum", "feather", "kettle", "lantern", "mirror", "saddle", "violin")
MOST = len(_COLOURS) * len(_THINGS)
"""Things that can be told apart."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question about a long text, and what its answer must hold; depths are shares of the text's length."""

    prompt: ChatPrompt
    answers: tuple[str, ...]
    """In the order of the answer that is taught."""
    depths: tuple[float, ...]

    @property
    def taught(self) -> ChatPrompt:
        """The prompt with its answer."""
        answer = {"role": "assistant", "content": ", ".join(self.answers)}
        return ChatPrompt(messages=(*self.prompt.messages, answer))


def tasks(
    kind: Kind, length: int, count: int, seed: int, tokenizer: Tokenizer, depth: float | None = None
) -> Iterator[Task]:
    """`count` tasks, each as long as fits into `length` tokens with its answer, by whole sentences.

    Each is a function of the arguments and its number. `depth` puts every needle of a task there.
    Raises InvalidRequest if `length` is too short to hold a task.
    """
    costs: dict[str, int] = {}
    for number in range(count):
        draw = random.Random(f"{seed}/{kind}/{length}/{number}")
        facts, question, answers = _MAKE[kind](draw)
        places = [draw.random() if depth is None else depth for _ in facts]
        if kind == "variables":
            places.sort()
        told = sorted(zip(places, range(len(facts)), facts, strict=True), reverse=True)
        lines: list[str] = []
        bare = _size(_task(told, lines, question, answers), tokenizer)
        if bare > length:
            raise InvalidRequest(f"{length} tokens are too few for a task of {kind}: {bare} hold one")
        room = length - bare
        while room > 0:
            line = sentence(draw)
            if line not in costs:
                costs[line] = len(tokenizer.encode_plain(f"{line}\n"))
            room -= costs[line]
            lines.append(line)
        while _size(task := _task(told, lines, question, answers), tokenizer) > length:
            lines.pop()
        yield task


def _task(
    told: Sequence[tuple[float, int, str]], sentences: Sequence[str], question: str, answers: tuple[str, ...]
) -> Task:
    """Sentences with the facts put in, the last one first, so that places stay what they are."""
    lines = list(sentences)
    for place, _, fact in told:
        lines.insert(round(place * len(sentences)), fact)
    content = "\n".join((*lines, "", question))
    depths = tuple(place for place, *_ in reversed(told))
    return Task(ChatPrompt(messages=({"role": "user", "content": content},)), answers, depths)


def _size(task: Task, tokenizer: Tokenizer) -> int:
    return len(render_chat(tokenizer, task.taught, generation_prompt=False))


def sentence(draw: random.Random) -> str:
    """One of those that facts are hidden among."""
    who, did, what, when = (draw.choice(words) for words in (_WHO, _DID, _WHAT, _WHEN))
    return f"The {who} {did} the {what} {when}."


def pairs(draw: random.Random, count: int) -> list[tuple[str, str]]:
    """Things that are told apart, up to MOST, each with its number."""
    things = draw.sample([f"{colour} {thing}" for colour in _COLOURS for thing in _THINGS], count)
    return [(thing, str(number)) for thing, number in zip(things, _numbers(draw, count), strict=True)]


def fact(thing: str, number: str) -> str:
    """The sentence that is hidden."""
    return f"{opening(thing)} {number} is written."


def opening(thing: str) -> str:
    """Its beginning, up to the number."""
    return f"On the {thing} the number"


def question(thing: str) -> str:
    """What asks for it."""
    return f"Which number is written on the {thing}? Answer with the number alone."


def _numbers(draw: random.Random, count: int) -> list[int]:
    return draw.sample(range(10_000, 100_000), count)


def _needle(draw: random.Random) -> tuple[list[str], str, tuple[str, ...]]:
    ((thing, number),) = pairs(draw, 1)
    return [fact(thing, number)], question(thing), (number,)


def _needles(draw: random.Random) -> tuple[list[str], str, tuple[str, ...]]:
    told = pairs(draw, 2 * NEEDLES)
    asked = told[:NEEDLES]
    named = ", ".join(f"the {thing}" for thing, _ in asked)
    wanted = f"Which numbers are written on {named}? Answer with the numbers alone, in this order."
    facts = [fact(thing, number) for thing, number in told]
    return facts, wanted, tuple(number for _, number in asked)


def variables(draw: random.Random) -> tuple[list[str], str, tuple[str, ...]]:
    """Two chains of names that pass a value on, link by link in the text's order."""
    names = [f"{letter}{number}" for letter in "BCDFGHKLMNPQRSTVXZ" for number in range(10, 100)]
    held = draw.sample(names, 2 * CHAIN)
    chains = held[:CHAIN], held[CHAIN:]
    values = _numbers(draw, 2)
    facts = []
    for link in range(CHAIN):
        for chain, value in zip(chains, values, strict=True):
            source = str(value) if link == 0 else f"what {chain[link - 1]} is"
            facts.append(f"Let {chain[link]} be {source}.")
    question = f"Which names have the value {values[0]}? Answer with the names alone, in the text's order."
    return facts, question, tuple(chains[0])


_MAKE: dict[Kind, Callable[[random.Random], tuple[list[str], str, tuple[str, ...]]]] = {
    "needle": _needle,
    "needles": _needles,
    "variables": variables,
}
