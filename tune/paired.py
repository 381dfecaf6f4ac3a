"""Items of two arms side by side: what was lost, how sure that is, and an example. Knows no threshold."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tune.bootstrap import Bootstrap
from tune.scorecard import Answered, Arm, Read, SliceName

Good = Callable[[Answered], bool]


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure, and the ends of its one-sided bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Loss:
    """The share of items that are right in one arm less that in another, item by item."""

    against: str
    now: float
    before: float
    change: Bound
    lost: tuple[tuple[Answered, Answered], ...]
    """Items that were right and no longer are: now, before."""
    won: int
    """Items that are right and were not."""

    @property
    def chance(self) -> float:
        """How likely so many more lost than won are, were nothing worse: McNemar's exact test, one-sided."""
        lost, total = len(self.lost), len(self.lost) + self.won
        ways = sum(math.comb(total, more) for more in range(lost, total + 1))
        return float(ways / 2**total)


def of(arm: Arm, *names: SliceName) -> dict[str, Answered]:
    """The items of some slices by id."""
    return {one.item: one for one in arm.answers if one.slice in names}


def loss(
    now: Mapping[str, Answered],
    before: Mapping[str, Answered],
    against: str,
    good: Good,
    confidence: float,
    draws: int,
) -> Loss:
    """What one arm lost against another that was asked the same; there is at least one item.

    Bounds by paired bootstrap, in which phrasings of one fact are drawn together: they are right or wrong
    together, so that McNemar's test alone would count them as more evidence than they are.
    """
    pairs = [(one, before[item]) for item, one in now.items()]
    after_Q = [float(good(one)) for one, _ in pairs]
    before_Q = [float(good(other)) for _, other in pairs]
    return Loss(
        against=against,
        now=sum(after_Q) / len(pairs),
        before=sum(before_Q) / len(pairs),
        change=mean(
            [after - earlier for after, earlier in zip(after_Q, before_Q, strict=True)],
            [one.group or one.item for one, _ in pairs],
            confidence,
            draws,
        ),
        lost=tuple((one, other) for one, other in pairs if good(other) and not good(one)),
        won=sum(good(one) and not good(other) for one, other in pairs),
    )


def mean(values: Sequence[float], groups: Sequence[str], confidence: float, draws: int) -> Bound:
    """The mean of values that come in groups."""
    return _bound(values, [1.0] * len(values), groups, confidence, draws)


def perplexity(now: Sequence[Read], before: Sequence[Read], confidence: float, draws: int) -> Bound:
    """Perplexity over perplexity on the same texts, in the same order."""
    more = [one.nats - other.nats for one, other in zip(now, before, strict=True)]
    tokens = [float(one.tokens) for one in now]
    logs = _bound(more, tokens, [one.text for one in now], confidence, draws)
    return Bound(*(math.exp(min(one, 50.0)) for one in (logs.value, logs.low, logs.high)))


def _bound(
    above: Sequence[float], below: Sequence[float], groups: Sequence[str], confidence: float, draws: int
) -> Bound:
    percents = (100 * (1 - confidence), 100 * confidence)
    value, (low, high) = Bootstrap(groups, draws).quantiles(above, below, percents)
    return Bound(value, low, high)
