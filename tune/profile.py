"""Takes the steps of a training apart: seconds, memory and tokens a second of each of their parts.

The loop is `tune.train`'s own; what is timed is called from there.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from actors.learner import Learner, causal_of
from configs.training import LongContextTraining
from tune.group import Group, device_of
from tune.highest import forget, highest_bytes
from tune.train import Figures, Plan, train

PARTS = ("data", "forward", "loss", "backward", "optimiser")
"""Of a step; data holds all that is none of the others."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the steps that were counted."""

    name: str
    seconds: float
    """Of a step."""
    share: float
    tokens_per_s: float
    memory_gib: float
    """The most there was during it, of the GPU or resident; on systems that do not tell, at its end."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the steps of a training took."""

    steps: int
    tokens: int
    """Of a step."""
    seconds: float
    """Of a step."""
    memory_gib: float
    """The most there was, loading the model too."""
    parts: tuple[Part, ...]


def profile(plan: Plan, steps: int, trace: Path | None, watch: Callable[[Figures], None]) -> Profile:
    """Train `steps` steps that count after one that does not, on one rank in this process; nothing is kept.

    With `trace` one more is recorded operation by operation and written as Chrome's trace events.
    """
    settings = alone(plan.settings, steps + 2)
    told = Plan(settings=settings, model=plan.model, folder=plan.folder, home=plan.home)
    device = device_of(settings.device)
    group = _Timed(settings, device)
    loop = train(told, group, device, None)
    assert isinstance(loop, Generator)
    try:
        watch(next(loop))
        group.clock.clear()
        counted = []
        for figures in islice(loop, steps):
            counted.append(figures)
            watch(figures)
        found = _found(group.clock, counted, settings)
        if trace is not None:
            with torch.profiler.profile() as recorded:
                next(loop)
            recorded.export_chrome_trace(str(trace))
    finally:
        loop.close()
        group.close()
    return found


def alone(settings: LongContextTraining, steps: int) -> LongContextTraining:
    """The settings of one rank of several, for so many steps, without a checkpoint."""
    change = {"ranks": 1, "sequence_parallel": 1, "zero": 0, "batch": settings.batch // settings.replicas}
    return settings.model_copy(
        update={**change, "steps": steps + 1, "checkpoint_every": steps + 1, "eval_data": ()}
    )


def _found(clock: "_Clock", counted: list[Figures], settings: LongContextTraining) -> Profile:
    steps = len(counted)
    whole = sum(one["step_s"] for one in counted)
    tokens = settings.batch * settings.accumulate * int(counted[-1]["length"])
    seconds = {name: clock.seconds[name] for name in PARTS[1:]}
    seconds["data"] = whole - sum(seconds.values())
    parts = tuple(
        Part(
            name,
            round(seconds[name] / steps, 4),
            round(seconds[name] / whole, 4),
            round(tokens * steps / max(seconds[name], 1e-9), 1),
            round(clock.bytes[name] / 2**30, 3),
        )
        for name in PARTS
    )
    return Profile(steps, tokens, round(whole / steps, 4), round(clock.peak / 2**30, 3), parts)


class _Timed(Group):
    """A group whose learner's parts are timed."""

    def __init__(self, settings: LongContextTraining, device: torch.device) -> None:
        super().__init__(settings, device)
        self.clock = _Clock(device)

    def learner(self, settings: LongContextTraining, path: Path) -> Learner:
        learner = _TimedLearner(settings, path, self._device, self.attention)
        learner.watch(self.clock)
        return learner


class _TimedLearner(Learner):
    """A learner that tells a clock when its parts begin and end."""

    def watch(self, clock: "_Clock") -> None:
        """Tell this clock from now on."""
        self._clock = clock
        body = causal_of(self.model).base_model
        body.register_forward_pre_hook(lambda *_: clock.begin("forward"))
        body.register_forward_hook(lambda *_: clock.begin("loss"))
        self.objective.register_forward_hook(lambda *_: clock.begin("backward"))

    def backward(self, share: Any, total: int) -> torch.Tensor:
        nats = super().backward(share, total)
        self._clock.begin("data")
        return nats

    def step(self, rate: float, combine: Any = None) -> float:
        self._clock.begin("optimiser")
        norm = super().step(rate, combine)
        self._clock.begin("data")
        return norm


@dataclass
class _Clock:
    """Which part is under way; adds up their seconds and keeps their peaks."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    peak: int = 0
    """Of all parts, from the beginning."""
    _part: str = "data"
    _since: float = 0.0
    _recorded: ExitStack = field(default_factory=ExitStack)

    def begin(self, part: str) -> None:
        """End what is under way, and begin this."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[self._part] += now - self._since
        self.bytes[self._part] = max(self.bytes[self._part], highest := self._highest())
        self.peak = max(self.peak, highest)
        self._forget()
        self._recorded.close()
        self._recorded.enter_context(torch.profiler.record_function(part))
        self._part, self._since = part, time.perf_counter()

    def clear(self) -> None:
        """Count from now on."""
        self.begin("data")
        self.seconds.clear()
        self.bytes.clear()

    def _highest(self) -> int:
        """The most memory since it was last forgotten, or what there is."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return highest_bytes()

    def _forget(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            forget()
