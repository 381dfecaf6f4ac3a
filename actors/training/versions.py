"""What crosses a process border of adapter versions: what they are, how they were judged. Knows no file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["candidate", "shadow", "serving", "retired", "refused"]
COMMON = ""
"""The scope of the adapter that serves everybody; any other scope is the user whom it serves alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One part of a judgement: a figure with its confidence bounds against the least or most it may be."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None
    items: int = 0
    passed: bool
    said: str
    """A sentence with figure and threshold, and an example of what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an adapter may serve, slice by slice; `reasons` are the sentences of those that failed."""

    accepted: bool
    slices: tuple[Slice, ...]
    reasons: tuple[str, ...]
    judged_at: float


def unquoted(said: str) -> str:
    """A sentence without what it quotes of questions and answers: figures and thresholds stay."""
    return re.sub("“[^”]*”", "“…”", said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An adapter as it stands. All but `state`, `verdict`, `reason` and `forgotten` never change."""

    id: str
    scope: str = COMMON
    base_model: str
    base_model_hash: str
    parent: str | None
    created_at: float
    method: str
    events: tuple[str, ...]
    """Ids of all that it learned from, those of its parents too where it learned on top of them."""
    scores: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str]
    """SHA-256 by name."""
    path: str
    """A directory of its own, never written again."""
    state: State = "candidate"
    verdict: Verdict | None = None
    reason: str = ""
    """Why it was refused or retired."""
    forgotten: bool = False
    """Something that it learned from was forgotten: it never serves again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What serves now. None stands for the base model, a user without a version for the common one."""

    revision: int
    """Grows with every change of what serves."""
    common: Version | None = None
    personal: Mapping[str, Version] = field(default_factory=dict)
    """By user."""
    shadow: Version | None = None
    """A common version that is tried on a share of the requests."""
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A change of a version's state."""

    version: str
    state: State
    reason: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What stands behind an answer: its version (None: the base model), and the memories it was told."""

    id: str
    user: str
    version: str | None
    memories: tuple[str, ...]
    at: float
