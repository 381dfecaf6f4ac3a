"""The application over a real keeper, with an embedder that hashes words."""

import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from configs.schema import DocumentSettings, EngineSettings, Settings
from serve.services import Services
from serve.web import build_app


class WordHashEmbedder:
    """Counts words in 64 buckets."""

    async def embed(self, texts: Sequence[str]) -> Any:
        vectors = np.full((len(texts), 64), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
async def documents_services(tmp_path: Path) -> AsyncIterator[Services]:
    """Services whose keeper and limits are real, small enough to reach."""
    limits = DocumentSettings(
        vector_cache=False, max_file_mib=0.1, max_characters=20_000, chunk_words=40, parse_timeout_s=20
    )
    settings = Settings(home=tmp_path, engine=EngineSettings(kind="scripted"), documents=limits)
    keeper = Keeper(tmp_path / "documents", limits)
    await keeper.start()
    embedder = cast(Embedder, WordHashEmbedder())
    yield Services(
        settings=settings,
        generator=Generator(settings),
        embedder=embedder,
        keeper=keeper,
        compressor=Compressor(settings),
    )
    await keeper.close()


@pytest.fixture
async def documents_client(documents_services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole application over `documents_services`."""
    transport = httpx.ASGITransport(build_app(documents_services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client
