"""/v1/memories: add, search, read, change, forget, as mem0's clients do. Knows no ranking and no table."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.routing import APIRoute
from starlette.responses import StreamingResponse

from actors.memory.records import Forgetting, NewMemory
from actors.messages import InvalidRequest, Json, NotFound, TooLarge, Unprocessable
from serve import memory_replies as replies
from serve import remembering
from serve.auth import named_user
from serve.bodies import check_json
from serve.memory_wire import (
    AddMemories,
    Asking,
    ConsolidateMemories,
    FactsAsked,
    Filtered,
    ForgetMemories,
    Listed,
    SearchMemories,
    TombstonesAsked,
    UpdateMemory,
)
from serve.services import Services, ServicesDep, UserDep
from serve.wire import Message, TextPart

router = APIRouter(prefix="/v1/memories", tags=["memories"])

LINES = "application/x-ndjson"
MOST_RECORDS = 2000
"""Records of one import."""
NOT_REMEMBERED = frozenset({"system", "developer"})
"""Roles whose messages are instructions, not something that was said."""
Key = Annotated[str | None, Header(alias="idempotency-key", min_length=1, max_length=256)]
MemoryId = Annotated[str, Path(min_length=1, max_length=128)]


async def _owner(asked: Annotated[Asking, Query()], services: ServicesDep, user: UserDep) -> str:
    """Whose memories a request without filters means. Raises Forbidden."""
    return named_user(user, asked.user_id, services.settings)


OwnerDep = Annotated[str, Depends(_owner)]
_LINES_BODY = {
    "requestBody": {"required": True, "content": {LINES: {"schema": {"type": "string", "minLength": 1}}}}
}
_LINES_REPLY: dict[int | str, dict[str, Any]] = {
    200: {"description": "A record a line", "content": {LINES: {"schema": {"type": "string"}}}}
}


@router.post("")
async def add(
    body: AddMemories, services: ServicesDep, user: UserDep, key: Key = None
) -> replies.WrittenMemories:
    """Remember messages or a text, verbatim; facts are read from them by rules, without a model."""
    owner = named_user(user, body.user_id, services.settings)
    if body.infer:
        raise InvalidRequest(
            "infer is not offered: every message is kept verbatim and its facts are read by rules, so that "
            "no model decides what is remembered. Send infer: false, or leave it out.",
            "infer",
        )
    written = await remembering.remember(
        services,
        owner,
        _memories(body, services.identity.now()),
        event_id=_event(body.event_id, key),
        session=body.run_id or "",
        agent=body.agent_id or "",
    )
    return replies.written(written)


@router.post("/search")
async def search(body: SearchMemories, services: ServicesDep, user: UserDep) -> replies.FoundMemories:
    """The memories that bear most on a query, best first; what holds stands before what it superseded."""
    owner = named_user(user, body.user_id, services.settings)
    hits = await remembering.recall(
        services,
        owner,
        body.query,
        limit=body.limit or body.top_k,
        as_of=body.as_of,
        session=body.run_id,
        agent=body.agent_id,
        archived=bool(body.archived),
    )
    return replies.found(owner, hits)


@router.get("")
async def list_memories(
    asked: Annotated[Listed, Query()], services: ServicesDep, user: UserDep
) -> replies.MemoryList:
    """A page of a user's memories, newest first."""
    owner = named_user(user, asked.user_id, services.settings)
    page = await services.keeper.list_memories(
        owner, session=asked.run_id, agent=asked.agent_id, page=asked.page, page_size=asked.page_size
    )
    return replies.MemoryList(
        results=[replies.stored(owner, memory) for memory in page.memories],
        count=page.total,
        page=asked.page,
        page_size=asked.page_size,
    )


@router.delete("")
async def delete_memories(
    asked: Annotated[Filtered, Query()], services: ServicesDep, user: UserDep, key: Key = None
) -> replies.Deletion:
    """Delete for good what meets every filter; with `user_id` alone, all of the user's memories."""
    owner = named_user(user, asked.user_id, services.settings)
    what = Forgetting(
        session=asked.run_id,
        agent=asked.agent_id,
        everything=asked.run_id is None and asked.agent_id is None,
    )
    gone = await remembering.forget(services, owner, what, event_id=key)
    return replies.Deletion(message="Memories deleted successfully!", deleted=len(gone.memory_ids))


@router.post("/forget")
async def forget(
    body: ForgetMemories, services: ServicesDep, user: UserDep, key: Key = None
) -> replies.ForgottenMemories:
    """Delete for good, or with `dry_run` tell what would go; tombstones stay, and no byte of a text."""
    owner = named_user(user, body.user_id, services.settings)
    what = Forgetting(
        ids=tuple(body.ids or ()),
        session=body.run_id,
        agent=body.agent_id,
        matching=body.matching,
        before=body.before,
        everything=body.everything,
    )
    if what == Forgetting():
        raise InvalidRequest(
            "Say what to forget: ids, run_id, agent_id, matching or before, or everything: true.",
            "everything",
        )
    gone = await remembering.forget(
        services, owner, what, event_id=_event(body.event_id, key), dry_run=body.dry_run
    )
    return replies.forgotten(gone)


@router.post("/consolidate")
async def consolidate(
    body: ConsolidateMemories, services: ServicesDep, user: UserDep, key: Key = None
) -> replies.Consolidation:
    """Merge notes that say the same, archive weak ones, delete expired ones, propose summaries."""
    owner = named_user(user, body.user_id, services.settings)
    return replies.consolidation(
        await remembering.consolidate(services, owner, event_id=_event(body.event_id, key))
    )


@router.get("/facts")
async def facts(
    asked: Annotated[FactsAsked, Query()], services: ServicesDep, user: UserDep
) -> replies.StatedFacts:
    """The facts that hold, or held at `as_of`; with `history` all that were stated."""
    owner = named_user(user, asked.user_id, services.settings)
    stated = await services.keeper.facts(
        owner, subject=asked.subject, slot=asked.slot, as_of=asked.as_of, history=asked.history
    )
    return replies.facts(stated)


@router.get("/stats")
async def stats(owner: OwnerDep, services: ServicesDep) -> replies.Stats:
    """How much is remembered of a user."""
    return replies.stats(owner, await services.keeper.memory_stats(owner))


@router.get("/tombstones")
async def tombstones(
    asked: Annotated[TombstonesAsked, Query()], services: ServicesDep, user: UserDep
) -> replies.Tombstones:
    """What was forgotten: ids and times, for those who hold copies."""
    owner = named_user(user, asked.user_id, services.settings)
    return replies.tombstones(await services.keeper.tombstones(owner, after=asked.after or 0))


@router.get("/export", response_class=StreamingResponse, responses=_LINES_REPLY)
async def export(owner: OwnerDep, services: ServicesDep) -> StreamingResponse:
    """All that is known of a user's memories, a JSON record a line."""
    pages = remembering.export(services, owner)
    first: list[Json] = await anext(pages, [])
    return StreamingResponse(_lines(first, pages), media_type=LINES)


@router.post("/import", openapi_extra=_LINES_BODY)
async def import_(
    request: Request, owner: OwnerDep, services: ServicesDep, key: Key = None
) -> replies.WrittenMemories:
    """Store what an export gave, a JSON record a line, under the same ids; what is there is left as it is."""
    records = await _records(await request.body(), services)
    return replies.written(await remembering.take_in(services, owner, records, event_id=key))


@router.get("/{memory_id}")
async def get_memory(memory_id: MemoryId, owner: OwnerDep, services: ServicesDep) -> replies.StoredMemory:
    """One memory."""
    return replies.stored(owner, await services.keeper.get_memory(owner, memory_id))


@router.put("/{memory_id}")
async def update_memory(
    memory_id: MemoryId,
    body: UpdateMemory,
    owner: OwnerDep,
    services: ServicesDep,
    key: Key = None,
) -> replies.StoredMemory:
    """Change a memory; its old text stays in its history."""
    memory = await remembering.update(
        services,
        owner,
        memory_id,
        event_id=_event(body.event_id, key),
        text=body.text or body.data,
        metadata=body.metadata,
        importance=body.importance,
        pinned=body.pinned,
        archived=body.archived,
    )
    return replies.stored(owner, memory)


@router.delete("/{memory_id}")
async def delete_memory(
    memory_id: MemoryId, owner: OwnerDep, services: ServicesDep, key: Key = None
) -> replies.Deletion:
    """Delete a memory for good."""
    gone = await remembering.forget(services, owner, Forgetting(ids=(memory_id,)), event_id=key)
    if not gone.memory_ids:
        raise NotFound(f"there is no memory {memory_id!r}", "memory_id")
    return replies.Deletion(message="Memory deleted successfully!", deleted=len(gone.memory_ids))


@router.get("/{memory_id}/history")
async def history(memory_id: MemoryId, owner: OwnerDep, services: ServicesDep) -> list[replies.HistoryEntry]:
    """What became of a memory, oldest first."""
    return replies.history(owner, await services.keeper.memory_history(owner, memory_id))


for _route in [route for route in router.routes if isinstance(route, APIRoute)]:
    router.add_api_route(
        _route.path.removeprefix(router.prefix) + "/",
        _route.endpoint,
        methods=list(_route.methods),
        include_in_schema=False,
    )
"""mem0's clients end every path with a slash."""


def _event(given: str | None, key: str | None) -> str | None:
    if given is not None and key is not None and given != key:
        raise InvalidRequest("event_id and the header idempotency-key differ", "event_id")
    return given or key


def _memories(body: AddMemories, now: float) -> list[NewMemory]:
    """What the body says, a memory a message; messages without words are none."""
    expires_at = now + body.ttl if body.ttl is not None else body.expiration_date
    if expires_at is not None and expires_at <= now:
        raise Unprocessable("expiration_date has passed", "expiration_date", "invalid_value")
    common: dict[str, Any] = {
        "said_at": body.timestamp,
        "importance": 0.5 if body.importance is None else body.importance,
        "pinned": bool(body.pinned),
        "expires_at": expires_at,
        "metadata": body.metadata or {},
        "training": body.training,
    }
    if body.text is not None:
        return [NewMemory(text=body.text, kind="note", **common)]
    if isinstance(body.messages, str):
        return [NewMemory(text=body.messages, **common)]
    return [
        NewMemory(text=text, role=message.role, speaker=message.name or "", **common)
        for message in body.messages or ()
        if message.role not in NOT_REMEMBERED and (text := _text(message))
    ]


def _text(message: Message) -> str:
    content = message.content or ""
    if isinstance(content, str):
        return content.strip() and content
    return "\n".join(part.text for part in content if isinstance(part, TextPart) and part.text.strip())


async def _records(body: bytes, services: Services) -> list[Json]:
    """The values of JSON lines. Raises InvalidRequest, naming the line, or TooLarge."""
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    if len(lines) > MOST_RECORDS:
        raise TooLarge(f"more than {MOST_RECORDS} records: send them in several requests")
    records = []
    for number, line in lines:
        await check_json(line, services.settings.serve.max_json_depth)
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise InvalidRequest(f"line {number} is not JSON: {error}", code="invalid_json") from error
    return records


async def _lines(first: list[Json], pages: AsyncIterator[list[Json]]) -> AsyncIterator[bytes]:
    if first:
        yield _encoded(first)
    async for page in pages:
        yield _encoded(page)


def _encoded(records: list[Json]) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
