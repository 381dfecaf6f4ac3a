"""Pieces of texts and the words that a policy keeps of them. Knows no model and no training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actors.compression.reconstructor import pieces
from actors.compression.shortening import Shortener
from actors.compression.words import split
from tune.records import read

LEAST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is shown and what is to be written."""

    kept: str
    whole: str

    @property
    def words(self) -> int:
        """Of the whole."""
        return len(split(self.whole))


def texts(folders: Sequence[Path], name: str, most: int) -> list[str]:
    """The pieces of at most `most` words of one split of prepared directories, in order, each once."""
    found: dict[str, None] = {}
    for folder in folders:
        for record in read(folder, name):
            found |= dict.fromkeys(piece for piece in pieces(record.text, most) if _long_enough(piece))
    return list(found)


def lesson(shortener: Shortener, text: str, budget: float) -> Lesson:
    """A text and what is kept of it."""
    return Lesson(shortener.shorten(text, budget).text, text)


def batches(
    count: int, batch: int, lowest: float, highest: float, seed: int, since: int
) -> Iterator[list[tuple[int, float]]]:
    """Without end: the numbers of some of `count` texts and a budget for each; batch `since` comes first.

    Each pass over the texts has an order of its own. Batches are a function of the seed and their number.
    """
    step = since
    while True:
        places = range(step * batch, (step + 1) * batch)
        order = [_order(count, seed, place // count)[place % count] for place in places]
        budgets = np.random.default_rng((seed, 1, step)).uniform(lowest, highest, batch)
        yield [(int(number), float(budget)) for number, budget in zip(order, budgets, strict=True)]
        step += 1


def _order(count: int, seed: int, turn: int) -> Sequence[int]:
    return [int(one) for one in np.random.default_rng((seed, 0, turn)).permutation(count)]


def _long_enough(piece: str) -> bool:
    return len(split(piece)) >= LEAST_WORDS
