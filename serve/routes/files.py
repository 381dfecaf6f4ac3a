"""/v1/files: documents go in, are listed, read and removed. Knows not how they are read or kept."""

import asyncio
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Header, Query, Request, UploadFile
from starlette.responses import Response

from actors.messages import FileInfo, InvalidRequest, TooLarge
from serve import documents, learning
from serve.openapi import Reply
from serve.services import ServicesDep, UserDep

router = APIRouter(prefix="/v1", tags=["files"])

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
UPLOADS = asyncio.Semaphore(4)
"""Uploads held in memory at once; others wait on disk."""
_FIELDS = frozenset({"file", "purpose"})


class FileObject(Reply):
    """A stored document, as OpenAI's File, with its hash and the length of its text."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    sha256: str
    media_type: str
    characters: int


class FileList(Reply):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(Reply):
    """What was removed."""

    id: str
    object: str
    deleted: Literal[True] = True


@router.post("/files")
async def create_file(
    request: Request,
    services: ServicesDep,
    user: UserDep,
    file: Annotated[UploadFile, File()],
    purpose: Annotated[Purpose, Form()],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=256)] = None,
) -> FileObject:
    """Add a document, or replace the one of the same name; an unchanged one is returned as it is."""
    unknown = sorted((await request.form()).keys() - _FIELDS)
    if unknown:
        raise InvalidRequest(
            f"unknown form fields: {', '.join(unknown)[:200]}", unknown[0], "unknown_parameter"
        )
    most = services.settings.documents.max_file_mib
    if (file.size or 0) > most * 1024**2:
        raise TooLarge(f"the file is larger than {most:g} MiB (documents.max_file_mib)", "file")
    async with UPLOADS:
        content = await file.read()
        info = await documents.add(
            services, user, file.filename or "", content, purpose, file.content_type, idempotency_key
        )
    return file_object(info)


@router.get("/files")
async def list_files(
    services: ServicesDep,
    user: UserDep,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    after: str | None = None,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> FileList:
    """The user's documents by time."""
    found = await services.keeper.list_files(user, limit=limit + 1, after=after, order=order, purpose=purpose)
    data = [file_object(info) for info in found[:limit]]
    return FileList(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=len(found) > limit,
    )


@router.get("/files/{file_id}")
async def get_file(file_id: str, services: ServicesDep, user: UserDep) -> FileObject:
    """What is known of a document."""
    return file_object(await services.keeper.get_file(user, file_id))


@router.delete("/files/{file_id}")
async def delete_file(file_id: str, services: ServicesDep, user: UserDep) -> Deleted:
    """Remove a document for good."""
    await services.keeper.delete_file(user, file_id)
    await learning.unlearn(services)
    return Deleted(id=file_id, object="file")


@router.get("/files/{file_id}/content", response_class=Response)
async def get_content(file_id: str, services: ServicesDep, user: UserDep) -> Response:
    """The bytes as they were uploaded."""
    info = await services.keeper.get_file(user, file_id)
    content = await services.keeper.file_content(user, file_id)
    return Response(content, media_type="application/octet-stream", headers=_download(info.filename))


@router.get("/files/{file_id}/text", response_class=Response)
async def get_text(file_id: str, services: ServicesDep, user: UserDep) -> Response:
    """The text that citations count in, exactly."""
    text = await services.keeper.file_text(user, file_id)
    return Response(text.encode(), media_type="text/plain; charset=utf-8", headers=_NO_SNIFFING)


def file_object(info: FileInfo) -> FileObject:
    """OpenAI's File of a stored document."""
    return FileObject(
        id=info.id,
        bytes=info.bytes,
        created_at=int(info.created_at),
        filename=info.filename,
        purpose=info.purpose,
        sha256=info.sha256,
        media_type=info.media_type,
        characters=info.characters,
    )


_NO_SNIFFING = {"x-content-type-options": "nosniff"}


def _download(filename: str) -> dict[str, str]:
    """A browser saves the file under its name and never shows it: it may be a hostile page."""
    name = quote(filename.rsplit("/", 1)[-1], safe="")
    return {**_NO_SNIFFING, "content-disposition": f"attachment; filename*=UTF-8''{name}"}
