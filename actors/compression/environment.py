"""Compression as an environment to learn in: choose words, get what the choice is worth. Knows no learner.

Legend: S choices made at once, N words of the longest chunk, W features of a word, R words seen by a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from actors.compression.chunks import Chunk
from actors.compression.features import WIDTH
from actors.compression.policy import CHUNK
from actors.compression.reward import Places, Scorer, Weights, achieved, credit, reward

Observation = dict[str, NDArray[np.float32]]
REACH = 15
"""Words that the sequential environment shows around the one to be decided on."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be learned: the chunks, the budgets that are asked, and what counts."""

    chunks: Sequence[Chunk]
    bits: Sequence[NDArray[np.float32]]
    """How hard each word of each chunk is to guess."""
    weights: Weights = field(default_factory=Weights)
    lowest: float = 0.2
    highest: float = 0.8
    """Budgets are drawn between these."""
    choices: int = 1
    """Choices of words made at once for one chunk."""
    reader: Scorer | None = None
    reconstruction: Scorer | None = None

    def worth(self, number: int, masks: NDArray[np.bool_], budget: float) -> NDArray[np.float32]:
        """What each choice of a chunk's words is worth [S]."""
        chunk = self.chunks[number]
        return reward(
            self.weights,
            number,
            masks,
            chunk.places,
            chunk.costs,
            self.bits[number],
            budget,
            self.reader,
            self.reconstruction,
        )


class ChunkEnvironment(gymnasium.Env):  # type: ignore[misc]
    """One step an episode: all words of a chunk are chosen at once, S times over.

    Observation: `rows` [N, W], `mask` [N], `free` [N] of the words that may be dropped, `costs` [N], `budget`
    [1]. Action: MultiBinary [S, N]. The reward is the mean over the choices; `info` holds each choice's
    `worth` [S], each word's `credit` against other choices [S, N], the mean `utility` (questions that keep
    their answer) and the mean `ratio` (tokens kept).
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.longest = min(CHUNK, max(len(chunk.costs) for chunk in task.chunks))
        self.observation_space = spaces.Dict(
            {
                "rows": spaces.Box(-np.inf, np.inf, (self.longest, WIDTH), np.float32),
                "mask": spaces.Box(0, 1, (self.longest,), np.float32),
                "free": spaces.Box(0, 1, (self.longest,), np.float32),
                "costs": spaces.Box(0, np.inf, (self.longest,), np.float32),
                "budget": spaces.Box(0, 1, (1,), np.float32),
            }
        )
        self.action_space = spaces.MultiBinary([task.choices, self.longest])
        self._dealt: tuple[int, float] | None = None
        self._number = 0
        self._budget = 0.5

    def deal(self, number: int, budget: float) -> None:
        """Say which chunk and budget the next episode is about; else they are drawn."""
        self._dealt = (number, budget)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Show the next chunk."""
        super().reset(seed=seed)
        self._number, self._budget = self._dealt or draw(self.task, self.np_random)
        self._dealt = None
        return self._observation(), {}

    def step(self, action: NDArray[np.int8]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take the choices; the episode ends."""
        chunk = self.task.chunks[self._number]
        masks = np.asarray(action, np.bool_)[:, : len(chunk.costs)] | chunk.locked
        worth = self.task.worth(self._number, masks, self._budget)
        info = {"worth": worth, **outcome(chunk, masks)}
        if self.task.choices > 1:
            own = np.zeros((self.task.choices, self.longest), np.float32)
            own[:, : len(chunk.costs)] = credit(self.task.weights, masks, chunk.places, worth)
            info["credit"] = own
        return self._observation(), float(worth.mean()), True, False, info

    def _observation(self) -> Observation:
        chunk = self.task.chunks[self._number]
        count = len(chunk.costs)
        rows = np.zeros((self.longest, WIDTH), np.float32)
        rows[:count] = chunk.rows
        mask, free, costs = np.zeros((3, self.longest), np.float32)
        mask[:count] = 1
        free[:count] = ~chunk.locked
        costs[:count] = chunk.costs
        budget = np.array([self._budget], np.float32)
        return {"rows": rows, "mask": mask, "free": free, "costs": costs, "budget": budget}


class WordEnvironment(ChunkEnvironment):
    """The sequential ablation: one word a step, the reward at the chunk's end.

    Observation: `rows` [R, W] around the word and `mask` [R] of those there are, `free` and `costs` [R], and
    `budget`: the share of the tokens left that may still be kept. Action: MultiBinary [1, R], of which the
    middle one is the word's.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.longest = REACH
        self.observation_space = spaces.Dict(
            {
                "rows": spaces.Box(-np.inf, np.inf, (REACH, WIDTH), np.float32),
                "mask": spaces.Box(0, 1, (REACH,), np.float32),
                "free": spaces.Box(0, 1, (REACH,), np.float32),
                "costs": spaces.Box(0, np.inf, (REACH,), np.float32),
                "budget": spaces.Box(0, 1, (1,), np.float32),
            }
        )
        self.action_space = spaces.MultiBinary([1, REACH])
        self._kept: list[bool] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Show the first word of the next chunk."""
        self._kept = []
        return super().reset(seed=seed, options=options)

    def step(self, action: NDArray[np.int8]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Decide on one word; the last one ends the episode."""
        chunk = self.task.chunks[self._number]
        self._kept.append(bool(np.asarray(action)[0, REACH // 2] or chunk.locked[len(self._kept)]))
        if len(self._kept) < len(chunk.costs):
            return self._observation(), 0.0, False, False, {}
        masks = np.array([self._kept])
        worth = self.task.worth(self._number, masks, self._budget)
        info = {"worth": worth, **outcome(chunk, masks)}
        return self._observation(), float(worth[0]), True, False, info

    def _observation(self) -> Observation:
        chunk = self.task.chunks[self._number]
        at = min(len(self._kept), len(chunk.costs) - 1)
        rows = np.zeros((REACH, WIDTH), np.float32)
        mask, free, costs = np.zeros((3, REACH), np.float32)
        first, last = max(0, at - REACH // 2), min(len(chunk.costs), at + REACH // 2 + 1)
        seen = slice(first - at + REACH // 2, last - at + REACH // 2)
        rows[seen] = chunk.rows[first:last]
        mask[seen] = 1
        free[seen] = ~chunk.locked[first:last]
        costs[seen] = chunk.costs[first:last]
        spent = chunk.costs[: len(self._kept)] @ np.array(self._kept, np.int64) if self._kept else 0
        left = (self._budget * chunk.costs.sum() - spent) / max(1, chunk.costs[at:].sum())
        budget = np.array([left.clip(0, 1)], np.float32)
        return {"rows": rows, "mask": mask, "free": free, "costs": costs, "budget": budget}


def draw(task: Task, chance: np.random.Generator) -> tuple[int, float]:
    """A chunk's number and a budget."""
    return int(chance.integers(len(task.chunks))), float(chance.uniform(task.lowest, task.highest))


def outcome(chunk: Chunk, masks: NDArray[np.bool_]) -> dict[str, float]:
    """What is reported of choices: questions that keep their answer, and tokens kept, as shares."""
    return {
        "utility": _utility(chunk.places, masks),
        "ratio": float(achieved(masks, chunk.costs).mean()),
    }


def _utility(places: Places, masks: NDArray[np.bool_]) -> float:
    return float(places.kept(masks).mean()) if places.questions else 0.0
