"""Holds one partition of the documents; the only opener of its files. Knows no model and no HTTP."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from actors.messages import ChunkText, FileInfo, Health, ParsedDocument, Passage, StoreInfo
from configs.schema import DocumentSettings

Vectors = NDArray[np.float32]


class Keeper:
    """Documents of many users, each seen by its own user alone: every method takes the user first."""

    def __init__(self, directory: Path, settings: DocumentSettings) -> None:
        self._directory = directory
        self._settings = settings

    async def start(self) -> None:
        """Open the store and take the directory's lock. Raises Locked if another process has it."""
        raise NotImplementedError

    async def add_file(
        self,
        user: str,
        event_id: str,
        document: ParsedDocument,
        purpose: str,
        chunks: Sequence[ChunkText],
        vectors: Vectors,
    ) -> FileInfo:
        """Store a document with its passages in one transaction; durable once this returns.

        Same filename and content: no-op, the stored file is returned. Same filename, other content: its
        passages are replaced under the same id. The same event_id twice writes once.
        """
        raise NotImplementedError

    async def find_file(self, user: str, filename: str, sha256: str) -> FileInfo | None:
        """The stored file of that name and content, so that an unchanged one need not be read again."""
        raise NotImplementedError

    async def get_file(self, user: str, file_id: str) -> FileInfo:
        """Raises NotFound."""
        raise NotImplementedError

    async def file_text(self, user: str, file_id: str) -> str:
        """The text that offsets count in. Raises NotFound."""
        raise NotImplementedError

    async def file_content(self, user: str, file_id: str) -> bytes:
        """The bytes as uploaded. Raises NotFound."""
        raise NotImplementedError

    async def list_files(
        self,
        user: str,
        *,
        limit: int = 10000,
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
        purpose: str | None = None,
    ) -> list[FileInfo]:
        """Files by creation time, at most `limit`, beginning after the file id `after`."""
        raise NotImplementedError

    async def delete_file(self, user: str, file_id: str) -> None:
        """Remove a document, its passages, vectors and memberships for good. Raises NotFound."""
        raise NotImplementedError

    async def create_store(
        self, user: str, event_id: str, name: str, file_ids: Sequence[str], metadata: Mapping[str, str]
    ) -> StoreInfo:
        """A new vector store. Raises NotFound for a file that is not there."""
        raise NotImplementedError

    async def get_store(self, user: str, store_id: str) -> StoreInfo:
        """Raises NotFound."""
        raise NotImplementedError

    async def list_stores(
        self, user: str, *, limit: int = 20, after: str | None = None, order: Literal["asc", "desc"] = "desc"
    ) -> list[StoreInfo]:
        """Vector stores by creation time."""
        raise NotImplementedError

    async def update_store(
        self, user: str, store_id: str, name: str | None, metadata: Mapping[str, str] | None
    ) -> StoreInfo:
        """Rename a store or replace its metadata; None leaves a value as it is. Raises NotFound."""
        raise NotImplementedError

    async def delete_store(self, user: str, store_id: str) -> None:
        """Remove a store; its files stay. Raises NotFound."""
        raise NotImplementedError

    async def attach_file(self, user: str, store_id: str, file_id: str) -> None:
        """Put a file in a store. Raises NotFound."""
        raise NotImplementedError

    async def detach_file(self, user: str, store_id: str, file_id: str) -> None:
        """Take a file out of a store. Raises NotFound."""
        raise NotImplementedError

    async def search(
        self,
        user: str,
        query: str,
        vector: Vectors,
        *,
        store_ids: Sequence[str] | None = None,
        k: int = 5,
    ) -> list[Passage]:
        """The k best passages for a query and its embedding (shape (dimensions,)), best first.

        `store_ids` None searches all of the user's documents. Raises NotFound for a store that is not there.
        """
        raise NotImplementedError

    async def health(self) -> Health:
        """Whether the store answers; detail tells of the vector cache."""
        raise NotImplementedError

    async def close(self) -> None:
        """Flush and release the directory."""
        raise NotImplementedError
