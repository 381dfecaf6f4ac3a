import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from actors import embedder as module
from actors.embedder import Call, Embedder, next_batch
from actors.messages import EngineFailed, NotReady
from actors.models.encoder import Tokens, Vectors
from configs.schema import ModelSettings, Settings

HASH = Settings(models=ModelSettings(embedder="hash"))


class Gate:
    """An encoder whose vector of a text is its length; it waits for `go` before each batch, notes all."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        return [[1] * int(text) for text in texts]

    def vectors(self, batch: Sequence[Tokens]) -> Vectors:
        self.entered.release()
        assert self.go.acquire(timeout=30)
        self.batches.append([len(ids) for ids in batch])
        self.threads.add(threading.current_thread().name)
        if any(len(ids) == 13 for ids in batch):
            raise RuntimeError("unlucky")
        return np.array([[len(ids)] for ids in batch], np.float32)


@pytest.fixture
async def gated(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Embedder, Gate]]:
    gate = Gate()
    monkeypatch.setattr(module, "load_encoder", lambda settings: gate)
    embedder = Embedder(HASH)
    await embedder.start()
    yield embedder, gate
    gate.go.release(1000)
    await embedder.close()


async def _entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.acquire, timeout=30)


async def _waiting(embedder: Embedder, texts: int) -> None:
    while (await embedder.health()).waiting < texts:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)


def _call(*lengths: int) -> Call:
    tokens = [[1] * length for length in lengths]
    return Call(tokens, list(range(len(tokens))), asyncio.get_running_loop().create_future())


async def test_a_batch_keeps_to_its_budget_with_padding() -> None:
    call = _call(50, 40, 30, 30, 30)
    assert next_batch([call], budget=150) == [(call, 0), (call, 1), (call, 2)]


async def test_a_text_above_the_budget_goes_alone() -> None:
    call = _call(200, 200)
    assert next_batch([call], budget=100) == [(call, 0)]


async def test_texts_of_unlike_length_are_not_padded_together() -> None:
    call = _call(40, 39, 8)
    assert next_batch([call], budget=1000) == [(call, 0), (call, 1)]


async def test_a_short_call_goes_before_a_long_one() -> None:
    ingest, query = _call(*[10] * 50), _call(9)
    assert next_batch([ingest, query], budget=20)[0] == (query, 0)


async def test_rows_come_in_the_order_of_the_texts(gated: tuple[Embedder, Gate]) -> None:
    embedder, gate = gated
    gate.go.release(100)
    vectors = await embedder.embed(["3", "200", "5", "90"])
    assert vectors[:, 0].tolist() == [3, 200, 5, 90]
    assert gate.threads == {"embedder_0"}


async def test_calls_that_wait_are_computed_together(gated: tuple[Embedder, Gate]) -> None:
    embedder, gate = gated
    first = asyncio.create_task(embedder.embed(["4"]))
    await _entered(gate)
    others = [asyncio.create_task(embedder.embed([length])) for length in ("5", "6", "7")]
    await _waiting(embedder, 4)
    gate.go.release(100)
    await asyncio.gather(first, *others)
    assert gate.batches[0] == [4]
    assert sorted(gate.batches[1]) == [5, 6, 7]


async def test_a_caller_who_gave_up_is_not_computed(gated: tuple[Embedder, Gate]) -> None:
    embedder, gate = gated
    first = asyncio.create_task(embedder.embed(["4"]))
    await _entered(gate)
    gone = asyncio.create_task(embedder.embed(["6"]))
    await _waiting(embedder, 2)
    gone.cancel()
    await asyncio.wait([gone])
    gate.go.release(100)
    await first
    await embedder.embed(["5"])
    assert gate.batches == [[4], [5]]


async def test_closing_ends_those_who_wait(gated: tuple[Embedder, Gate]) -> None:
    embedder, gate = gated
    waiting = asyncio.create_task(embedder.embed(["4"]))
    await _entered(gate)
    gate.go.release(100)
    await embedder.close()
    with pytest.raises(NotReady):
        await waiting
    with pytest.raises(NotReady):
        await embedder.embed(["5"])


async def test_a_broken_model_fails_its_callers_and_the_health(gated: tuple[Embedder, Gate]) -> None:
    embedder, gate = gated
    gate.go.release(100)
    with pytest.raises(EngineFailed, match="unlucky"):
        await embedder.embed(["13"])
    assert not (await embedder.health()).ok
    with pytest.raises(NotReady):
        await embedder.embed(["5"])


async def test_the_hash_embedder_needs_no_file() -> None:
    embedder = Embedder(HASH)
    with pytest.raises(NotReady):
        await embedder.embed(["early"])
    await embedder.start()
    await embedder.start()
    vectors = await embedder.embed(["one house", "one house", "two"])
    assert vectors.shape == (3, 384)
    assert np.array_equal(vectors[0], vectors[1])
    assert (await embedder.embed([])).shape == (0, 384)
    assert await embedder.count(["one house", "two"]) == 3
    assert (await embedder.health()).ok
    await embedder.close()


@pytest.mark.model
async def test_many_callers_get_the_vectors_that_one_gets(embedder_dir: Path) -> None:
    embedder = Embedder(Settings(models=ModelSettings(embedder=str(embedder_dir))))
    await embedder.start()
    texts = [f"Question {number}: what is said about {'rain ' * (number % 7)}?" for number in range(40)]
    together = await embedder.embed(texts)
    alone = await asyncio.gather(*[embedder.embed([text]) for text in texts])
    assert np.abs(together - np.concatenate(alone)).max() <= 1e-5
    assert await embedder.count(["The cat sat."]) == 6
    await embedder.close()
