"""Fits the weights of a conditional logit: which rivals are right. Knows no feature's meaning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.messages import InvalidRequest

Floats = NDArray[np.float64]

RIDGE = 0.03
"""The largest tried of those whose held-out recall is within a standard error of the best."""
CONSTANT = 1e-6
"""Spread below which a feature says nothing."""
STEPS = 150
KEPT = 8
"""Steps that the curvature is estimated from."""


@dataclass(frozen=True, slots=True)
class Group:
    """One question's rivals: features, shape (rivals, features), and which are right."""

    values: NDArray[np.float32]
    right: NDArray[np.bool_]


def fit(groups: Sequence[Group], ridge: float = RIDGE, start: Floats | None = None) -> Floats:
    """Weights that make each right one likely against the wrong ones of its group; shape (features,).

    `ridge` holds them near `start`, or near 0.
    Raises InvalidRequest where no group has both right and wrong ones.
    """
    usable = [group for group in groups if group.right.any() and not group.right.all()]
    if not usable:
        raise InvalidRequest("no question has both right and wrong memories among its candidates")
    values = np.concatenate([group.values for group in usable])
    scale = values.std(axis=0, dtype=np.float64)
    scale[scale < CONSTANT] = 1
    values = ((values - values.mean(axis=0, dtype=np.float64)) / scale).astype(np.float32)
    before = np.zeros(values.shape[1]) if start is None else start * scale
    right = np.concatenate([group.right for group in usable])
    starts = np.cumsum([0, *(len(group.right) for group in usable)])[:-1]
    number = np.repeat(np.arange(len(usable)), [len(group.right) for group in usable])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = (values @ weights.astype(np.float32)).astype(np.float64)
        value, slope = choice_loss(scores, right, starts, number)
        gradient = (values.T @ slope.astype(np.float32)).astype(np.float64)
        moved = weights - before
        return value + ridge * float(moved @ moved), gradient + 2 * ridge * moved

    found: Floats = minimum(loss, before) / scale
    return found


def choice_loss(
    scores: Floats, right: NDArray[np.bool_], starts: NDArray[np.int64], number: NDArray[np.int64]
) -> tuple[float, Floats]:
    """Mean over questions of the mean over right ones of -log p(it against all wrong ones), and its slope.

    Rivals stand question by question: `starts` are the first of each, `number` says whose each is.
    """
    count = len(starts)
    odds = np.exp(scores - np.maximum.reduceat(scores, starts)[number])
    wrong = np.add.reduceat(np.where(right, 0, odds), starts)
    share = 1 / np.add.reduceat(right.astype(np.float64), starts) / count
    places = np.flatnonzero(right)
    of = number[places]
    likely = odds[places] / (odds[places] + wrong[of])
    slope = np.zeros_like(scores)
    pull = np.bincount(of, share[of] / (odds[places] + wrong[of]), count)
    slope += np.where(right, 0, odds * pull[number])
    slope[places] -= share[of] * (1 - likely)
    return float(-(share[of] * np.log(likely + 1e-12)).sum()), slope


def minimum(loss: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where a smooth convex function of some weights is least (limited-memory BFGS)."""
    weights = start
    value, gradient = loss(weights)
    past: list[tuple[Floats, Floats]] = []
    for _ in range(STEPS):
        direction = _direction(gradient, past)
        step, slope = 1.0, float(gradient @ direction)
        while True:
            moved = weights + step * direction
            new_value, new_gradient = loss(moved)
            if new_value <= value + 1e-4 * step * slope or step < 1e-8:
                break
            step /= 2
        change, bend = moved - weights, new_gradient - gradient
        settled = value - new_value < 1e-8 * max(1.0, abs(value))
        weights, value, gradient = moved, new_value, new_gradient
        if settled:
            break
        if float(change @ bend) > 1e-12:
            past = [*past[1 - KEPT :], (change, bend)]
    return weights


def _direction(gradient: Floats, past: Sequence[tuple[Floats, Floats]]) -> Floats:
    found = -gradient
    alphas = []
    for change, bend in reversed(past):
        alpha = float(change @ found) / float(change @ bend)
        alphas.append(alpha)
        found = found - alpha * bend
    if past:
        change, bend = past[-1]
        found = found * (float(change @ bend) / float(bend @ bend))
    for (change, bend), alpha in zip(past, reversed(alphas), strict=True):
        found = found + (alpha - float(bend @ found) / float(change @ bend)) * change
    return found
