"""What a server does with memories: embeds what is written and what is asked. Knows no HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypedDict
from uuid import uuid4

from actors.memory.admission import check_text
from actors.memory.records import (
    Consolidated,
    Forgetting,
    Forgotten,
    Memory,
    NewMemory,
    Recalled,
    Written,
)
from actors.messages import Json
from serve import learning
from serve.embedding import embed_all
from serve.services import Services


class Within(TypedDict):
    """Which of a user's memories may be answered with."""

    as_of: float | None
    session: str | None
    agent: str | None
    archived: bool


EXPORT_PAGE = 500
"""Records read from the keeper in one call."""


async def remember(
    services: Services,
    user: str,
    memories: Sequence[NewMemory],
    *,
    event_id: str | None = None,
    session: str = "",
    agent: str = "",
) -> tuple[Written, ...]:
    """Store memories; durable once this returns. The same `event_id` twice writes once.

    With `memory.embed` = `now` their vectors are stored with them, else soon after.
    Raises InvalidRequest, TooLarge.
    """
    if not memories:
        return ()
    for memory in memories:
        check_text(memory.text, services.settings.memory.max_characters)
    now = services.settings.memory.embed == "now"
    vectors = await embed_all(services.embedder, [memory.text for memory in memories]) if now else None
    written = await services.keeper.remember(
        user, event_id or uuid4().hex, memories, vectors, session=session, agent=agent
    )
    if not now:
        services.filling.wake()
    return written


async def recall(
    services: Services,
    user: str,
    query: str,
    *,
    limit: int | None = None,
    as_of: float | None = None,
    session: str | None = None,
    agent: str | None = None,
    archived: bool = False,
) -> list[Recalled]:
    """The memories that bear most on a query, best first; `limit` None is `memory.results`."""
    within = Within(as_of=as_of, session=session, agent=agent, archived=archived)
    vectors, _ = await asyncio.gather(
        services.embedder.embed([query]), services.keeper.look_up(user, query, **within)
    )
    limit = limit or services.settings.memory.results
    return await services.keeper.search_memories(user, query, vectors[0], limit=limit, **within)


async def update(
    services: Services,
    user: str,
    memory_id: str,
    *,
    event_id: str | None = None,
    text: str | None = None,
    metadata: Mapping[str, Json] | None = None,
    importance: float | None = None,
    pinned: bool | None = None,
    archived: bool | None = None,
) -> Memory:
    """Change what is given; a new text is embedded as a new memory's is. Raises NotFound, TooLarge."""
    vector = None
    if text is not None:
        check_text(text, services.settings.memory.max_characters)
        if services.settings.memory.embed == "now":
            vector = (await services.embedder.embed([text]))[0]
    memory = await services.keeper.update_memory(
        user,
        event_id or uuid4().hex,
        memory_id,
        text=text,
        vector=vector,
        metadata=metadata,
        importance=importance,
        pinned=pinned,
        archived=archived,
    )
    if text is not None and vector is None:
        services.filling.wake()
    return memory


async def forget(
    services: Services,
    user: str,
    what: Forgetting,
    *,
    event_id: str | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """Delete for good, or with `dry_run` tell what would go. Raises InvalidRequest without a condition.

    No adapter that learned from it serves when this returns; one that could not be reached is told later.
    """
    if what.everything and not dry_run and services.lineage is not None:
        await services.lineage.forget_user(user)
    done = await services.keeper.forget(user, event_id or uuid4().hex, what, dry_run=dry_run)
    if not dry_run:
        await learning.unlearn(services)
    return done


async def consolidate(services: Services, user: str, *, event_id: str | None = None) -> Consolidated:
    """Merge, archive and propose for one user; what was proposed is embedded soon after."""
    done = await services.keeper.consolidate(user, event_id or uuid4().hex)
    if done.proposed:
        services.filling.wake()
    return done


async def export(services: Services, user: str) -> AsyncIterator[list[Json]]:
    """All that is known of the user's memories, some records at a time."""
    after = 0
    while records := await services.keeper.export_memories(user, after=after, limit=EXPORT_PAGE):
        yield records
        after = records[-1]["row"]


async def take_in(
    services: Services, user: str, records: Sequence[Json], *, event_id: str | None = None
) -> tuple[Written, ...]:
    """Store exported records; their vectors follow. Raises InvalidRequest and then stores none."""
    written = await services.keeper.import_memories(user, event_id or uuid4().hex, records)
    services.filling.wake()
    return written
