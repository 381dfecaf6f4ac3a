"""Means with their confidence over questions that come in groups. Knows nothing of what was measured.

Legend: Q questions, D documents, R draws of documents with replacement.
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

    def __init__(self, documents: Sequence[str], draws: int = DRAWS, seed: int = SEED) -> None:
        """`documents` [Q] names the document of each question."""
        names = sorted(set(documents))
        places = {name: place for place, name in enumerate(names)}
        self._of_Q = np.array([places[name] for name in documents], np.int64)
        count = len(names)
        chosen = np.random.default_rng(seed).integers(0, count, (draws, count))
        places_R_D = chosen + np.arange(draws)[:, None] * count
        self._times_R_D = (
            np.bincount(places_R_D.ravel(), minlength=draws * count).reshape(draws, count).astype(np.float64)
        )
        self._count = count

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
        above_D, below_D = self._sums(above_Q), self._sums(below_Q)
        drawn_R = (self._times_R_D @ above_D) / np.maximum(self._times_R_D @ below_D, 1e-12)
        value = above_D.sum() / max(below_D.sum(), 1e-12)
        return float(value), tuple(float(one) for one in np.percentile(drawn_R, percents))

    def mean(self, values_Q: Sequence[float] | Floats) -> dict[str, float]:
        """The mean with its 95 % interval."""
        return self.ratio(values_Q, np.ones(len(self._of_Q)))

    def _sums(self, values_Q: Sequence[float] | Floats) -> Floats:
        sums = np.bincount(self._of_Q, np.asarray(values_Q, np.float64), minlength=self._count)
        return sums.astype(np.float64)
