"""Made-up things said: English function words and invented ones by Zipf's law, now and then a plain fact.

The same seed says the same. Knows no store.
"""

import re
from collections.abc import Iterator
from itertools import product

import numpy as np

from actors.memory.words import STOP_WORDS

VOCABULARY = 20_000
SHORTEST, LONGEST = 8, 25
"""Words of a text."""
FACT_EVERY = 50
ASKED_WORDS = 5
"""Words of a question that are looked up."""
_ONSETS = re.findall(r"\w+", "b br c cl d dr f fl g gr h j k l m n p pr qu r s st t tr v w z")
_VOWELS = re.findall(r"\w+", "a e i o u ai ea ou")
_CODAS = ["", "l", "m", "n", "r", "s", "t", "nd", "rk"]
_FACTS = (
    "I moved to {}.",
    "My sister is called {}.",
    "I work at {}.",
    "My favourite food is {}.",
    "I have a dog named {}.",
    "I speak {}.",
)


class Speaker:
    """Says one text after another, and asks about what was said."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._words = vocabulary()
        ranks = np.arange(1, VOCABULARY + 1)
        self._shares = np.cumsum(1 / ranks) / np.sum(1 / ranks)

    def texts(self, count: int) -> Iterator[str]:
        """So many texts."""
        for number in range(count):
            if number % FACT_EVERY == FACT_EVERY - 1:
                template = _FACTS[int(self._chance.integers(len(_FACTS)))]
                yield template.format(self._rare(1)[0].capitalize())
            else:
                length = int(self._chance.integers(SHORTEST, LONGEST + 1))
                yield " ".join(self._some(length)).capitalize() + "."

    def question(self) -> str:
        """Words as a question has them: some that few texts hold, some that many do."""
        return f"What did I say about {' '.join(self._rare(ASKED_WORDS))}?"

    def vectors(self, count: int, dimensions: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Random unit vectors, shape (count, dimensions)."""
        drawn = self._chance.standard_normal((count, dimensions), dtype=np.float32)
        unit: np.ndarray[tuple[int, int], np.dtype[np.float32]] = drawn / np.linalg.norm(
            drawn, axis=1, keepdims=True
        )
        return unit

    def _some(self, count: int) -> list[str]:
        places = np.searchsorted(self._shares, self._chance.random(count))
        return [self._words[place] for place in places]

    def _rare(self, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            found += [word for word in self._some(4 * count) if word not in STOP_WORDS]
        return found[:count]


def vocabulary() -> list[str]:
    """All words, the most frequent first: function words, then invented ones of two syllables."""
    syllables = ["".join(parts) for parts in product(_ONSETS, _VOWELS, _CODAS)]
    chance = np.random.default_rng(0)
    pairs = chance.permutation(len(syllables) ** 2)[: 2 * VOCABULARY]
    invented = (syllables[pair // len(syllables)] + syllables[pair % len(syllables)] for pair in pairs)
    return list(dict.fromkeys([*sorted(STOP_WORDS), *invented]))[:VOCABULARY]
