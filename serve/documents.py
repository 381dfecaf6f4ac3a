"""Adds a document: checked, read, cut, embedded, scored, kept. Knows no route and no table."""

import asyncio
import hashlib
from uuid import uuid4

import numpy as np

from actors.memory.chunking import chunk, embedding_text
from actors.messages import FileInfo, InvalidRequest, KeepScores, ParsedDocument, TooLarge
from actors.readers.process import read_file
from actors.training.lessons import Chat, Pair, chats_of, has_pairs, pairs_of
from serve.background import attempted
from serve.embedding import embed_all
from serve.services import Services

FINE_TUNE = "fine-tune"
"""The purpose of files that are trained on."""
JSON_LINES = "application/jsonl"
BAD_FILE = "invalid_file_format"
"""The error code of a file that cannot be trained on."""
SCORE_S = 60.0
"""How long a document waits for its keep-scores; without them it is stored all the same."""


async def add(
    services: Services,
    user: str,
    filename: str,
    content: bytes,
    purpose: str,
    media_type: str | None = None,
    event_id: str | None = None,
) -> FileInfo:
    """Keep a file for a user; one of the same name and content is returned as it is.

    What is to be trained on is checked, and no search finds it.

    `media_type` is what the client claims; the content decides. The same `event_id` twice writes once.
    Raises InvalidRequest for a bad name, TooLarge, UnreadableType, or Unprocessable for a file without text.
    """
    settings = services.settings.documents
    if len(content) > settings.max_file_mib * 1024**2:
        raise TooLarge(f"{filename} is larger than {settings.max_file_mib:g} MiB (documents.max_file_mib)")
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
    known = await services.keeper.find_file(user, filename, sha256)
    if known is not None and (known.purpose == FINE_TUNE) == (purpose == FINE_TUNE):
        return known
    if purpose == FINE_TUNE:
        document = await asyncio.to_thread(_lessons, filename, content, sha256)
        nothing = np.zeros((0, 0), np.float32)
        return await services.keeper.add_file(user, event_id or uuid4().hex, document, purpose, (), nothing)
    document = await read_file(filename, content, settings, media_type)
    chunks = await asyncio.to_thread(chunk, document.text, document.media_type, settings.chunk_words)
    texts = [embedding_text(passage, filename) for passage in chunks]
    vectors, keep = await asyncio.gather(
        embed_all(services.embedder, texts), _scored(services, [passage.text for passage in chunks])
    )
    return await services.keeper.add_file(
        user, event_id or uuid4().hex, document, purpose, chunks, vectors, keep
    )


def conversations(filename: str, content: bytes, param: str) -> list[Chat]:
    """All conversations of a JSONL file. Raises InvalidRequest naming file, line and fault."""
    try:
        return list(chats_of(filename, content.split(b"\n")))
    except InvalidRequest as error:
        raise InvalidRequest(f"Invalid file format. {error.message}", param, BAD_FILE) from error


def preferences(filename: str, content: bytes, param: str) -> list[Pair]:
    """All pairs of answers of a JSONL file. Raises InvalidRequest naming file, line and fault."""
    try:
        return list(pairs_of(filename, content.split(b"\n")))
    except InvalidRequest as error:
        raise InvalidRequest(f"Invalid file format. {error.message}", param, BAD_FILE) from error


def _lessons(filename: str, content: bytes, sha256: str) -> ParsedDocument:
    if not (preferences if has_pairs(content) else conversations)(filename, content, "file"):
        raise InvalidRequest(f"Invalid file format. {filename} is empty.", "file", BAD_FILE)
    text = content.decode("utf-8")
    return ParsedDocument(filename=filename, media_type=JSON_LINES, text=text, content=content, sha256=sha256)


async def _scored(services: Services, texts: list[str]) -> list[KeepScores]:
    """Keep-scores of passages; none where the compressor is off or in trouble, which keeps no file out."""
    if not services.settings.compression.enabled:
        return []
    return await attempted(services.compressor.scores(texts), "scoring passages", SCORE_S) or []
