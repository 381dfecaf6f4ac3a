"""What compressing costs by length, and how near the share left is to any share asked for. Knows no peer."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actors.compression.cost import ASSUMED_PREFILL_S
from actors.compression.shortening import Shortener

ASKED = tuple(round(0.1 * step, 1) for step in range(1, 10))
LEAST_TOKENS = 50
TEXTS = 60
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """One text word by word, as an example."""

    words: tuple[str, ...]
    scores: tuple[float, ...]
    kept: tuple[bool, ...]


def sweep(shortener: Shortener, texts: Sequence[str]) -> list[tuple[float, float]]:
    """(asked, left) of texts over 50 tokens, at budgets from 0.1 to 0.9."""
    found = []
    for text in [one for one in texts if shortener.counter.count(one) > LEAST_TOKENS][:TEXTS]:
        for asked in ASKED:
            made = shortener.shorten(text, asked)
            found.append((asked, round(made.tokens_after / made.tokens_before, 4)))
    return found


def cost(shortener: Shortener, texts: Sequence[str], prefill_s: float = ASSUMED_PREFILL_S) -> dict[str, Any]:
    """Processor's seconds of compressing as a line over the tokens, and the prefill it is compared with."""
    lengths, seconds = [], []
    for size in (1, 2, 4, 8, 16):
        for first in range(0, min(len(texts) - size, 10 * size), size):
            text = "\n\n".join(texts[first : first + size])
            lengths.append(shortener.counter.count(text))
            seconds.append(min(_timed(shortener, text) for _ in range(REPEATS)))
    token_s, fixed_s = np.polyfit(lengths, seconds, 1)
    return {"prefill_s": prefill_s, "token_s": float(token_s), "fixed_s": max(0.0, float(fixed_s))}


def _timed(shortener: Shortener, text: str) -> float:
    began = time.process_time()
    shortener.shorten(text, 0.5)
    return time.process_time() - began


def shown(shortener: Shortener, text: str) -> Shown:
    """A text word by word."""
    made = shortener.shorten(text, 0.5)
    words = tuple(text[word.start : word.end] for word in made.words)
    return Shown(words, tuple(map(float, made.scores)), tuple(map(bool, made.mask)))
