"""What compressing costs and what it saves, as measured, and whether it pays. Knows no text and no clock."""

from dataclasses import dataclass
from typing import Literal

from actors.compression.keepscores import nearest_tier
from configs.schema import CompressionSettings

ASSUMED_PREFILL_S = 5e-4
"""Seconds for a prompt token until a request was measured: a small model on a CPU."""
ASSUMED_COMPRESS_S = 3e-5
"""Seconds for a token of the text to be compressed, until one was."""
LEAST_MEASURED = 64
"""Tokens that a request must have computed, or a text must have, to be a measurement."""
_WEIGHT = 0.2
"""Of the newest measurement in the running mean."""

_HIGHEST_STEP = 4
"""Times the mean that a measurement counts for at most: a machine may be busy for a moment."""

Budget = float | Literal["auto"]


@dataclass(frozen=True)
class Plan:
    """Whether to compress, and to which share; `why` says why not."""

    budget: float
    bypass: bool = False
    why: str = ""


class CostModel:
    """Running means of the time to compress a token and the time to prefill one."""

    def __init__(self, settings: CompressionSettings) -> None:
        self._settings = settings
        self._prefill_s: float | None = None
        self._compress_s: float | None = None

    @property
    def prefill_s(self) -> float:
        """Seconds that the engine takes for one prompt token: as set, as measured, or assumed."""
        if self._settings.prefill_us is not None:
            return self._settings.prefill_us * 1e-6
        return ASSUMED_PREFILL_S if self._prefill_s is None else self._prefill_s

    @property
    def compress_s(self) -> float:
        """Seconds that compressing takes for one token of the text: as measured, or assumed."""
        return ASSUMED_COMPRESS_S if self._compress_s is None else self._compress_s

    def prefilled(self, prompt_tokens: int, cached_tokens: int, seconds: float) -> None:
        """A request's first token came `seconds` after the engine had its prompt."""
        computed = prompt_tokens - cached_tokens
        if computed >= LEAST_MEASURED:
            self._prefill_s = _mean(self._prefill_s, seconds / computed)

    def compressed(self, tokens: int, seconds: float) -> None:
        """A text of so many tokens was compressed in so much time of a processor."""
        if tokens >= LEAST_MEASURED:
            most = _HIGHEST_STEP * self.compress_s if self._compress_s else float("inf")
            self._compress_s = _mean(self._compress_s, min(most, seconds / tokens))

    def passed_by(self) -> None:
        """A text was left whole: what was measured counts less, so that one bad moment is not for ever."""
        if self._compress_s is not None:
            self._compress_s = _mean(self._compress_s, ASSUMED_COMPRESS_S)

    def budget_of(self, asked: Budget) -> float:
        """The share that a budget asks for: "auto" is the default budget's tier."""
        return nearest_tier(self._settings.budget, self._settings.tiers) if asked == "auto" else asked

    def plan(self, asked: Budget, tokens: int, cached_tokens: int = 0, force: bool = False) -> Plan:
        """Whether to compress a text of so many tokens; `cached_tokens` of it the engine need not read."""
        budget = self.budget_of(asked)
        if budget >= 1:
            return Plan(budget, bypass=True, why="the budget is the whole text")
        if force:
            return Plan(budget)
        if tokens <= self._settings.least_tokens:
            return Plan(budget, bypass=True, why=f"the text has {tokens} tokens, which is short")
        saved_s = max(0.0, tokens * (1 - budget) - cached_tokens) * self.prefill_s
        cost_s = tokens * self.compress_s
        if cost_s > self._settings.cost_share * saved_s:
            return Plan(
                budget,
                bypass=True,
                why=f"it would take {cost_s * 1e3:.2f} ms and save {saved_s * 1e3:.2f} ms of prefill",
            )
        return Plan(budget)


def _mean(before: float | None, now: float) -> float:
    return now if before is None else before + _WEIGHT * (now - before)
