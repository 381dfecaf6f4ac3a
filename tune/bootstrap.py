"""Means with their confidence over questions that come in groups. Knows nothing of what was measured.

Legend: Q questions, D documents, S what is crossed with them, R draws with replacement.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 4000
LOW, HIGH = 2.5, 97.5
SEED = 7


class Bootstrap:
    """Draws of whole documents, the same for every figure, so that differences are paired."""

    def __init__(
        self,
        documents: Sequence[str],
        draws: int = DRAWS,
        seed: int = SEED,
        crossed: Sequence[str] | None = None,
    ) -> None:
        """`documents` [Q] names the document of each question.

        `crossed` [Q] names what is drawn too, independently: of trainings, the seed.
        """
        random = np.random.default_rng(seed)
        self._of_Q, self._times_R_D = _times(documents, draws, random)
        self._shape = (self._times_R_D.shape[1], 1)
        self._crossed_Q = np.zeros(len(self._of_Q), np.int64)
        self._times_R_S = np.ones((draws, 1))
        if crossed is not None:
            self._crossed_Q, self._times_R_S = _times(crossed, draws, random)
            self._shape = (self._shape[0], self._times_R_S.shape[1])

    def ratio(self, above_Q: Sequence[float] | Floats, below_Q: Sequence[float] | Floats) -> dict[str, float]:
        """Sum over sum, e.g. a mean where `below_Q` is ones, with its 95 % interval."""
        value, (low, high) = self.quantiles(above_Q, below_Q, (LOW, HIGH))
        return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}

    def quantiles(
        self,
        above_Q: Sequence[float] | Floats,
        below_Q: Sequence[float] | Floats,
        percents: Sequence[float],
    ) -> tuple[float, tuple[float, ...]]:
        """Sum over sum, and its percentiles over the draws."""
        above_D_S, below_D_S = self._sums(above_Q), self._sums(below_Q)
        drawn_R = self._drawn(above_D_S) / np.maximum(self._drawn(below_D_S), 1e-12)
        value = above_D_S.sum() / max(below_D_S.sum(), 1e-12)
        return float(value), tuple(float(one) for one in np.percentile(drawn_R, percents))

    def mean(self, values_Q: Sequence[float] | Floats) -> dict[str, float]:
        """The mean with its 95 % interval."""
        return self.ratio(values_Q, np.ones(len(self._of_Q)))

    def _sums(self, values_Q: Sequence[float] | Floats) -> Floats:
        documents, others = self._shape
        places_Q = self._of_Q * others + self._crossed_Q
        sums = np.bincount(places_Q, np.asarray(values_Q, np.float64), minlength=documents * others)
        return sums.astype(np.float64).reshape(self._shape)

    def _drawn(self, sums_D_S: Floats) -> Floats:
        """The sum over each draw [R]."""
        found: Floats = ((self._times_R_D @ sums_D_S) * self._times_R_S).sum(axis=1)
        return found


def _times(
    names_Q: Sequence[str], draws: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """The place of each name among all, and how often each of them is drawn."""
    names = sorted(set(names_Q))
    places = {name: place for place, name in enumerate(names)}
    count = len(names)
    chosen = random.integers(0, count, (draws, count))
    places_R_D = chosen + np.arange(draws)[:, None] * count
    times = np.bincount(places_R_D.ravel(), minlength=draws * count).reshape(draws, count)
    return np.array([places[name] for name in names_Q], np.int64), times.astype(np.float64)
