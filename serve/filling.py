"""Embeds memories that were stored without a vector, beside the requests. Knows no HTTP and no request."""

import asyncio
import logging
from contextlib import suppress
from itertools import groupby

from actors.embedder import Embedder
from actors.keeper import Keeper
from actors.messages import PalError

log = logging.getLogger(__name__)
BATCH = 64
"""Memories embedded in one call."""
GATHER_S = 0.25
"""It begins once no memory has come for this long: embedding beside a writer costs the writer's next call."""
GATHER_MOST_S = 2.0
"""Memories that keep coming are embedded after this long."""
PATIENCE_S = 5.0
"""How long to wait before trying again where the keeper or the embedder did not answer."""


class Filling:
    """One task that sleeps until it is woken, and then fills until no memory waits for its vector."""

    def __init__(self, embedder: Embedder, keeper: Keeper) -> None:
        self._embedder = embedder
        self._keeper = keeper
        self._wanted = asyncio.Event()
        self._awaited = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There may be memories without a vector. Call it in the event loop that serves."""
        self._wanted.set()
        self._idle.clear()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="fill vectors")

    async def settled(self) -> None:
        """Wait until all that was there when `wake` was last called has its vector."""
        if not self._idle.is_set():
            self._awaited.set()
            self._wanted.set()
            await self._idle.wait()

    async def close(self) -> None:
        """Stop; what still waits is found at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _work(self) -> None:
        while True:
            await self._wanted.wait()
            await self._gather()
            try:
                await self._fill()
            except PalError as error:
                log.warning("memories still wait for their vectors: %s", error)
                if error.status >= 500:
                    await asyncio.sleep(PATIENCE_S)
                    self._wanted.set()
            if not self._wanted.is_set():
                self._idle.set()

    async def _gather(self) -> None:
        """Let memories come together until they pause, unless someone waits for the vectors."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_MOST_S):
                while not self._awaited.is_set():
                    self._wanted.clear()
                    async with asyncio.timeout(GATHER_S):
                        await self._wanted.wait()
        self._wanted.clear()
        self._awaited.clear()

    async def _fill(self) -> None:
        """Batch after batch; ends too where a batch comes back as it was, so that it never spins."""
        before: list[tuple[str, str, str]] = []
        while (batch := sorted(await self._keeper.unembedded(BATCH))) and batch != before:
            before = batch
            vectors = await self._embedder.embed([text for _, _, text in batch])
            first = 0
            for user, rows in groupby(batch, key=lambda row: row[0]):
                ids = [memory_id for _, memory_id, _ in rows]
                await self._keeper.put_vectors(user, ids, vectors[first : first + len(ids)])
                first += len(ids)
