"""Whether one arm is better than another: paired over seeds and questions, corrected for many comparisons.

Legend: Q pairs of one seed and question, G groups of questions, F flips of signs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from tune.bootstrap import HIGH, LOW, SEED, Bootstrap, Floats

Worth = Mapping[tuple[int, str], tuple[str, float, float]]
"""By seed and question: the question's group, what it was worth, its weight."""
EXACT = 14
"""Groups up to which all flips of signs are tried."""
FLIPS = 20_000
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """One arm less another, on what both were asked."""

    arm: str
    against: str
    value: float
    low: float
    high: float
    """Ends of the 95 % interval."""
    chance: float
    """How likely a difference as great is, were there none (flips of signs of groups, two-sided)."""
    corrected: float
    """The same, corrected for all comparisons of the report (Holm)."""
    questions: int
    groups: int
    """Questions that can be right or wrong apart; the seeds where there are no questions."""
    seeds: int

    @property
    def real(self) -> bool:
        """Whether chance is ruled out: by the interval, and by the flips after correction."""
        return self.corrected < ALPHA and (self.low > 0 or self.high < 0)


def difference(arm: str, now: Worth, against: str, before: Worth) -> Difference | None:
    """One arm less another on what both were asked; None where they were asked nothing in common."""
    both = sorted(now.keys() & before.keys())
    if not both:
        return None
    apart = [now[key][1] - before[key][1] for key in both]
    weights = np.array([now[key][2] for key in both])
    groups = [now[key][0] for key in both]
    seeds = [str(seed) for seed, _ in both]
    several = len(set(seeds)) > 1 and set(groups) != set(seeds)
    drawn = Bootstrap(groups, crossed=seeds if several else None)
    value, (low, high) = drawn.quantiles(np.array(apart) * weights, weights, (LOW, HIGH))
    sums: dict[str, float] = {}
    for group, one, weight in zip(groups, apart, weights.tolist(), strict=True):
        sums[group] = sums.get(group, 0.0) + one * weight
    chance = flipped(list(sums.values()))
    return Difference(arm, against, value, low, high, chance, chance, len(both), len(sums), len(set(seeds)))


def flipped(sums_G: Sequence[float]) -> float:
    """How often a sum is as far from 0 when the sign of each group's part is drawn: 1 of one group."""
    parts_G: Floats = np.array(sums_G, np.float64)
    far = abs(parts_G.sum()) - 1e-12
    if len(parts_G) <= EXACT:
        signs_F_G = np.array(list(product((-1.0, 1.0), repeat=len(parts_G))))
        return float((np.abs(signs_F_G @ parts_G) >= far).mean())
    signs_F_G = np.random.default_rng(SEED).choice((-1.0, 1.0), (FLIPS, len(parts_G)))
    return float((1 + (np.abs(signs_F_G @ parts_G) >= far).sum()) / (1 + FLIPS))


def corrected(found: Sequence[Difference]) -> list[Difference]:
    """Holm's correction over all of them."""
    order = sorted(range(len(found)), key=lambda place: found[place].chance)
    chances = [0.0] * len(found)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(found) - rank) * found[place].chance))
        chances[place] = highest
    return [replace(one, corrected=chance) for one, chance in zip(found, chances, strict=True)]
