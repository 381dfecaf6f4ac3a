"""/v1/vector_stores: sets of documents, and search in them. Knows no ranking and no table."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar
from uuid import uuid4

from fastapi import APIRouter, Header, Query, Request
from pydantic import AfterValidator, Field

from actors.identity import reply_id
from actors.messages import FileInfo, InvalidRequest, NotFound, Passage, StoreInfo
from serve.openapi import Reply
from serve.routes.files import Deleted
from serve.services import ServicesDep, UserDep
from serve.wire import Body

router = APIRouter(prefix="/v1/vector_stores", tags=["vector stores"])

EVERYTHING = "all"
"""Stands for a store's id in a search."""
T = TypeVar("T")
Order = Literal["asc", "desc"]
Limit = Annotated[int, Query(ge=1, le=100)]
EventId = Annotated[str | None, Header(alias="idempotency-key", min_length=1, max_length=256)]
Status = Literal["in_progress", "completed", "failed", "cancelled"]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
Name = Annotated[str, Field(max_length=256)]
FileId = Annotated[str, Field(min_length=1, max_length=64)]


def _with_words(query: str) -> str:
    if not query.strip():
        raise ValueError("a query needs words")
    return query


QueryText = Annotated[str, Field(min_length=1, max_length=16_384), AfterValidator(_with_words)]


class AutoChunking(Body):
    """Passages are cut at paragraphs and sentences (documents.chunk_words); there is no other strategy."""

    type: Literal["auto"]


class CreateStore(Body):
    """A new vector store."""

    name: Name | None = None
    file_ids: Annotated[list[FileId], Field(max_length=10_000, default_factory=list)]
    metadata: Metadata | None = None
    chunking_strategy: AutoChunking | None = None


class UpdateStore(Body):
    """What is to change; null leaves a value as it is."""

    name: Name | None = None
    metadata: Metadata | None = None


class AttachFile(Body):
    """The file to put in the store."""

    file_id: FileId
    chunking_strategy: AutoChunking | None = None


class AttachFiles(Body):
    """The files to put in the store."""

    file_ids: Annotated[list[FileId], Field(min_length=1, max_length=2000)]
    chunking_strategy: AutoChunking | None = None


class RankingOptions(Body):
    """Results scoring less than the threshold are left out; there is one ranker."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: float | None = None


class SearchStore(Body):
    """A query, or several whose results are merged. `rewrite_query` is accepted and does nothing."""

    query: QueryText | Annotated[list[QueryText], Field(min_length=1, max_length=16)]
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    rewrite_query: bool = False
    ranking_options: RankingOptions | None = None
    filters: dict[str, Any] | None = None


class FileCounts(Reply):
    """Files by state; a stored file is ready."""

    in_progress: Literal[0] = 0
    completed: int
    failed: Literal[0] = 0
    cancelled: Literal[0] = 0
    total: int


class VectorStore(Reply):
    """A set of files."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    last_active_at: int
    name: str
    status: Literal["completed"] = "completed"
    usage_bytes: int
    file_counts: FileCounts
    metadata: dict[str, str]
    expires_after: None = None
    expires_at: None = None


class StoreFile(Reply):
    """A file in a store."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    status: Literal["completed"] = "completed"
    usage_bytes: int
    last_error: None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    chunking_strategy: AutoChunking = AutoChunking(type="auto")


class FileBatch(Reply):
    """Files that were put in a store together."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: Literal["completed"] = "completed"
    file_counts: FileCounts


class Page(Reply):
    """A page of a list."""

    object: Literal["list"] = "list"
    data: list[VectorStore] | list[StoreFile]
    first_id: str | None
    last_id: str | None
    has_more: bool


class TextContent(Reply):
    """A passage's text."""

    type: Literal["text"] = "text"
    text: str


class SearchResult(Reply):
    """A passage; `attributes` hold where it starts and ends in the file's text."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, int]
    content: list[TextContent]


class SearchResults(Reply):
    """The passages found, best first."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: str | list[str]
    data: list[SearchResult]
    has_more: Literal[False] = False
    next_page: None = None


@router.post("")
async def create_store(
    body: CreateStore, services: ServicesDep, user: UserDep, event_id: EventId = None
) -> VectorStore:
    """Make a vector store of files that are there."""
    store = await services.keeper.create_store(
        user, event_id or uuid4().hex, body.name or "", body.file_ids, body.metadata or {}
    )
    return _store(store)


@router.get("")
async def list_stores(
    services: ServicesDep, user: UserDep, limit: Limit = 20, after: str | None = None, order: Order = "desc"
) -> Page:
    """The user's vector stores by time."""
    found = await services.keeper.list_stores(user, limit=limit + 1, after=after, order=order)
    data = [_store(store) for store in found[:limit]]
    return Page(data=data, **_ends(data), has_more=len(found) > limit)


@router.get("/{store_id}")
async def get_store(store_id: str, services: ServicesDep, user: UserDep) -> VectorStore:
    """One vector store."""
    return _store(await services.keeper.get_store(user, store_id))


@router.post("/{store_id}")
async def update_store(store_id: str, body: UpdateStore, services: ServicesDep, user: UserDep) -> VectorStore:
    """Rename a store, or replace its metadata."""
    return _store(await services.keeper.update_store(user, store_id, body.name, body.metadata))


@router.delete("/{store_id}")
async def delete_store(store_id: str, services: ServicesDep, user: UserDep) -> Deleted:
    """Remove a store; its files stay."""
    await services.keeper.delete_store(user, store_id)
    return Deleted(id=store_id, object="vector_store.deleted")


@router.post("/{store_id}/files")
async def attach_file(store_id: str, body: AttachFile, services: ServicesDep, user: UserDep) -> StoreFile:
    """Put a file in a store; its passages are there already, so it is ready at once."""
    await services.keeper.attach_file(user, store_id, body.file_id)
    return _store_file(store_id, await services.keeper.get_file(user, body.file_id))


@router.get("/{store_id}/files")
async def list_store_files(
    store_id: str,
    services: ServicesDep,
    user: UserDep,
    limit: Limit = 20,
    after: str | None = None,
    order: Order = "desc",
    filter: Status = "completed",
) -> Page:
    """The files of a store by time."""
    store = await services.keeper.get_store(user, store_id)
    ids = list(store.file_ids if order == "asc" else reversed(store.file_ids))
    if after is not None:
        if after not in ids:
            raise NotFound(f"no file {after!r} in this vector store", "after")
        ids = ids[ids.index(after) + 1 :]
    ids = ids if filter == "completed" else []
    files = [await services.keeper.get_file(user, file_id) for file_id in ids[:limit]]
    data = [_store_file(store_id, file) for file in files]
    return Page(data=data, **_ends(data), has_more=len(ids) > limit)


@router.get("/{store_id}/files/{file_id}")
async def get_store_file(store_id: str, file_id: str, services: ServicesDep, user: UserDep) -> StoreFile:
    """One file of a store."""
    store = await services.keeper.get_store(user, store_id)
    if file_id not in store.file_ids:
        raise NotFound(f"no file {file_id!r} in this vector store", "file_id")
    return _store_file(store_id, await services.keeper.get_file(user, file_id))


@router.delete("/{store_id}/files/{file_id}")
async def detach_file(store_id: str, file_id: str, services: ServicesDep, user: UserDep) -> Deleted:
    """Take a file out of a store; the file stays."""
    await services.keeper.detach_file(user, store_id, file_id)
    return Deleted(id=file_id, object="vector_store.file.deleted")


@router.post("/{store_id}/file_batches")
async def attach_files(
    store_id: str, body: AttachFiles, request: Request, services: ServicesDep, user: UserDep
) -> FileBatch:
    """Put several files in a store: all of them, or none if one is not there."""
    store = await services.keeper.get_store(user, store_id)
    for file_id in body.file_ids:
        await services.keeper.get_file(user, file_id)
    for file_id in body.file_ids:
        await services.keeper.attach_file(user, store_id, file_id)
    id = reply_id("vsfb_", user, request.state.request_id, await request.body())
    return _batch(id, store, len(set(body.file_ids)))


@router.post("/{store_id}/search")
async def search_store(
    store_id: str, body: SearchStore, services: ServicesDep, user: UserDep
) -> SearchResults:
    """The best passages of a store for a query; the id `all` searches all of the user's documents."""
    if body.filters:
        raise InvalidRequest(
            "filters are not supported: put the files to search in a vector store of their own", "filters"
        )
    queries = [body.query] if isinstance(body.query, str) else body.query
    vectors = await services.embedder.embed(queries)
    within = None if store_id == EVERYTHING else [store_id]
    found = [
        await services.keeper.search(user, query, vector, store_ids=within, k=body.max_num_results)
        for query, vector in zip(queries, vectors, strict=True)
    ]
    best = _merged(found)[: body.max_num_results]
    floor = body.ranking_options.score_threshold if body.ranking_options else None
    data = [_result(one) for one in best if floor is None or one.score >= floor]
    return SearchResults(search_query=body.query, data=data)


def _merged(lists: Sequence[Sequence[Passage]]) -> list[Passage]:
    """Each passage once, with its best score, best first."""
    best: dict[tuple[str, int], Passage] = {}
    for passages in lists:
        for one in passages:
            key = one.document_id, one.start
            if key not in best or best[key].score < one.score:
                best[key] = one
    return sorted(best.values(), key=lambda one: -one.score)


def _result(one: Passage) -> SearchResult:
    return SearchResult(
        file_id=one.document_id,
        filename=one.filename,
        score=one.score,
        attributes={"start": one.start, "end": one.end},
        content=[TextContent(text=one.text)],
    )


def _store(store: StoreInfo) -> VectorStore:
    return VectorStore(
        id=store.id,
        created_at=int(store.created_at),
        last_active_at=int(store.created_at),
        name=store.name,
        usage_bytes=store.bytes,
        file_counts=_counts(len(store.file_ids)),
        metadata=dict(store.metadata),
    )


def _store_file(store_id: str, file: FileInfo) -> StoreFile:
    return StoreFile(
        id=file.id, created_at=int(file.created_at), vector_store_id=store_id, usage_bytes=file.bytes
    )


def _batch(batch_id: str, store: StoreInfo, files: int) -> FileBatch:
    return FileBatch(
        id=batch_id, created_at=int(store.created_at), vector_store_id=store.id, file_counts=_counts(files)
    )


def _counts(files: int) -> FileCounts:
    return FileCounts(completed=files, total=files)


def _ends(data: Sequence[VectorStore] | Sequence[StoreFile]) -> dict[str, str | None]:
    return {"first_id": data[0].id if data else None, "last_id": data[-1].id if data else None}
