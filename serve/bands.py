"""Whether the rate of something bad has left its band: counts one after another. Knows no signal by name."""

from math import sqrt

HARMS = (0.15, 0.35, 0.65, 0.95)
"""Rates that are looked for, as shares of the way from what is tolerated to always."""
SURE = 3.0
"""Standard deviations by which a rate that was counted may be too low."""


class Band:
    """A Shiryaev-Roberts test that a rate is above `tolerated`, however long it is watched.

    While the rate is at most that, the statistic grows by at most 1 a count on average, so that `limit` is
    reached after `limit` counts on average at the earliest. It is a mean over several rates of harm.
    """

    def __init__(self, tolerated: float, limit: float) -> None:
        self.tolerated = tolerated
        self._limit = limit
        self._ratios = [(_between(tolerated, harm)) for harm in HARMS]
        self._sums = [0.0] * len(HARMS)

    def saw(self, bad: bool) -> bool:
        """Count one; whether the rate has left the band."""
        self._sums = [
            (total + 1) * (rate / self.tolerated if bad else (1 - rate) / (1 - self.tolerated))
            for total, rate in zip(self._sums, self._ratios, strict=True)
        ]
        return self.evidence >= 1

    @property
    def evidence(self) -> float:
        """The statistic as a share of the limit."""
        return sum(self._sums) / len(self._sums) / self._limit

    def begin_again(self) -> None:
        """What was counted no longer counts."""
        self._sums = [0.0] * len(HARMS)


def widened(tolerated: float, bad: int, seen: int, least: int) -> float:
    """What is tolerated; where the rate that was counted before was higher, what it may have been at most.

    Fewer than `least` counts say nothing.
    """
    if seen < least or bad <= tolerated * seen:
        return tolerated
    return min(_upper(bad, seen), (1 + tolerated) / 2)


def _upper(bad: int, seen: int) -> float:
    """Wilson's upper bound of a rate."""
    square = SURE * SURE
    spread = SURE * sqrt(bad * (seen - bad) / seen + square / 4)
    return (bad + square / 2 + spread) / (seen + square)


def _between(tolerated: float, harm: float) -> float:
    return tolerated + (1 - tolerated) * harm
