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
from tune.longfacts import Asked, facts
from tune.records import Record

KINDS: tuple[LongKind, ...] = get_args(LongKind)
SENTENCES = 8
"""Of a made-up paragraph."""
SPARE, WORDED = 8, 24
"""Tokens that an answer may take beyond the right one: where it is begun already, and where it is not."""
MOST_PASSAGES = 2
"""Questions about passages of the filler, of one text."""
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
    asked, told = facts(kinds, needles, length, draw)
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
        if not found:
            raise InvalidRequest(
                "the filler brings no questions of its own: ask for other kinds than passages"
            )
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
    if not asked:
        return len(tokenizer.encode_plain(text))
    sizes = [len(prompt(tokenizer, "", one)) + longest_answer(tokenizer, one) for one in asked]
    longest = asked[sizes.index(max(sizes))]
    return len(prompt(tokenizer, text, longest)) + longest_answer(tokenizer, longest)


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


def _drawn_up(one: Asked, text: str) -> Question:
    """A question with the depth of what it asks for: the middle where that is all over the text."""
    places = [text.find(fact) / len(text) for fact in one.facts if text]
    depth = sum(places) / len(places) if places else 0.5
    return Question(one.kind, one.text, one.opening, one.wanted, depth)
