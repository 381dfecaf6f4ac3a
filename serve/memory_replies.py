"""Replies of the memory routes, in mem0's words; every moment is ISO 8601. Knows no handler."""

from collections.abc import Sequence
from typing import Any, Literal

from actors.memory.records import (
    Change,
    Consolidated,
    Fact,
    Forgotten,
    Memory,
    MemoryStats,
    Recalled,
    Tombstone,
    Written,
)
from serve.moments import iso
from serve.openapi import Reply

Event = Literal["ADD", "UPDATE", "NONE"]


class WrittenMemory(Reply):
    """What became of one memory: NONE where it was there already."""

    id: str
    memory: str
    event: Event


class WrittenMemories(Reply):
    """The memories that a request wrote, in its order."""

    results: list[WrittenMemory]


class StoredMemory(Reply):
    """A memory. `valid_from` is when it was said; `valid_to` when the last of its facts ceased to hold."""

    id: str
    memory: str
    user_id: str
    agent_id: str | None
    run_id: str | None
    metadata: dict[str, Any]
    kind: Literal["turn", "note", "summary"]
    role: str
    name: str | None
    created_at: str
    updated_at: str
    valid_from: str
    valid_to: str | None
    superseded_by: str | None
    expiration_date: str | None
    archived_at: str | None
    importance: float
    pinned: bool
    uses: int
    used_at: str | None
    event_id: str
    sources: list[str]
    training: bool | None


class FoundMemory(StoredMemory):
    """A memory that bears on a query; `parts` are the features behind its score, `why` says it in words."""

    score: float
    parts: dict[str, float]
    why: str


class FoundMemories(Reply):
    """The memories found, best first."""

    results: list[FoundMemory]


class MemoryList(Reply):
    """A page of memories, newest first; `count` is how many there are in all."""

    results: list[StoredMemory]
    count: int
    page: int
    page_size: int


class HistoryEntry(Reply):
    """A change of a memory."""

    id: str
    memory_id: str
    user_id: str
    event: str
    old_memory: str | None
    new_memory: str | None
    created_at: str


class Deletion(Reply):
    """How many memories are gone for good."""

    message: str
    deleted: int


class ForgottenMemories(Reply):
    """What was forgotten, or in a dry run would be, with how each text begins."""

    memory_ids: list[str]
    events: list[str]
    texts: list[str]
    dry_run: bool


class StatedFact(Reply):
    """A value that a slot of a subject had for a time."""

    subject: str
    slot: str
    value: str
    statement: str
    memory_id: str
    valid_from: str
    valid_to: str | None
    created_at: str
    superseded_by: str | None


class StatedFacts(Reply):
    """Facts."""

    results: list[StatedFact]


class Stats(Reply):
    """How much is remembered of a user."""

    user_id: str
    memories: int
    by_kind: dict[str, int]
    sessions: int
    facts: int
    archived: int
    without_vector: int
    forgotten: int
    bytes: int


class TombstoneEntry(Reply):
    """All that stays of a forgotten memory."""

    memory_id: str
    event_id: str
    forgotten_at: str


class Tombstones(Reply):
    """Tombstones, oldest first."""

    results: list[TombstoneEntry]


class Consolidation(Reply):
    """Ids of memories that were merged into others, archived, expired and now deleted, and proposed."""

    merged: list[str]
    archived: list[str]
    expired: list[str]
    proposed: list[str]


def written(found: Sequence[Written]) -> WrittenMemories:
    """The reply to a write."""
    return WrittenMemories(
        results=[WrittenMemory(id=one.id, memory=one.text, event=one.event) for one in found]
    )


def stored(user: str, memory: Memory) -> StoredMemory:
    """A memory as its user sees it."""
    return StoredMemory(**_fields(user, memory))


def found(user: str, hits: Sequence[Recalled]) -> FoundMemories:
    """The reply to a search."""
    return FoundMemories(
        results=[
            FoundMemory(**_fields(user, hit.memory), score=hit.score, parts=dict(hit.parts), why=hit.why)
            for hit in hits
        ]
    )


def history(user: str, changes: Sequence[Change]) -> list[HistoryEntry]:
    """The reply to a question for a memory's history."""
    return [
        HistoryEntry(
            id=f"{change.memory_id}-{number}",
            memory_id=change.memory_id,
            user_id=user,
            event=change.event,
            old_memory=change.old,
            new_memory=change.new,
            created_at=iso(change.at),
        )
        for number, change in enumerate(changes)
    ]


def forgotten(what: Forgotten) -> ForgottenMemories:
    """The reply to a forgetting."""
    return ForgottenMemories(
        memory_ids=list(what.memory_ids),
        events=list(what.events),
        texts=list(what.texts),
        dry_run=what.dry_run,
    )


def facts(stated: Sequence[Fact]) -> StatedFacts:
    """The reply to a question for facts."""
    return StatedFacts(
        results=[
            StatedFact(
                subject=fact.subject,
                slot=fact.slot,
                value=fact.value,
                statement=fact.statement,
                memory_id=fact.memory_id,
                valid_from=iso(fact.valid_from),
                valid_to=_iso(fact.valid_to),
                created_at=iso(fact.created_at),
                superseded_by=fact.superseded_by,
            )
            for fact in stated
        ]
    )


def stats(user: str, counted: MemoryStats) -> Stats:
    """The reply to a question for figures."""
    return Stats(
        user_id=user,
        memories=counted.memories,
        by_kind=dict(counted.by_kind),
        sessions=counted.sessions,
        facts=counted.facts,
        archived=counted.archived,
        without_vector=counted.without_vector,
        forgotten=counted.forgotten,
        bytes=counted.bytes,
    )


def tombstones(stones: Sequence[Tombstone]) -> Tombstones:
    """The reply to a question for what was forgotten."""
    return Tombstones(
        results=[
            TombstoneEntry(
                memory_id=stone.memory_id, event_id=stone.event_id, forgotten_at=iso(stone.forgotten_at)
            )
            for stone in stones
        ]
    )


def consolidation(done: Consolidated) -> Consolidation:
    """The reply to a consolidation."""
    return Consolidation(
        merged=list(done.merged),
        archived=list(done.archived),
        expired=list(done.expired),
        proposed=list(done.proposed),
    )


def _fields(user: str, memory: Memory) -> dict[str, Any]:
    return {
        "id": memory.id,
        "memory": memory.text,
        "user_id": user,
        "agent_id": memory.agent or None,
        "run_id": memory.session or None,
        "metadata": dict(memory.metadata),
        "kind": memory.kind,
        "role": memory.role,
        "name": memory.speaker or None,
        "created_at": iso(memory.created_at),
        "updated_at": iso(memory.updated_at),
        "valid_from": iso(memory.valid_from),
        "valid_to": _iso(memory.valid_to),
        "superseded_by": memory.superseded_by,
        "expiration_date": _iso(memory.expires_at),
        "archived_at": _iso(memory.archived_at),
        "importance": memory.importance,
        "pinned": memory.pinned,
        "uses": memory.uses,
        "used_at": _iso(memory.used_at),
        "event_id": memory.event_id,
        "sources": list(memory.sources),
        "training": memory.training,
    }


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
