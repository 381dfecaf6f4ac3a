"""The calls of a keeper that concern memories. Knows no document, no model and no HTTP."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from actors.memory.partition import Partition
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
from actors.messages import Json

Vectors = NDArray[np.float32]


class MemoryKeeper(Partition):
    """Memories of many users, each seen by its own user alone: every method takes the user first.

    An id that is another user's is NotFound, as if it were not there. What has expired is in no answer.
    """

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
        raise NotImplementedError

    async def get_memory(self, user: str, memory_id: str) -> Memory:
        """Raises NotFound."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    async def memory_history(self, user: str, memory_id: str) -> list[Change]:
        """What became of a memory, oldest first. Raises NotFound, also for a forgotten one."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    async def recent_turns(self, user: str, session: str, most: int = 100) -> list[Memory]:
        """The last turns of a session, oldest first: the short-term level, the same after a crash."""
        raise NotImplementedError

    async def used(self, user: str, memory_ids: Sequence[str]) -> None:
        """These memories stood in a prompt that was answered: they grow stronger. Unknown ids do no harm."""
        raise NotImplementedError

    async def forget(self, user: str, event_id: str, what: Forgetting, *, dry_run: bool = False) -> Forgotten:
        """Delete for good: rows, index, vectors, history, buffers; tombstones stay.

        When this returns, no file of the partition holds a byte of the texts. The facts of what is left are
        timed anew. A dry run changes nothing. Raises InvalidRequest without a condition.
        """
        raise NotImplementedError

    async def tombstones(self, user: str, *, after: float = 0) -> list[Tombstone]:
        """What the user had forgotten since, oldest first."""
        raise NotImplementedError

    async def forgotten(self, user: str, ids: Sequence[str]) -> frozenset[str]:
        """Those of the given memory ids or event ids that were forgotten: training leaves them out."""
        raise NotImplementedError

    async def export_memories(self, user: str, *, after: int = 0, limit: int = 1000) -> list[Json]:
        """Records with all that is known, by row, for JSONL: `import_memories` makes the same of them.

        `after` is the `row` of the last record that was got.
        """
        raise NotImplementedError

    async def import_memories(
        self, user: str, event_id: str, records: Sequence[Json], vectors: Vectors | None = None
    ) -> tuple[Written, ...]:
        """Store exported records under their ids; those already there or forgotten are NONE.

        Raises InvalidRequest, naming the record that is wrong, and then stores none.
        """
        raise NotImplementedError

    async def unembedded(self, limit: int = 256) -> list[tuple[str, str, str]]:
        """User, memory id and text of memories that wait for their vector, oldest first."""
        raise NotImplementedError

    async def put_vectors(self, user: str, memory_ids: Sequence[str], vectors: Vectors) -> None:
        """Give memories their vectors, shape (len(memory_ids), dimensions); ids that are gone are skipped."""
        raise NotImplementedError

    async def consolidate(self, user: str, event_id: str) -> Consolidated:
        """Merge notes that say the same, keeping their sources; archive weak ones; delete expired ones.

        Turns are never merged nor dropped. Proposes session summaries where `memory.proposals` is `extract`.
        """
        raise NotImplementedError

    async def memory_stats(self, user: str) -> MemoryStats:
        """How much is remembered of the user."""
        raise NotImplementedError

    async def memory_users(self) -> list[str]:
        """The users of this partition that have memories, by name. For maintenance, never for a request."""
        raise NotImplementedError
