"""Long texts with facts put between their paragraphs, each of which can be asked for. Knows no torch.

Legend: T tokens of a text, what opens the conversation among them.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from actors.messages import ChatPrompt, InvalidRequest
from actors.models.template import render_chat
from actors.models.tokenizer import Tokenizer
from tune import synthetic

EVERY = 768
"""Tokens from one fact to the next, about."""
SENTENCES = 8
"""Of a made-up paragraph."""
MADE_UP = "made up"
"""The name of texts that nobody wrote."""


@dataclass(frozen=True, slots=True)
class Needle:
    """A fact within a text: `begin` and `end` count the text's tokens."""

    begin: int
    end: int
    question: tuple[int, ...]
    """What follows the text, up to where the answer begins: it begins as the fact does."""
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Haystack:
    """A text in a conversation that has been opened and not closed."""

    name: str
    tokens: tuple[int, ...]
    counted: tuple[bool, ...]
    """Of each token, whether it is the text's own."""
    needles: tuple[Needle, ...]

    def until(self, length: int) -> "Haystack":
        """Its first `length` tokens."""
        needles = tuple(one for one in self.needles if one.end <= length)
        return Haystack(self.name, self.tokens[:length], self.counted[:length], needles)


@dataclass(frozen=True, slots=True)
class Asked:
    """One fact that is asked for when a text has been read up to a token, and answers that could be given."""

    needle: Needle
    candidates: tuple[tuple[int, ...], ...]
    """The right one first, then those of other facts that stand there too."""


def haystacks(
    files: Sequence[Path], length: int, most: int, seed: int, tokenizer: Tokenizer
) -> Iterator[Haystack]:
    """Up to `most` texts of `length` tokens, each from the beginning of a file, the next where it is short.

    Without files they are made up, and none of their tokens is counted. Raises InvalidRequest where there is
    not one such text.
    """
    if not files:
        yield from (_made_up(number, length, seed, tokenizer) for number in range(most))
        return
    made, builder, joined = 0, _Builder(length, f"{seed}/0", tokenizer), list[str]()
    for file in files:
        if made == most:
            return
        joined.append(file.stem)
        for paragraph in _paragraphs(file):
            if builder.add(paragraph):
                yield builder.built("+".join(joined))
                made += 1
                builder, joined = _Builder(length, f"{seed}/{made}", tokenizer), []
                break
    if not made:
        raise InvalidRequest(
            f"the texts have {builder.size:,} tokens together, and {length:,} are to be read"
        )


def asked(haystack: Haystack, end: int, most: int, choices: int, seed: int) -> list[Asked]:
    """Up to `most` facts of those before token `end`, at all depths, each with up to `choices` candidates."""
    there = [needle for needle in haystack.needles if needle.end <= end]
    if len(there) < 2:
        return []
    chosen = [there[round(place * (len(there) - 1) / max(1, most - 1))] for place in range(most)]
    found = []
    for needle in dict.fromkeys(chosen if len(there) > most else there):
        draw = random.Random(f"{seed}/{haystack.name}/{end}/{needle.begin}")
        others = [one.answer for one in there if one is not needle]
        found.append(Asked(needle, (needle.answer, *draw.sample(others, min(choices - 1, len(others))))))
    return found


def room(haystack: Haystack) -> int:
    """Tokens that the longest question takes with its answer."""
    return max((len(one.question) + len(one.answer) for one in haystack.needles), default=0)


class _Builder:
    """A text as it grows, paragraph by paragraph."""

    def __init__(self, length: int, seed: str, tokenizer: Tokenizer) -> None:
        self._length = length
        self._tokenizer = tokenizer
        self._draw = random.Random(seed)
        self._opening, self._closing = _around(tokenizer)
        self._tokens = list(self._opening)
        self._counted = [False] * len(self._tokens)
        self._needles: list[Needle] = []
        self._facts = iter(synthetic.pairs(self._draw, min(synthetic.MOST, 1 + 2 * length // EVERY)))
        self._due = self._next()

    @property
    def size(self) -> int:
        """Tokens up to now."""
        return len(self._tokens)

    def add(self, paragraph: str) -> bool:
        """Add a paragraph, and a fact where one is due. Returns whether the text is long enough."""
        self._put(paragraph, counted=True)
        if self.size >= self._due and (fact := next(self._facts, None)) is not None:
            begin = self.size
            self._put(synthetic.fact(*fact), counted=False)
            self._needles.append(Needle(begin, self.size, *self._asking(*fact)))
            self._due = self._next()
        return self.size >= self._length

    def built(self, name: str) -> Haystack:
        """The text, cut to its length."""
        whole = Haystack(name, tuple(self._tokens), tuple(self._counted), tuple(self._needles))
        return whole.until(self._length)

    def _asking(self, thing: str, number: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The question, the beginning of the answer with it, and the answer."""
        encode = self._tokenizer.encode_plain
        opening = encode(synthetic.opening(thing))
        answer = encode(f"{synthetic.opening(thing)} {number}")[len(opening) :]
        return (*encode(synthetic.question(thing)), *self._closing, *opening), tuple(answer)

    def _put(self, paragraph: str, *, counted: bool) -> None:
        ids = self._tokenizer.encode_plain(f"{paragraph}\n\n")
        self._tokens += ids
        self._counted += [counted] * len(ids)

    def _next(self) -> int:
        return self.size + self._draw.randint(EVERY * 3 // 4, EVERY)


def _around(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """What the chat template puts before a user's message, and from there to the answer."""
    first, second = (
        render_chat(tokenizer, ChatPrompt(messages=({"role": "user", "content": content},)))
        for content in ("7", "x")
    )
    (place,) = [at for at, (one, other) in enumerate(zip(first, second, strict=True)) if one != other]
    return first[:place], first[place + 1 :]


def _paragraphs(file: Path) -> Iterator[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file} cannot be read as UTF-8 text: {error}") from error
    yield from (paragraph for paragraph in text.split("\n\n") if paragraph.strip())


def _made_up(number: int, length: int, seed: int, tokenizer: Tokenizer) -> Haystack:
    draw = random.Random(f"{seed}/{MADE_UP}/{number}")
    builder = _Builder(length, f"{seed}/{number}", tokenizer)
    paragraphs: Iterable[str] = (
        " ".join(synthetic.sentence(draw) for _ in range(SENTENCES)) for _ in count()
    )
    for paragraph in paragraphs:
        if builder.add(paragraph):
            break
    found = builder.built(f"{MADE_UP} {number}")
    return Haystack(found.name, found.tokens, (False,) * len(found.tokens), found.needles)
