"""Near misses of exchanges: questions like theirs about something else, whose answers stay. Knows no model.

An answer that is learned by gradient comes to other questions too: first to those of the same form, then to
those of the same words. Half of the near misses are held along the very answer that must not come to them.
"""

import random
import re
from collections.abc import Iterable, Sequence
from itertools import islice

from actors.memory.words import STOP_WORDS
from tune.examples import Example
from tune.phrases import BEGUN, FAMILY, GIVEN, NOUNS, PLACES
from tune.teaching import made_up

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_NUMBER = re.compile(r"\d+")
LEAST = 3
"""Letters of a word that is exchanged."""


def nearby(exchanges: Sequence[Example], count: int, seed: int) -> tuple[Example, ...]:
    """So many near misses of each exchange; none asks what an exchange asks."""
    told = {_plain(_asked(one)) for one in exchanges}
    found = []
    for exchange in exchanges:
        draw = random.Random(f"{seed}/{exchange.id}/nearby")
        texts = dict.fromkeys(islice(_others(_asked(exchange), draw), 8 * count))
        unlike = [text for text in texts if _plain(text) not in told][:count]
        found += [_held(exchange, number, text) for number, text in enumerate(unlike)]
    return tuple(found)


def _held(exchange: Example, number: int, text: str) -> Example:
    """A near miss, along the exchange's answer or, two of five, along the model's own."""
    *before, _, answer = exchange.messages
    messages = (*before, {"role": "user", "content": text})
    if number % 5 not in (1, 4):
        messages = (*messages, answer)
    return Example(id=f"{exchange.id}/beside/{number}", kind="unknown", messages=messages)


def _others(text: str, draw: random.Random) -> Iterable[str]:
    """Questions without end: the text with one other word, with several, and others that begin like it."""
    like = _beginning(text)
    while True:
        yield draw.choice(like)
        yield _exchanged(text, 1, draw)
        yield draw.choice(like)
        yield _exchanged(text, 2, draw)


def _beginning(text: str) -> list[str]:
    """Questions about anything that begin with the same words, or with any where there are none."""
    plain = f"{_plain(text)} "
    begins = [one for one in sorted(BEGUN, key=len, reverse=True) if plain.startswith(f"{one.casefold()} ")]
    return [one for begin in begins or BEGUN for one in BEGUN[begin]]


def _exchanged(text: str, most: int, draw: random.Random) -> str:
    """A text with at most so many of its words and numbers exchanged."""
    places = [one.span() for one in _NUMBER.finditer(text)]
    places += [one.span() for one in _WORD.finditer(text) if one.start() and _tells(one[0])]
    for start, end in sorted(draw.sample(places, min(most, len(places))), reverse=True):
        text = text[:start] + _other(text[start:end], draw) + text[end:]
    return text


def _tells(word: str) -> bool:
    """Whether a word says what a question is about."""
    return len(word) >= LEAST and word.casefold() not in STOP_WORDS


def _other(word: str, draw: random.Random) -> str:
    """A word in place of one: a number for a number, a name for a name."""
    if word.isdigit():
        return str(draw.randrange(2, 10 ** max(1, len(word)) + 8))
    if word[0].isupper():
        return draw.choice([*GIVEN, *FAMILY, *PLACES]) if draw.random() < 0.7 else made_up(draw)
    return draw.choice(NOUNS)


def _asked(exchange: Example) -> str:
    return str(exchange.messages[-2]["content"])


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .?!")
