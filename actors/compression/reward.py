"""What a choice of kept words is worth. Knows no policy, no environment and no language model.

Legend: S choices scored together, T words of a chunk, K places where answers stand, Q questions.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from actors.compression.words import Word

Floats = NDArray[np.float32]
Masks = NDArray[np.bool_]
Scorer = Callable[[int, Masks], Floats]
"""From a chunk's number and choices of its words [S, T] to a score of each in 0..1 [S]."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the answers stand: words start to end answer a question; each question has one place or more."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    first: NDArray[np.int64]
    """Index of each question's first place [Q]."""

    @classmethod
    def of(cls, places: Sequence[Sequence[tuple[int, int]]]) -> Self:
        """From the (start, end) word ranges of each question; a question without any is left out."""
        held = [one for one in places if one]
        flat = np.array([place for one in held for place in one], np.int64).reshape(-1, 2)
        sizes = np.array([0, *(len(one) for one in held)], np.int64)
        return cls(flat[:, 0], flat[:, 1], np.cumsum(sizes)[:-1])

    @property
    def questions(self) -> int:
        """How many questions there are."""
        return len(self.first)

    def kept(self, masks: Masks) -> Masks:
        """Whether each question still has one place with all its words [S, Q], for choices [S, T]."""
        dropped = np.zeros((len(masks), masks.shape[1] + 1), np.int64)
        np.cumsum(~masks, axis=1, out=dropped[:, 1:])
        whole = dropped[:, self.end] == dropped[:, self.start]
        result: Masks = np.logical_or.reduceat(whole, self.first, axis=1)
        return result

    def words(self, count: int) -> Floats:
        """1 for each word that belongs to a place of a question's answer [Q, T], of `count` words."""
        question = np.searchsorted(self.first, np.arange(len(self.start)), side="right") - 1
        found = np.zeros((self.questions, count), np.float32)
        for row, start, end in zip(question, self.start, self.end, strict=True):
            found[row, start:end] = 1
        return found


def find(text: str, words: Sequence[Word], answer: str) -> list[tuple[int, int]]:
    """Every place of an answer as a range of words; inside longer words only if it stands nowhere whole."""
    starts = np.array([word.start for word in words], np.int64)
    ends = np.array([word.end for word in words], np.int64)
    pattern = re.escape(answer.strip())
    if not pattern:
        return []
    found = list(re.finditer(rf"(?<!\w){pattern}(?!\w)", text)) or list(re.finditer(pattern, text))
    return [
        (
            int(np.searchsorted(ends, match.start(), side="right")),
            int(np.searchsorted(starts, match.end(), side="left")),
        )
        for match in found
    ]


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each term of the reward counts; 0 leaves it out."""

    answers: float = 1.0
    reader: float = 0.0
    reconstruction: float = 0.0
    budget: float = 0.0


def reward(
    weights: Weights,
    number: int,
    masks: Masks,
    places: Places,
    costs: NDArray[np.int64],
    bits: Floats,
    budget: float,
    reader: Scorer | None = None,
    reconstruction: Scorer | None = None,
) -> Floats:
    """What each choice of a chunk's words is worth [S].

    `masks` [S, T] are the choices, `costs` [T] the words' tokens, `bits` [T] how hard each word is to guess,
    used where no `reconstruction` scorer is given. Raises ValueError if a term has weight and no scorer.
    """
    worth = np.zeros(len(masks), np.float32)
    if weights.answers and places.questions:
        worth += np.float32(weights.answers) * places.kept(masks).mean(axis=1, dtype=np.float32)
    if weights.reader:
        if reader is None:
            raise ValueError("the reward's weight of the reader is not 0, but no reader is given")
        worth += np.float32(weights.reader) * reader(number, masks)
    if weights.reconstruction:
        recovered = reconstruction(number, masks) if reconstruction else recovered_bits(masks, bits)
        worth += np.float32(weights.reconstruction) * recovered
    if weights.budget:
        worth -= np.float32(weights.budget) * np.abs(achieved(masks, costs) - np.float32(budget))
    return worth


def better(worth: Floats) -> Floats:
    """How much better each choice is than the mean of the others, along the first axis [S, …]."""
    choices = len(worth)
    if choices == 1:
        return np.zeros_like(worth)
    gain: Floats = (worth - worth.mean(axis=0)) * np.float32(choices / (choices - 1))
    return gain


def credit(weights: Weights, masks: Masks, places: Places, worth: Floats) -> Floats:
    """How much better each word's fate did than in the other choices [S, T].

    Words are chosen independently, so that an answer's fate says nothing of the words outside it: each word
    is credited with the answers that it belongs to, and with the other terms of the choice's `worth` [S].
    """
    if not weights.answers or not places.questions:
        return np.repeat(better(worth)[:, None], masks.shape[1], axis=1)
    kept = places.kept(masks).astype(np.float32) * np.float32(weights.answers / places.questions)
    rest = better(worth - kept.sum(axis=1))
    own: Floats = better(kept) @ places.words(masks.shape[1]) + rest[:, None]
    return own


def achieved(masks: Masks, costs: NDArray[np.int64]) -> Floats:
    """The share of a chunk's tokens that each choice keeps [S]."""
    share: Floats = ((masks @ costs) / costs.sum()).astype(np.float32)
    return share


def recovered_bits(masks: Masks, bits: Floats) -> Floats:
    """The share of a chunk's bits that each choice gives back [S].

    A kept word gives back all its bits, a dropped one a quarter for each neighbour that is kept.
    """
    padded = np.pad(masks, ((0, 0), (1, 1))).astype(np.float32)
    guessed = (padded[:, :-2] + padded[:, 2:]) / 4
    share: Floats = (np.where(masks, np.float32(1), guessed) @ bits) / max(float(bits.sum()), 1e-6)
    return share
