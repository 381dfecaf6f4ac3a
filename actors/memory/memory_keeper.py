"""The calls of a keeper that concern memories. Knows no document, no model and no HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.identity import RANDOM, Identity
from actors.memory import (
    admission,
    aspects,
    changes,
    consolidation,
    cues,
    exchange,
    expiry,
    facts,
    forgetting,
    memories,
    remembering,
    selection,
    tombs,
    writing,
)
from actors.memory.memory_source import Limits
from actors.memory.partition import Partition
from actors.memory.partitions import owner_of
from actors.memory.ranker import SHIPPED
from actors.memory.ranker import load as load_ranker
from actors.memory.recent import TURNS, RecentTurns
from actors.memory.records import (
    Change,
    Consolidated,
    Fact,
    Forgetting,
    Forgotten,
    Memory,
    MemoryPage,
    MemoryStats,
    NewMemory,
    Recalled,
    Tombstone,
    Written,
)
from actors.messages import InvalidRequest, Json
from configs.schema import DocumentSettings, MemorySettings

Vectors = NDArray[np.float32]


class MemoryKeeper(Partition):
    """Memories of many users, each seen by its own user alone: every method takes the user first.

    An id that is another user's is NotFound, as if it were not there. What has expired is in no answer.
    """

    def __init__(
        self,
        directory: Path,
        documents: DocumentSettings,
        identity: Identity = RANDOM,
        memory: MemorySettings | None = None,
    ) -> None:
        super().__init__(directory, documents, identity, memory)
        self._recent = RecentTurns()
        self._expiries = expiry.Expiries()
        self._reading = remembering.Reading(
            matrices=self._matrices,
            half_life_days=self._memory.half_life_days,
            decay_weight=self._memory.decay_weight,
            ranker=SHIPPED if self._memory.ranker is None else load_ranker(self._memory.ranker),
        )
        self._handed: dict[tuple[str, str], str] = {}
        """Texts handed out to be embedded, by user and memory."""

    async def remember(
        self,
        user: str,
        event_id: str,
        memories: Sequence[NewMemory],
        vectors: Vectors | None = None,
        *,
        session: str = "",
        agent: str = "",
    ) -> tuple[Written, ...]:
        """Store memories in one transaction, in order, at the session's end; durable once this returns.

        `vectors` has shape (len(memories), dimensions); None: `put_vectors` brings them later, and until then
        the memories are found by their words. The same event_id twice writes once and answers the same, also
        after what it wrote was forgotten. Raises InvalidRequest, TooLarge.
        """
        for memory in memories:
            admission.check(memory, self._memory.max_characters)
        admission.check_name("session", session)
        admission.check_name("agent", agent)
        now = await self._now(user)
        held = self._recent.has(user, session)
        done = await self._open.write(
            writing.remember, user, event_id, memories, vectors, session, agent, self._identity, now, held
        )
        if any(memory.expires_at is not None for memory in memories):
            self._expiries.unknown(user)
        if done.changed:
            self._recent.drop(user)
        elif held:
            self._recent.add(user, session, [memory for memory in done.made if memory.kind == "turn"])
        else:
            self._recent.miss(user, session)
        self._wake()
        return done.written

    async def get_memory(self, user: str, memory_id: str) -> Memory:
        """Raises NotFound."""
        now = await self._now(user)
        return await self._open.read(memories.get, user, memory_id, now)

    async def list_memories(
        self,
        user: str,
        *,
        session: str | None = None,
        agent: str | None = None,
        page: int = 1,
        page_size: int = 100,
    ) -> MemoryPage:
        """A page of the user's memories, newest first; pages count from 1. None: any session or agent."""
        if page < 1 or page_size < 1:
            raise InvalidRequest("pages count from 1 and hold at least one memory", param="page")
        now = await self._now(user)
        return await self._open.read(memories.listed, user, now, session, agent, page, page_size)

    async def update_memory(
        self,
        user: str,
        event_id: str,
        memory_id: str,
        *,
        text: str | None = None,
        vector: Vectors | None = None,
        metadata: Mapping[str, Json] | None = None,
        importance: float | None = None,
        pinned: bool | None = None,
        archived: bool | None = None,
    ) -> Memory:
        """Change what is given, leave the rest; a new text's facts take the old one's place from then on.

        A text without its vector (shape (dimensions,)) is embedded later. The old text stays in the history.
        Raises NotFound, InvalidRequest, TooLarge.
        """
        edit = writing.Edit(
            text=text,
            vector=vector,
            metadata=metadata,
            importance=importance,
            pinned=pinned,
            archived=archived,
        )
        edit.check(self._memory.max_characters)
        now = await self._now(user)
        memory = await self._open.write(writing.update, user, event_id, memory_id, edit, now)
        self._recent.drop(user)
        self._wake()
        return memory

    async def memory_history(self, user: str, memory_id: str) -> list[Change]:
        """What became of a memory, oldest first. Raises NotFound, also for a forgotten one."""
        now = await self._now(user)
        return await self._open.read(changes.history, user, memory_id, now)

    async def search_memories(
        self,
        user: str,
        query: str,
        vector: Vectors | None = None,
        *,
        limit: int = 10,
        as_of: float | None = None,
        session: str | None = None,
        agent: str | None = None,
        archived: bool = False,
    ) -> list[Recalled]:
        """The memories that bear most on a query, best first.

        What holds stands before what it superseded. `as_of` (Unix seconds) answers as one would have then:
        nothing said later, and what held then first. Without a vector, by words alone.
        """
        limits = Limits(
            now=await self._now(user), session=session, agent=agent, as_of=as_of, archived=archived
        )
        reading = replace(self._reading, proposer=self._cache)
        return await self._open.read(remembering.search, reading, user, query, vector, limit, limits)

    async def look_up(
        self,
        user: str,
        query: str,
        *,
        as_of: float | None = None,
        session: str | None = None,
        agent: str | None = None,
        archived: bool = False,
    ) -> None:
        """Read ahead what `search_memories` will need, while somebody else computes the query's vector."""
        limits = Limits(
            now=self._identity.now(), session=session, agent=agent, as_of=as_of, archived=archived
        )
        await self._open.read(remembering.look_up, self._reading, user, query, limits)

    async def facts(
        self,
        user: str,
        *,
        subject: str | None = None,
        slot: str | None = None,
        as_of: float | None = None,
        history: bool = False,
    ) -> list[Fact]:
        """The facts that hold now, or held at `as_of`; with `history` all that were stated, oldest first."""
        now = await self._now(user)
        return await self._open.read(facts.held, user, now, subject, slot, as_of, history)

    async def recent_turns(self, user: str, session: str, most: int = 100) -> list[Memory]:
        """The last turns of a session, oldest first: the short-term level, the same after a crash."""
        now = await self._now(user)
        held = self._recent.last(user, session, most)
        if held is not None:
            return held
        if most > TURNS:
            return await self._open.read(memories.recent, user, session, most, now)
        filling, turns = self._recent.begin(user, session), None
        try:
            turns = await self._open.read(memories.recent, user, session, TURNS, now)
        finally:
            self._recent.end(filling, turns)
        return turns[max(0, len(turns) - most) :]

    async def used(self, user: str, memory_ids: Sequence[str]) -> None:
        """These memories stood in a prompt that was answered: they grow stronger. Unknown ids do no harm."""
        now = await self._now(user)
        await self._open.write(memories.used, user, memory_ids, now)
        if self._recent.holds(user, memory_ids):
            self._recent.drop(user)

    async def forget(self, user: str, event_id: str, what: Forgetting, *, dry_run: bool = False) -> Forgotten:
        """Delete for good: rows, index, vectors, history, buffers; tombstones stay.

        Summaries made from it go with it, and so do notes merged with it, for they say the same. When this
        returns, no file of the partition holds a byte of the texts: the database was written anew, which
        takes seconds where it is large; forgettings at the same time share it. The facts of what is left
        are timed anew. A dry run changes nothing. Raises InvalidRequest without a condition.
        """
        selection.check(what)
        now = await self._now(user)
        if dry_run:
            return await self._open.read(forgetting.preview, user, what)
        done = await self._open.write(forgetting.forget, user, event_id, what, now)
        for memory_id in done.memory_ids:
            self._handed.pop((user, memory_id), None)
        self._recent.drop(user)
        self._expiries.unknown(user)
        self._let_go()
        await self._rewrite()
        self._wake()
        return done

    async def tombstones(self, user: str, *, after: float = 0) -> list[Tombstone]:
        """What the user had forgotten since, oldest first."""
        await self._now(user)
        return await self._open.read(tombs.since, user, after)

    async def forgotten(self, user: str, ids: Sequence[str]) -> frozenset[str]:
        """Those of the given memory ids or event ids that were forgotten: training leaves them out."""
        await self._now(user)
        return await self._open.read(tombs.among, owner_of(user), ids)

    async def export_memories(self, user: str, *, after: int = 0, limit: int = 1000) -> list[Json]:
        """Records with all that is known, by row, for JSONL: `import_memories` makes the same of them.

        `after` is the `row` of the last record that was got.
        """
        now = await self._now(user)
        return await self._open.read(exchange.exported, user, after, limit, now)

    async def import_memories(
        self, user: str, event_id: str, records: Sequence[Json], vectors: Vectors | None = None
    ) -> tuple[Written, ...]:
        """Store exported records under their ids; those already there or forgotten are NONE.

        Raises InvalidRequest, naming the record that is wrong, and then stores none.
        """
        checked = exchange.checked(records, self._memory.max_characters)
        now = await self._now(user)
        written = await self._open.write(
            exchange.imported, user, event_id, checked, vectors, self._identity, now
        )
        self._recent.drop(user)
        self._expiries.unknown(user)
        self._wake()
        return written

    async def unembedded(self, limit: int = 256) -> list[tuple[str, str, str]]:
        """User, memory id and text of memories that wait for their vector, oldest first."""
        now = self._identity.now()
        waiting = await self._open.read(memories.unembedded, limit, now)
        self._handed |= {(user, memory_id): text for user, memory_id, text in waiting}
        return waiting

    async def put_vectors(self, user: str, memory_ids: Sequence[str], vectors: Vectors) -> None:
        """Give memories their vectors, shape (len(memory_ids), dimensions); ids that are gone are skipped."""
        handed = {one: text for one in memory_ids if (text := self._handed.pop((user, one), None))}
        await self._open.write(writing.put_vectors, user, memory_ids, vectors, handed)
        self._wake()

    async def consolidate(self, user: str, event_id: str) -> Consolidated:
        """Merge notes that say the same, keeping their sources; archive weak ones; delete expired ones.

        Turns are never merged nor dropped. Proposes session summaries where `memory.proposals` is `extract`.
        """
        done = await self._open.read(consolidation.done_before, user, event_id)
        if done is not None:
            return done
        now = self._identity.now()
        expired, worn = await self._open.write(consolidation.expire, user, now)
        if worn:
            self._let_go()
            await self._rewrite()
        done = Consolidated(
            merged=await self._merge(user, now),
            archived=await self._archive(user, now),
            expired=tuple(expired),
            proposed=await self._propose(user, now),
        )
        self._recent.drop(user)
        self._expiries.unknown(user)
        self._wake()
        return await self._open.write(consolidation.finish, user, event_id, done)

    async def memory_stats(self, user: str) -> MemoryStats:
        """How much is remembered of the user."""
        now = await self._now(user)
        return await self._open.read(memories.stats, user, now)

    async def memory_users(self) -> list[str]:
        """The users of this partition that have memories, by name. For maintenance, never for a request."""
        return await self._open.read(memories.users)

    async def _merge(self, user: str, now: float) -> tuple[str, ...]:
        merged: list[str] = []
        while more := await self._open.write(consolidation.merge, user, now):
            merged += more
        return tuple(merged)

    async def _archive(self, user: str, now: float) -> tuple[str, ...]:
        archived: list[str] = []
        below, half_life = self._memory.archive_below, self._memory.half_life_days
        after: int | None = 0 if below > 0 else None
        while after is not None:
            after, ids = await self._open.write(consolidation.archive, user, after, below, half_life, now)
            archived += ids
        return tuple(archived)

    async def _propose(self, user: str, now: float) -> tuple[str, ...]:
        if self._memory.proposals != "extract":
            return ()
        proposed: list[str] = []
        for session in await self._open.read(consolidation.closed_sessions, user, now):
            proposed += await self._open.write(consolidation.propose, user, session, self._identity, now)
        return tuple(proposed)

    def _let_go(self) -> None:
        """Keep no text at hand: some were forgotten."""
        cues.let_go()
        aspects.let_go()
        self._reading.waiting.let_go()

    async def _now(self, user: str) -> float:
        """The time of this call; what has expired by then is gone when this returns."""
        now = self._identity.now()
        if await self._expiries.due(self._open, user, now):
            await self._open.write(forgetting.expire, user, now)
            self._expiries.unknown(user)
            self._recent.drop(user)
            self._let_go()
            self._wake()
        return now
