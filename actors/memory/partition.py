"""One open directory: its lock, its database, its vector cache. Knows no document and no memory."""

import asyncio
import logging
import sqlite3
from pathlib import Path

from actors.identity import RANDOM, Identity
from actors.memory.database import DirectoryLock, checkpoint, connect, rewrite, rewrite_is_due
from actors.memory.index import VectorIndex
from actors.memory.migrations import migrate
from actors.memory.upkeep import VectorCache
from actors.memory.vectors import Matrices
from actors.memory.workers import Workers
from actors.messages import Health, NotReady
from configs.schema import DocumentSettings, MemorySettings

log = logging.getLogger(__name__)


class Partition:
    """The sole opener of a directory's files."""

    def __init__(
        self,
        directory: Path,
        documents: DocumentSettings,
        identity: Identity = RANDOM,
        memory: MemorySettings | None = None,
    ) -> None:
        self._directory = directory
        self._settings = documents
        self._memory = memory or MemorySettings()
        self._identity = identity
        self._lock = DirectoryLock(directory)
        self._matrices = Matrices(self._memory.held_mib * 2**20)
        self._workers: Workers | None = None
        self._cache: VectorCache | None = None
        self._rewriting = asyncio.Lock()
        self._wanted = self._rewritten = 0

    async def start(self) -> None:
        """Open the store and take the directory's lock.

        Raises Locked if another process has it, NotReady if the database cannot be read.
        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock.acquire()
        try:
            await asyncio.to_thread(_prepare, self._directory)
        except sqlite3.DatabaseError as error:
            self._lock.release()
            raise NotReady(
                f"the document store in {self._directory} cannot be opened ({error}): restore it from a "
                "backup, or move the directory away to start with an empty one"
            ) from error
        self._workers = Workers(self._directory)
        if self._settings.vector_cache:
            self._cache = VectorCache(VectorIndex(self._directory / "vectors"), self._workers)
            self._cache.start()

    async def health(self) -> Health:
        """Whether the store answers; detail tells of the vector cache."""
        if self._workers is None:
            return Health(ok=False, detail="not started")
        await self._workers.read(_answers)
        return Health(ok=True, detail=self._cache.detail if self._cache else "vector cache: not wanted")

    async def cache_settled(self) -> None:
        """Wait until the vector cache has heard of every passage, or is off."""
        if self._cache is not None:
            await self._cache.settled()

    async def close(self) -> None:
        """Flush and release the directory."""
        if self._cache is not None:
            await self._cache.close()
            self._cache = None
        if self._workers is not None:
            await asyncio.to_thread(self._workers.close)
            self._workers = None
        self._lock.release()

    @property
    def _open(self) -> Workers:
        if self._workers is None:
            raise NotReady("the store is not open")
        return self._workers

    async def _empty_log(self) -> None:
        if not await self._open.outside(checkpoint):
            log.warning("a long search kept what was deleted in the log; the next deletion empties it")

    async def _rewrite(self) -> None:
        """No byte of what was deleted before this call is in the files when this returns."""
        self._wanted += 1
        ticket = self._wanted
        async with self._rewriting:
            if self._rewritten >= ticket:
                return
            covered = self._wanted
            if not await self._open.outside(rewrite):
                log.warning("a long search kept what was deleted in the log; the next deletion empties it")
            self._rewritten = covered

    def _wake(self) -> None:
        if self._cache is not None:
            self._cache.wake()


def _prepare(directory: Path) -> None:
    connection = connect(directory)
    try:
        migrate(connection)
        if rewrite_is_due(connection):
            rewrite(connection)
    finally:
        connection.close()


def _answers(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT 1 FROM files LIMIT 1")
