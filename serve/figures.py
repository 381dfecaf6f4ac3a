"""What each version did in this replica: counts, and the newest few lengths and times. Knows no band."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from serve.looping import usual_length

NEWEST = 256
"""Lengths and times that are kept of a version."""


@dataclass(slots=True)
class Figures:
    """Of one version."""

    answers: int = 0
    """Generations that came to their end."""
    failed: int = 0
    degenerate: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    probes: int = 0
    tokens: int = 0
    first_token_s: float = 0.0
    """Seconds to the first token, all together."""
    lengths: deque[int] = field(default_factory=lambda: deque(maxlen=NEWEST))
    firsts: deque[float] = field(default_factory=lambda: deque(maxlen=NEWEST))

    def answered(self, tokens: int, first_s: float, *, degenerate: bool) -> None:
        """One generation came to its end."""
        self.answers += 1
        self.degenerate += degenerate
        self.tokens += tokens
        self.first_token_s += first_s
        self.lengths.append(tokens)
        self.firsts.append(first_s)

    def usual(self, least: int) -> int | None:
        """The length that most answers keep within; None where there are fewer than `least`."""
        return usual_length(self.lengths) if len(self.lengths) >= least else None

    def as_json(self) -> dict[str, Any]:
        """For people."""
        return {
            "answers": self.answers,
            "failed": self.failed,
            "degenerate": self.degenerate,
            "thumbs_up": self.thumbs_up,
            "thumbs_down": self.thumbs_down,
            "probes": self.probes,
            "mean_tokens": _mean(self.tokens, self.answers),
            "first_token_ms_median": round(median(self.firsts) * 1000, 1) if self.firsts else None,
        }


@dataclass(slots=True)
class ShadowFigures:
    """Of a version that was tried beside the one that answered."""

    tried: int = 0
    failed: int = 0
    left_out: int = 0
    """Answers that got no shadow, because too many waited."""
    degenerate: int = 0
    tokens: int = 0
    served_tokens: int = 0
    """Of the answers that were given, where the shadow ended too."""
    seconds: float = 0.0
    likelihood: float = 0.0
    """Log probability of a token of the answers that were given, a mean each, all together."""
    served_likelihood: float = 0.0
    """The same by the version that gave them."""

    def as_json(self) -> dict[str, Any]:
        """For people."""
        ended = self.tried - self.failed
        return {
            "tried": self.tried,
            "failed": self.failed,
            "left_out": self.left_out,
            "degenerate": self.degenerate,
            "mean_tokens": _mean(self.tokens, ended),
            "mean_tokens_served": _mean(self.served_tokens, ended),
            "mean_seconds": _mean(self.seconds, ended),
            "logprob_of_served": _mean(self.likelihood, ended),
            "logprob_of_served_by_itself": _mean(self.served_likelihood, ended),
        }


def mean(values: Sequence[float]) -> float:
    """0 for none."""
    return sum(values) / len(values) if values else 0.0


def _mean(total: float, of: int) -> float | None:
    return round(total / of, 4) if of else None
