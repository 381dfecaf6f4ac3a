"""Adds a document: checked, read, cut, embedded, kept. Knows no route and no table."""

import asyncio
import hashlib
from collections.abc import Sequence
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from actors.memory.chunking import chunk, embedding_text
from actors.messages import ChunkText, FileInfo, TooLarge
from actors.readers.process import read_file
from serve.services import Services

EMBED_BATCH = 64
"""Passages embedded in one call, so that questions of other users come in between."""


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

    `media_type` is what the client claims; the content decides. The same `event_id` twice writes once.
    Raises InvalidRequest for a bad name, TooLarge, UnreadableType, or Unprocessable for a file without text.
    """
    settings = services.settings.documents
    if len(content) > settings.max_file_mib * 1024**2:
        raise TooLarge(f"{filename} is larger than {settings.max_file_mib:g} MiB (documents.max_file_mib)")
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
    known = await services.keeper.find_file(user, filename, sha256)
    if known is not None:
        return known
    document = await read_file(filename, content, settings, media_type)
    chunks = await asyncio.to_thread(chunk, document.text, document.media_type, settings.chunk_words)
    vectors = await _embed(services, filename, chunks)
    return await services.keeper.add_file(user, event_id or uuid4().hex, document, purpose, chunks, vectors)


async def _embed(services: Services, filename: str, chunks: Sequence[ChunkText]) -> NDArray[np.float32]:
    texts = [embedding_text(passage, filename) for passage in chunks]
    batches = [
        await services.embedder.embed(texts[first : first + EMBED_BATCH])
        for first in range(0, len(texts), EMBED_BATCH)
    ]
    return np.concatenate(batches) if batches else np.zeros((0, 0), dtype=np.float32)
