"""The ways to shorten a text that are compared. Knows no answer."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from actors.compression.counting import TokenCounter
from actors.compression.features import NAMES, features
from actors.compression.layout import Mask
from actors.compression.policy import Policy
from actors.compression.selection import select
from actors.compression.shortening import Shortener
from actors.compression.words import Word, split
from benchmarks.compression_classifier import CLASSIFIED_BUDGET
from benchmarks.compression_data import Case
from configs.schema import CompressionSettings

Floats = NDArray[np.float32]
OURS, ASKED = "ours", "ours, asked"
"""Our policy without the question, and with it."""
RANDOM, STOP, SURPRISAL, HANDCRAFTED = "random", "stop words dropped", "surprisal", "handcrafted"
SUPERVISED, LINGUA = "supervised", "llmlingua"
_COLUMN = {name: number for number, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Text:
    """A case with what scoring needs of it; `bits` are the surprisals of its words."""

    case: Case
    bits: Floats

    @cached_property
    def words(self) -> list[Word]:
        """The words of the text."""
        return split(self.case.text)

    @cached_property
    def rows(self) -> Floats:
        """What is seen of each word without a question."""
        return features(self.case.text, self.words)


Scorer = Callable[[Text], Floats]
"""From a text to a score of each word."""


@dataclass(frozen=True, slots=True, eq=False)
class Short:
    """A shorter text, its tokens before and after, and the words left in it where words were chosen."""

    text: str
    before: int
    after: int
    mask: Mask | None = None
    over_budget: bool = False
    """What is protected takes more than the budget."""

    @property
    def ratio(self) -> float:
        """The share of tokens that is left."""
        return self.after / max(1, self.before)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to shorten a text for a question and a budget; only one that `asks` looks at the question."""

    name: str
    shorten: Callable[[Text, str, float], Short]
    asks: bool = False


def peers(counter: TokenCounter, supervised: Policy | None) -> list[Arm]:
    """What ours is compared with, within the same exact budgets; the classifier where there is one."""
    scorers: dict[str, Scorer] = {
        RANDOM: _random,
        STOP: lambda text: _content(text) + _random(text) / np.float32(2),
        SURPRISAL: lambda text: text.bits,
        HANDCRAFTED: _handcrafted,
    }
    if supervised is not None:
        scorers[SUPERVISED] = lambda text: supervised.scores(text.rows, CLASSIFIED_BUDGET)
    return [Arm(name, _by_scores(score, counter)) for name, score in scorers.items()]


def ours(counter: TokenCounter, policies: Sequence[Policy]) -> list[Arm]:
    """Ours as it is served, without and with the question; seeds after the first carry their number."""
    arms = []
    for number, policy in enumerate(policies):
        seed = f" #{number + 1}" if number else ""
        shortener = Shortener(policy, counter, CompressionSettings())
        arms.append(Arm(OURS + seed, _served(shortener, asks=False)))
        arms.append(Arm(ASKED + seed, _served(shortener, asks=True), asks=True))
    return arms


def _by_scores(score: Scorer, counter: TokenCounter) -> Callable[[Text, str, float], Short]:
    def shorten(text: Text, _question: str, budget: float) -> Short:
        made = select(text.case.text, text.words, score(text), (), budget, counter)
        return Short(made.text, made.tokens_before, made.tokens_after, made.mask)

    return shorten


def _served(shortener: Shortener, *, asks: bool) -> Callable[[Text, str, float], Short]:
    def shorten(text: Text, question: str, budget: float) -> Short:
        made = shortener.shorten(text.case.text, budget, question if asks else None)
        return Short(made.text, made.tokens_before, made.tokens_after, made.mask, made.over_budget)

    return shorten


def _random(text: Text) -> Floats:
    """The same for the same text."""
    chance = np.random.default_rng(zlib.crc32(text.case.text.encode()))
    return chance.random(len(text.words), np.float32)


def _content(text: Text) -> Floats:
    return text.rows[:, _COLUMN["content"]]


def _handcrafted(text: Text) -> Floats:
    """Capitals, digits and surprisal speak for a word, being a stop word against it."""
    rows = text.rows
    capital, digit = rows[:, _COLUMN["name_inside_sentence"]], rows[:, _COLUMN["digit"]]
    spread = max(float(text.bits.std()), 1e-6) if len(text.bits) else 1.0
    surprise = (text.bits - text.bits.mean()) / spread if len(text.bits) else text.bits
    score: Floats = 2 * capital + 2 * digit + surprise - 2 * (1 - _content(text))
    return score
