import hashlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import pytest

from actors.messages import FileInfo, KeepScores, NotReady, TooLarge, UnreadableType
from configs.schema import CompressionSettings, DocumentSettings, Settings
from serve import documents
from serve.embedding import BATCH
from serve.services import Services


class CountingEmbedder:
    def __init__(self) -> None:
        self.batches: list[int] = []

    async def embed(self, texts: Sequence[str]) -> Any:
        self.batches.append(len(texts))
        return np.ones((len(texts), 4), np.float32)


class LengthCompressor:
    """A text's keep-scores are its length."""

    error: Exception | None = None

    async def scores(self, texts: Sequence[str]) -> list[KeepScores]:
        if self.error:
            raise self.error
        return [KeepScores("p1", str(len(text)).encode()) for text in texts]


class Added(NamedTuple):
    """What a file was kept with."""

    user: str
    event_id: str
    document: Any
    purpose: str
    chunks: Any
    vectors: Any
    keep: Any = ()


class NotingKeeper:
    """Keeps what it was given last."""

    def __init__(self) -> None:
        self.added: Any = None

    async def find_file(self, user: str, filename: str, sha256: str) -> FileInfo | None:
        if self.added is None or self.added[2].sha256 != sha256:
            return None
        return cast(FileInfo, self.added)

    async def add_file(self, *arguments: Any) -> FileInfo:
        self.added = Added(*arguments)
        return cast(FileInfo, self.added)


@pytest.fixture
def services() -> Any:
    settings = Settings(documents=DocumentSettings(chunk_words=20, max_file_mib=0.1))
    return SimpleNamespace(
        settings=settings, embedder=CountingEmbedder(), keeper=NotingKeeper(), compressor=LengthCompressor()
    )


async def add(services: Any, name: str, content: bytes, **more: Any) -> Any:
    return await documents.add(cast(Services, services), "u", name, content, "assistants", **more)


async def test_a_document_is_cut_embedded_in_batches_and_kept(services: Any) -> None:
    text = "\n\n".join(f"The harbour number {number} opens at dawn. " * 3 for number in range(100))
    added = await add(services, "a.md", text.encode(), event_id="e")
    user, event, document, purpose, chunks, vectors, keep = added
    assert (user, event, purpose) == ("u", "e", "assistants")
    assert document.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert all(document.text[one.start : one.end] == one.text for one in chunks)
    assert vectors.shape == (len(chunks), 4)
    assert max(services.embedder.batches) <= BATCH
    assert sum(services.embedder.batches) == len(chunks) > BATCH
    assert keep == [KeepScores("p1", str(len(one.text)).encode()) for one in chunks]


async def test_a_compressor_in_trouble_or_off_keeps_no_document_out(services: Any) -> None:
    services.compressor.error = NotReady("not started")
    assert (await add(services, "a.txt", b"harbour"))[-1] == []
    services.compressor.error = None
    off = CompressionSettings(enabled=False)
    services.settings = services.settings.model_copy(update={"compression": off})
    assert (await add(services, "b.txt", b"tower"))[-1] == []


async def test_an_unchanged_file_is_not_read_again(services: Any) -> None:
    first = await add(services, "a.txt", b"harbour")
    services.embedder.batches.clear()
    assert await add(services, "a.txt", b"harbour") is first
    assert services.embedder.batches == []


async def test_each_add_without_an_event_is_its_own(services: Any) -> None:
    assert (await add(services, "a.txt", b"one"))[1] != (await add(services, "a.txt", b"two"))[1]


async def test_limits_come_first(services: Any) -> None:
    with pytest.raises(TooLarge, match="max_file_mib"):
        await add(services, "a.txt", b"x" * 200_000)
    with pytest.raises(UnreadableType):
        await add(services, "a.png", b"\x89PNG\r\n")
    assert services.keeper.added is None
