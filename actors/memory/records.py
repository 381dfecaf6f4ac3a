"""Frozen records of memories: what crosses a process border. Knows no library beyond the standard one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from actors.messages import Json

MemoryKind = Literal["turn", "note", "summary"]
"""Said in a conversation; given as a text of its own; proposed by consolidation from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """What is to be remembered, verbatim.

    `speaker` is who says "I" in the text; without one it is the user. `said_at` (Unix seconds) is when it was
    said and from when on it holds; None is now. `expires_at`: from that moment on it is not there any more.
    """

    text: str
    kind: MemoryKind = "turn"
    role: str = "user"
    speaker: str = ""
    said_at: float | None = None
    importance: float = 0.5
    """0 to 1."""
    pinned: bool = False
    expires_at: float | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    """Ids of the memories that a summary was made from."""
    training: bool | None = None
    """Whether it may be trained on, as its request said; None: as its user's consent says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value that a slot of a subject had for a time, as one memory states it.

    Example: Fact(memory_id="mem_1", subject="user", slot="home", value="Porto", valid_from=1.7e9, ...)
    """

    memory_id: str
    subject: str
    """`user` is who says "I" without a name; else a lower-case name."""
    slot: str
    value: str
    statement: str
    """The sentence of the memory that says so."""
    valid_from: float
    valid_to: float | None
    """When another value took its place or it was retracted; None: it still holds."""
    created_at: float
    superseded_by: str | None = None
    """The memory whose statement ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A stored memory. All times are Unix seconds."""

    id: str
    kind: MemoryKind
    text: str
    role: str
    speaker: str
    session: str
    agent: str
    ordinal: int
    """Position in its session, from 0."""
    valid_from: float
    """When it was said."""
    valid_to: float | None
    """When the last of its facts ceased to hold; None: it holds, or states no fact."""
    created_at: float
    updated_at: float
    superseded_by: str | None = None
    importance: float = 0.5
    pinned: bool = False
    expires_at: float | None = None
    archived_at: float | None = None
    uses: int = 0
    """How often it stood in a prompt that was answered."""
    used_at: float | None = None
    event_id: str = ""
    metadata: Mapping[str, Json] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    training: bool | None = None
    """Whether it may be trained on, as its request said; None: as its user's consent says."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did with one memory: NONE where the same note was there, or it was forgotten since."""

    id: str
    text: str
    event: Literal["ADD", "UPDATE", "NONE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A memory that bears on a query. `parts` are the features behind the score; `why` says it in words."""

    memory: Memory
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a memory's history, oldest first in any list."""

    memory_id: str
    event: Literal["ADD", "UPDATE", "RESTATE", "ARCHIVE", "MERGE", "SUPERSEDE"]
    old: str | None
    new: str | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """What is to be forgotten: all of the user's that meets every condition given; at least one is needed.

    `matching`: texts that hold all of these words. `everything`: all of the user, the user's name too.
    """

    ids: tuple[str, ...] = ()
    session: str | None = None
    agent: str | None = None
    matching: str | None = None
    before: float | None = None
    """Said before this moment."""
    everything: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was forgotten, or would be. `events` wrote it; training data is checked by them."""

    memory_ids: tuple[str, ...]
    events: tuple[str, ...]
    texts: tuple[str, ...] = ()
    """Only in a dry run: how each text begins."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Tombstone:
    """All that stays of a forgotten memory: ids, and no word of it."""

    memory_id: str
    event_id: str
    forgotten_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPage:
    """Some of a user's memories, newest first, and how many there are in all."""

    memories: tuple[Memory, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStats:
    """How much is remembered of a user."""

    memories: int
    by_kind: Mapping[str, int]
    sessions: int
    facts: int
    """Facts that hold now."""
    archived: int
    without_vector: int
    forgotten: int
    """Tombstones."""
    bytes: int
    """Characters of text, encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidated:
    """What consolidation did: ids merged into others, archived, expired and now deleted, proposed."""

    merged: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Whether a user's memories and documents may be trained on."""

    training: bool | None = None
    """None: the user never said; then only what a request allowed by itself may be."""
    shared: bool = False
    """Whether what concerns nobody in particular may also be taught to the model that serves everybody."""
    changed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer beside others to the same conversation, with its score where it has one."""

    text: str
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Answers to one conversation that a user compared: a better and a worse one, or several with scores."""

    id: str
    kind: Literal["preference", "reward"]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a user thought of an answer."""

    id: str
    completion_id: str
    rating: int | None
    """-1 or 1."""
    correction: str | None
    """The answer that should have been given."""
    at: float
    first: bool = False
    """Only in the reply to a call: the answer had no rating before it."""
