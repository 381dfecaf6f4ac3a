"""Holds the embedding model and batches what it is given. Knows no document and no user."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np

from actors.messages import EngineFailed, Health, NotReady
from actors.models.encoder import WINDOW, Encoder, Tokens, Vectors, load_encoder
from configs.schema import Settings

T = TypeVar("T")
BATCH_TOKENS = 256
"""Tokens computed at once, padding included: more is no faster on a CPU, and a query waits for one batch."""
SHORT = 2_000
"""Characters that are read in the event loop: in about half a millisecond."""
UNLIKE = 2
"""Texts of which one is longer than this many times the other are not computed together."""


@dataclass
class Call:
    """One `embed` that waits: what is left to compute of its texts, longest first."""

    tokens: list[Tokens]
    left: list[int]
    """Indices into `tokens`."""
    done: asyncio.Future[Vectors]
    rows: dict[int, Vectors] = field(default_factory=dict)


Batch = list[tuple[Call, int]]


def next_batch(calls: Sequence[Call], budget: int = BATCH_TOKENS) -> Batch:
    """Texts of like length that fit `budget` tokens with padding, at least one; calls with few left go first.

    So one short query waits for at most one batch of a long ingest, and is not padded to a passage's length.
    """
    batch: Batch = []
    lengths: list[int] = []
    for call in sorted(calls, key=lambda call: len(call.left)):
        for index in call.left:
            lengths.append(min(len(call.tokens[index]), WINDOW))
            too_many = max(lengths) * len(lengths) > budget
            if batch and (too_many or max(lengths) > UNLIKE * min(lengths)):
                return batch
            batch.append((call, index))
    return batch


class Embedder:
    """Sentence embeddings from an ONNX model, or hashed words where the settings name the embedder `hash`.

    A text has the same vector alone and in any batch. One thread computes, never the event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._encoder: Encoder | None = None
        self._calls: list[Call] = []
        self._waiting = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "embedder")

    async def start(self) -> None:
        """Load the model. Raises NotReady if it is not on disk."""
        if self._encoder is None:
            self._encoder = await self._in_thread(partial(load_encoder, self._settings))
            self._worker = asyncio.create_task(self._work(self._encoder))
            self._worker.add_done_callback(self._ended)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit-length vectors, shape (len(texts), dimensions), float32. Text past 256 tokens is cut.

        Raises NotReady before `start` and after `close`, EngineFailed if the model breaks.
        """
        encoder = self._started()
        tokens = await _read(encoder, texts)
        self._started()
        if not tokens:
            return (await self._in_thread(partial(encoder.vectors, [[0]])))[:0]
        order = sorted(range(len(tokens)), key=lambda index: -len(tokens[index]))
        call = Call(tokens, order, asyncio.get_running_loop().create_future())
        self._calls.append(call)
        self._waiting.set()
        return await call.done

    async def count(self, texts: Sequence[str]) -> int:
        """Tokens in all texts together, uncut."""
        return sum(map(len, await _read(self._started(), texts)))

    async def health(self) -> Health:
        """Whether it can embed now."""
        ok = self._worker is not None and not self._worker.done()
        waiting = sum(len(call.left) for call in self._calls)
        return Health(ok=ok, detail=self._settings.models.embedder, waiting=waiting)

    async def close(self) -> None:
        """Free the model; calls that wait end with NotReady."""
        self._encoder = None
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        self._thread.shutdown(wait=False)

    def _started(self) -> Encoder:
        if self._encoder is None or self._worker is None or self._worker.done():
            raise NotReady("the embedder is not started, or has stopped")
        return self._encoder

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _work(self, encoder: Encoder) -> None:
        """Compute batch after batch; callers who gave up are dropped between two."""
        while True:
            self._calls = [call for call in self._calls if not call.done.done()]
            if not self._calls:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            batch = next_batch(self._calls)
            tokens = [call.tokens[index] for call, index in batch]
            vectors_N_D = await self._in_thread(partial(encoder.vectors, tokens))
            for (call, index), vector in zip(batch, vectors_N_D, strict=True):
                deliver(call, index, vector)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """Nobody waits for a worker that is gone."""
        error: Exception = NotReady("the embedder was closed")
        if not worker.cancelled():
            error = EngineFailed(f"the embedder failed: {worker.exception()}")
        for call in self._calls:
            if not call.done.done():
                call.done.set_exception(error)
        self._calls.clear()


async def _read(encoder: Encoder, texts: Sequence[str]) -> list[Tokens]:
    """Tokens of texts; a thread would cost a question more than its reading."""
    if sum(map(len, texts)) <= SHORT:
        return encoder.tokens(texts)
    return await asyncio.to_thread(encoder.tokens, texts)


def deliver(call: Call, index: int, vector: Vectors) -> None:
    """Put one vector where it belongs; the last one completes the call."""
    call.left.remove(index)
    call.rows[index] = vector
    if not call.left and not call.done.done():
        call.done.set_result(np.stack([call.rows[row] for row in range(len(call.tokens))]))
