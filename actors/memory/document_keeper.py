"""The calls of a keeper that concern documents. Knows no memory, no model and no HTTP."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from actors.memory import files, keeping, recall, stores
from actors.memory.documents import DocumentStore
from actors.memory.partition import Partition
from actors.messages import ChunkText, FileInfo, KeepScores, ParsedDocument, Passage, StoreInfo

Vectors = NDArray[np.float32]


class DocumentKeeper(Partition):
    """Documents of many users, each seen by its own user alone: every method takes the user first."""

    async def add_file(
        self,
        user: str,
        event_id: str,
        document: ParsedDocument,
        purpose: str,
        chunks: Sequence[ChunkText],
        vectors: Vectors,
        keep: Sequence[KeepScores] = (),
    ) -> FileInfo:
        """Store a document with its passages in one transaction; durable once this returns.

        `keep` has the keep-scores of each passage, or nothing at all.

        Same filename and content: no-op, the stored file is returned. Same filename, other content: its
        passages are replaced under the same id, what was there is overwritten with zeros where it lay, and
        the log is emptied; a copy that SQLite left when it moved a row between pages stays until something is
        deleted. The same event_id twice writes once.
        """

        def work(connection: sqlite3.Connection) -> tuple[bool, FileInfo]:
            edits = files.holds(connection, user, document.filename)
            return edits, files.add(
                connection, user, event_id, document, purpose, chunks, vectors, self._identity, keep
            )

        edited, info = await self._open.write(work)
        if edited:
            await self._empty_log()
        self._wake()
        return info

    async def find_file(self, user: str, filename: str, sha256: str) -> FileInfo | None:
        """The stored file of that name and content, so that an unchanged one need not be read again."""
        return await self._open.read(files.find, user, filename, sha256)

    async def get_file(self, user: str, file_id: str) -> FileInfo:
        """Raises NotFound."""
        return await self._open.read(files.get, user, file_id)

    async def file_text(self, user: str, file_id: str) -> str:
        """The text that offsets count in. Raises NotFound."""
        return cast(str, await self._open.read(files.body, user, file_id, "text"))

    async def file_content(self, user: str, file_id: str) -> bytes:
        """The bytes as uploaded. Raises NotFound."""
        return cast(bytes, await self._open.read(files.body, user, file_id, "content"))

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
        return await self._open.read(files.listed, user, limit, after, order, purpose)

    async def delete_file(self, user: str, file_id: str) -> None:
        """Remove a document, its passages, vectors and memberships for good. Raises NotFound.

        When this returns, neither the database nor its log holds a byte of it; the vector cache, which has
        no text, forgets it soon after.
        """
        await self._open.write(files.delete, user, file_id)
        await self._rewrite()
        self._wake()

    async def create_store(
        self, user: str, event_id: str, name: str, file_ids: Sequence[str], metadata: Mapping[str, str]
    ) -> StoreInfo:
        """A new vector store. Raises NotFound for a file that is not there."""
        return await self._open.write(stores.create, user, event_id, name, file_ids, metadata, self._identity)

    async def get_store(self, user: str, store_id: str) -> StoreInfo:
        """Raises NotFound."""
        return await self._open.read(stores.get, user, store_id)

    async def list_stores(
        self, user: str, *, limit: int = 20, after: str | None = None, order: Literal["asc", "desc"] = "desc"
    ) -> list[StoreInfo]:
        """Vector stores by creation time."""
        return await self._open.read(stores.listed, user, limit, after, order)

    async def update_store(
        self, user: str, store_id: str, name: str | None, metadata: Mapping[str, str] | None
    ) -> StoreInfo:
        """Rename a store or replace its metadata; None leaves a value as it is. Raises NotFound."""
        return await self._open.write(stores.update, user, store_id, name, metadata)

    async def delete_store(self, user: str, store_id: str) -> None:
        """Remove a store; its files stay. Raises NotFound."""
        await self._open.write(stores.delete, user, store_id)

    async def attach_file(self, user: str, store_id: str, file_id: str) -> None:
        """Put a file in a store. Raises NotFound."""
        await self._open.write(stores.attach, user, store_id, file_id)

    async def detach_file(self, user: str, store_id: str, file_id: str) -> None:
        """Take a file out of a store. Raises NotFound."""
        await self._open.write(stores.detach, user, store_id, file_id)

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
        return await self._open.read(self._search, user, query, vector, store_ids, k)

    async def unscored(self, policy: str, limit: int = 256) -> list[tuple[str, int, str]]:
        """(user, passage, text) of at most `limit` passages without keep-scores of that policy."""
        return await self._open.read(keeping.unscored, policy, limit)

    async def put_scores(self, user: str, chunk_ids: Sequence[int], keep: Sequence[KeepScores]) -> None:
        """Store keep-scores beside the user's passages; those that are gone by now are passed over."""
        await self._open.write(keeping.fill, user, chunk_ids, keep)

    async def rarity(
        self, user: str, text: str, *, store_ids: Sequence[str] | None = None
    ) -> dict[str, float]:
        """How much each content word of a text tells documents apart (inverse document frequency).

        Raises NotFound for a store that is not there.
        """
        return await self._open.read(self._rarity, user, text, store_ids)

    def _search(
        self,
        connection: sqlite3.Connection,
        user: str,
        query: str,
        vector: Vectors,
        store_ids: Sequence[str] | None,
        k: int,
    ) -> list[Passage]:
        store = DocumentStore(connection, self._matrices, self._cache)
        return recall.search(store, user, query, vector, store_ids, k)

    def _rarity(
        self, connection: sqlite3.Connection, user: str, text: str, store_ids: Sequence[str] | None
    ) -> dict[str, float]:
        store = DocumentStore(connection, self._matrices, self._cache)
        return recall.rarity(store, user, text, store_ids)
