"""What answers that were compared teach: losses over how likely they are. Knows no model and no optimiser.

Shapes: N learned tokens of an answer; what is said of likelihood is in nats, and of the answer's own tokens.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch.nn.functional import softplus

from configs.learning import LearningSettings
from tune.examples import Preference, Scored
from tune.rows import Lesson

Tensor = torch.Tensor
Compared = Preference | Scored


@dataclass(frozen=True, slots=True)
class Comparison:
    """Answers to one conversation, and how good each is beside the others."""

    id: str
    answers: tuple[Lesson, ...]
    advantages: tuple[float, ...]
    """By how many standard deviations of the group each is better than its mean."""
    pair: bool
    """A better answer and a worse one, without scores."""

    @property
    def units(self) -> list["Unit"]:
        """Answers whose loss needs each other: both of a pair, one of those that have scores."""
        places = range(len(self.answers))
        return [Unit(self, tuple(places))] if self.pair else [Unit(self, (place,)) for place in places]

    def ordered(self, likely: Sequence[float]) -> float:
        """Share of the pairs of unlike answers of which the better one is the likelier, in 0 to 1."""
        told = zip(self.advantages, likely, strict=True)
        pairs = [(a, b) for a, b in combinations(told, 2) if a[0] != b[0]]
        return sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in pairs) / len(pairs)


@dataclass(frozen=True, slots=True)
class Unit:
    """Answers of a comparison, by their places in it."""

    of: Comparison
    places: tuple[int, ...]

    @property
    def answers(self) -> list[Lesson]:
        """The answers as tokens."""
        return [self.of.answers[place] for place in self.places]

    @property
    def size(self) -> int:
        """Tokens."""
        return sum(one.size for one in self.answers)

    def loss(self, now: Sequence[Tensor], settings: LearningSettings) -> tuple[Tensor, float]:
        """The loss, and the share of it that is left of a comparison; `now` are log-likelihoods, [N] each.

        Shares of a comparison's units add up: to 1 before anything was learned, to 0 in the end.
        """
        before = [one.before for one in self.answers]
        if any(one is None for one in before):
            raise ValueError("an answer's likelihood before learning is not known")
        held: list[Any] = before
        if self.of.pair:
            return pair_loss(now, held, settings.preference_beta, settings.preference_nll)
        beta, size = settings.preference_beta, len(self.of.answers)
        gain = beta / size * gained(now[0], held[0], self.of.advantages[self.places[0]], beta)
        return -gain, 1 / size - float(gain.detach())


def pair_loss(
    now: Sequence[Tensor], before: Sequence[Tensor], beta: float, nll: float
) -> tuple[Tensor, float]:
    """DPO (Rafailov et al. 2023, eq. 7) of a better and a worse answer, and what is left of it.

    It asks only that the better one gains on the worse, which it also does where both become unlikely. So the
    better one's own likelihood is asked for too, by token, as in Iterative RPO (Pang et al. 2024, eq. 1).
    """
    better, worse = ((a - b).sum() for a, b in zip(now, before, strict=True))
    asked = softplus(-beta * (better - worse))
    return asked - nll * now[0].mean(), float(asked.detach()) / math.log(2)


def gained(now_N: Tensor, before_N: Tensor, advantage: float, beta: float) -> Tensor:
    """What an answer's new likelihood is worth: advantage times the nats it gained, up to where that ends.

    GRPO's surrogate (Shao et al. 2024, eq. 3) is of answers that the model drew: a clipped ratio to the model
    that drew them. These were given, and nobody knows how likely they were to whoever wrote them: no ratio
    makes their gradient that of the expected reward. So it is log-likelihood weighted by advantage, which
    has no end: an answer worse than the mean would be pushed down for ever, and with it all that is written
    alike. It ends where the best policy under reward less beta times KL has the answer, advantage / beta nats
    from the model as it was (Rafailov et al. 2023, eq. 4, but for a constant).
    """
    return torch.clamp(advantage * (now_N - before_N).sum(), max=advantage**2 / beta)


def advantages(scores: Sequence[float]) -> tuple[float, ...]:
    """Scores less their mean, over their standard deviation, as for outcome supervision in GRPO.

    Raises ValueError where all are equal.
    """
    mean = math.fsum(scores) / len(scores)
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in scores) / len(scores))
    if not spread > 0:
        raise ValueError("scores that are all equal say nothing")
    return tuple((one - mean) / spread for one in scores)


def texts(one: Compared) -> tuple[str, ...]:
    """The answers that are compared; of a pair the better one first."""
    return (
        (one.chosen, one.rejected) if isinstance(one, Preference) else tuple(text for text, _ in one.answers)
    )


def comparison(one: Compared, answers: Sequence[Lesson]) -> Comparison:
    """A comparison of answers that were made tokens, in the order of `texts`."""
    pair = isinstance(one, Preference)
    worth = (1.0, -1.0) if isinstance(one, Preference) else advantages([score for _, score in one.answers])
    return Comparison(one.id, tuple(answers), worth, pair)


def units(comparisons: Iterable[Comparison], most: int) -> list[list[Unit]]:
    """Units in their order, as many together as have at most so many tokens, one at least."""
    found: list[list[Unit]] = []
    room = 0
    for unit in (unit for one in comparisons for unit in one.units):
        if not found or unit.size > room:
            found.append([])
            room = most
        found[-1].append(unit)
        room -= unit.size
    return found


def apart(comparisons: Sequence[Comparison], every: int) -> tuple[list[Comparison], list[Comparison]]:
    """Those to learn from, and every so many-th to ask about; too few, all are both."""
    if every < 2 or len(comparisons) < 2 * every:
        return list(comparisons), list(comparisons)
    asked = list(comparisons[every - 1 :: every])
    return [one for number, one in enumerate(comparisons, start=1) if number % every], asked
