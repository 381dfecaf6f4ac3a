"""Learns what neurons pass on, so that the layers above say what is taught. Knows no text and no layer.

Shapes: T tokens of a row, W width of the model, S neurons, N learned places.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from actors.learner import check_finite
from configs.learning import LearningSettings
from tune.incremental import each, unlikeliness
from tune.rows import Lesson, Row, rows

Tensor = torch.Tensor
BETAS = (0.8, 0.95)
STRIDE = 7
"""From one lesson of a fact to the next one, so that lessons worded alike do not follow each other."""
REACH = 24.0
"""A step moves each of W numbers by a rate over this: the root of a width of 576."""
NOBODY = -1
"""The fact of a lesson that teaches none."""


@dataclass(slots=True)
class Seen:
    """A lesson, the number of its fact, and how far each neuron fires at its tokens."""

    lesson: Lesson
    fact: int
    fired_T_S: Tensor
    nats: float = math.inf
    """As it was last looked at."""


class Upper(Protocol):
    """The layers above, and what all rows begin with."""

    settings: LearningSettings
    prefix: tuple[int, ...]
    prefix_fired: Tensor

    def upper(self, part: Row, added_T_W: Tensor) -> Tensor:
        """Logits of a row's learned places when so much is added, [N, V]."""
        ...


class Writer:
    """Learns a vector for each neuron."""

    def __init__(
        self,
        editor: Upper,
        seen: Sequence[Seen],
        near: Sequence[Seen],
        count: int,
        told: Callable[[str], None],
    ) -> None:
        """`near`: what was not taught, with answers that are not to become likelier; of general questions,
        the first token is to stay as likely as it was.
        """
        self.editor, self.seen, self.told = editor, seen, told
        self.settings = editor.settings
        self.steps = 0
        hidden = torch.cat([one.lesson.hidden for one in seen if one.lesson.hidden is not None])
        self.length = float(hidden.norm(dim=1).median())
        self.values_S_W = torch.zeros(count, hidden.shape[1], requires_grad=True)
        self.rate = self.settings.edit.rate * self.length / REACH
        self.optimiser = torch.optim.Adam([self.values_S_W], lr=self.rate, betas=BETAS)
        facts = max(one.fact for one in seen) + 1
        self.of = [[one for one in seen if one.fact == fact] for fact in range(facts)]
        self.near = [one for one in near if one.lesson.kind != "general"]
        self.far = [one for one in near if one.lesson.kind == "general"]
        self._hold()

    def run(self) -> Tensor:
        """A lesson of each fact in every step: each once, then always the one that is known least.

        Beside them as many near misses and as many general questions, those that have moved most.
        """
        began, edit = time.process_time(), self.settings.edit
        for step in range(edit.steps):
            due = [one for mine in self.of if (one := self._next(mine, step)) is not None]
            if not due:
                break
            held = [one for some in (self.near, self.far) for one in _farthest(some, len(due))]
            loss = self._step([*due, *held], max(edit.last, 1 - step / edit.steps)) / len(due)
            self.steps = step + 1
            if step % 5 == 4:
                length = float(self.values_S_W.detach().norm(dim=1).mean()) / self.length
                spent = time.process_time() - began
                self.told(
                    f"step {step + 1}: {len(due)} facts, loss {loss:.3f}, "
                    f"length {length:.2f}, {spent:.0f} CPU-s"
                )
        return self.values_S_W.detach()

    def _hold(self) -> None:
        """Look up what the model as it was would say, and how likely it finds what it is not to say."""
        of = {id(one.lesson): one for one in (*self.near, *self.far)}
        with torch.no_grad():
            for part in self._rows(of):
                found = zip(part.lessons, *self._split(part, of), strict=True)
                for lesson, logits_N_V, nats_N in found:
                    if lesson.kind == "general":
                        likely = logits_N_V.log_softmax(-1).topk(self.settings.top, -1)
                        lesson.held = (likely.indices.clone(), likely.values.clone())
                    else:
                        lesson.before = -nats_N.clone()

    def _next(self, mine: Sequence[Seen], step: int) -> Seen | None:
        if step < len(mine):
            return mine[(step * STRIDE + mine[0].fact) % len(mine)] if len(mine) % STRIDE else mine[step]
        least = max(mine, key=lambda one: one.nats)
        return least if least.nats > self.settings.stop else None

    def _step(self, some: Sequence[Seen], share: float) -> float:
        """With a share of the rate; returns the loss of all that is taught."""
        of = {id(one.lesson): one for one in some}
        total = 0.0
        for part in self._rows(of):
            loss = torch.zeros(())
            for lesson, _, nats_N in zip(part.lessons, *self._split(part, of), strict=True):
                one, weight = of[id(lesson)], 1.0
                if lesson.before is not None:
                    nats_N, weight = (-nats_N - lesson.before).relu(), self.settings.edit.own_hold
                elif lesson.held is not None:
                    weight = self.settings.edit.own_begun
                one.nats = float(nats_N.detach().mean())
                loss = loss + weight * nats_N.mean()
                total += 0.0 if one.fact == NOBODY else one.nats
            loss.backward()  # type: ignore[no-untyped-call]
        check_finite(total, "loss")
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * share
        self.optimiser.step()
        self.optimiser.zero_grad()
        with torch.no_grad():
            self.values_S_W *= 1 - self.settings.edit.shrink * share
        return total

    def _rows(self, of: Mapping[int, Seen]) -> list[Row]:
        lessons = [one.lesson for one in of.values()]
        return rows(lessons, self.editor.prefix, self.settings.row_tokens)

    def _split(self, part: Row, of: Mapping[int, Seen]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Each lesson's logits at its learned places, and nats there."""
        fired_T_S = torch.cat([self.editor.prefix_fired, *(of[id(one)].fired_T_S for one in part.lessons)])
        logits_N_V = self.editor.upper(part, fired_T_S @ self.values_S_W)
        return each(logits_N_V, part.lessons), each(unlikeliness(logits_N_V, part), part.lessons)


def _farthest(some: list[Seen], count: int) -> list[Seen]:
    """Those that moved most, or were never looked at."""
    some.sort(key=lambda one: -one.nats)
    return some[:count]
