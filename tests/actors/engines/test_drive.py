import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.engines.blocks import Blocks
from actors.engines.drive import Driver
from actors.engines.merging import Merging
from actors.engines.schedule import Request, Schedule
from actors.messages import Gone, InvalidRequest, PalError, Pick, Sampling, ShardFacts, Span, Step, TokenDelta

GREEDY = {"temperature": 0.0, "ignore_eos": True}


class FakeShard:
    """Remembers which token is at which place; the next token follows from all kept ones."""

    def __init__(self) -> None:
        self.places: dict[int, int] = {}
        self.epoch = 0
        self.adapters: list[str] = []
        self.merges: list[str | None] = []
        self.computed = 0

    async def begin(self, epoch: int) -> None:
        self.places.clear()
        self.epoch = epoch

    async def forward(self, step: Step, _: object) -> tuple[Pick, ...]:
        assert step.epoch == self.epoch
        self.computed += 1
        picks = []
        for piece in step.pieces:
            slots = [slot for first, count in piece.runs for slot in range(first, first + count)]
            for slot, token in zip(slots[piece.start :], piece.tokens, strict=True):
                self.places[slot] = token
            if piece.adapter is not None:
                assert piece.adapter in self.adapters
            if piece.want == "nothing":
                picks.append(Pick())
            else:
                picks.append(Pick(token=following([self.places[slot] for slot in slots])))
        await asyncio.sleep(0)
        return tuple(picks)

    async def load_adapter(self, name: str, path: Path) -> None:
        if path.name == "bad":
            raise InvalidRequest("does not fit")
        if name not in self.adapters:
            self.adapters.append(name)

    async def facts(self) -> ShardFacts:
        return ShardFacts(
            span=Span(0, 1, 1), weight_bytes=0, cache_bytes=0, node="", pid=0, adapters=tuple(self.adapters)
        )

    async def unload_adapter(self, name: str) -> None:
        self.adapters.remove(name)

    async def merge_adapter(self, name: str | None) -> None:
        self.merges.append(name)


class FakeChain:
    """One fake shard, lost at the steps it is told."""

    def __init__(self, lost_at: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.shards = [FakeShard()]
        self.lost_at = lost_at

    async def forward(self, step: Step) -> tuple[Pick, ...]:
        shard = self.shards[0]
        if shard.computed in self.lost_at:
            self.lost_at = self.lost_at - {shard.computed}
            shard.places.clear()
            shard.adapters.clear()
            shard.epoch = -1
            raise Gone("the shard died")
        return await shard.forward(step, None)

    async def begin(self, epoch: int) -> None:
        await self.shards[0].begin(epoch)

    async def each(self, call: Any) -> list[Any]:
        return [await call(self.shards[0])]


def following(tokens: list[int]) -> int:
    return (sum((place + 1) * token for place, token in enumerate(tokens)) * 31 + len(tokens)) % 97


def expected(prompt: list[int], length: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(length):
        tokens.append(following(tokens))
    return tokens[len(prompt) :]


class Table:
    """A driver with what it told."""

    def __init__(self, chain: FakeChain, patience: int = 0) -> None:
        self.chain = chain
        self.told: dict[Request, asyncio.Queue[TokenDelta | PalError]] = {}
        schedule = Schedule(Blocks(400), max_sequences=8, step_tokens=32)
        self.driver = Driver(schedule, chain, Merging(patience), {96}, self.tell)  # type: ignore[arg-type]
        self.running = asyncio.create_task(self.driver.run())

    def tell(self, request: Request, delta: TokenDelta | PalError) -> None:
        self.told[request].put_nowait(delta)

    async def play(self, prompt: list[int], length: int, adapter: str | None = None) -> list[int]:
        request = Request(list(prompt), Sampling(max_tokens=length, **GREEDY), adapter)
        queue = self.told[request] = asyncio.Queue()
        self.driver.add(request)
        tokens: list[int] = []
        while True:
            delta = await queue.get()
            assert isinstance(delta, TokenDelta)
            tokens += delta.token_ids
            if delta.finish_reason:
                return tokens


@pytest.fixture
async def table() -> AsyncIterator[Table]:
    made = Table(FakeChain())
    yield made
    made.driver.close()
    await made.running


PROMPTS = [[5, 6, 7], list(range(90)), [1], list(range(20, 60))]


async def test_tokens_are_those_of_each_alone(table: Table) -> None:
    answers = await asyncio.gather(*(table.play(prompt, 30) for prompt in PROMPTS))
    assert answers == [expected(prompt, 30) for prompt in PROMPTS]


async def test_a_lost_shard_changes_no_token() -> None:
    table = Table(FakeChain(lost_at={0, 3, 17, 40}))
    await table.driver.load_adapter("a", Path("a"))
    answers = await asyncio.gather(*(table.play(prompt, 30, "a") for prompt in PROMPTS))
    assert answers == [expected(prompt, 30) for prompt in PROMPTS]
    assert not table.chain.lost_at
    table.driver.close()
    await table.running


async def test_an_adapter_is_loaded_while_the_base_model_answers(table: Table) -> None:
    playing = asyncio.create_task(table.play([5], 200))
    await asyncio.sleep(0)
    await table.driver.load_adapter("a", Path("a"))
    assert not playing.done()
    assert await playing == expected([5], 200)


async def test_an_adapter_leaves_after_its_last_request(table: Table) -> None:
    await table.driver.load_adapter("a", Path("a"))
    playing = asyncio.create_task(table.play([5], 20, "a"))
    await asyncio.sleep(0)
    await table.driver.unload_adapter("a")
    assert playing.done()
    assert await playing == expected([5], 20)
    assert table.chain.shards[0].adapters == []


async def test_an_adapter_that_does_not_fit_harms_nobody(table: Table) -> None:
    playing = asyncio.create_task(table.play([5], 20))
    with pytest.raises(InvalidRequest, match="does not fit"):
        await table.driver.load_adapter("a", Path("bad"))
    assert await playing == expected([5], 20)


async def test_merges_and_unmerges() -> None:
    table = Table(FakeChain(), patience=8)
    await table.driver.load_adapter("a", Path("a"))
    await table.play([5], 20, "a")
    await table.play([6], 3)
    assert table.chain.shards[0].merges == ["a", None]
    table.driver.close()
    await table.running


async def test_a_shard_that_fails_ends_the_run() -> None:
    chain = FakeChain()
    table = Table(chain)
    chain.shards[0].epoch = 7
    request = Request([5], Sampling(max_tokens=1, **GREEDY))
    table.told[request] = asyncio.Queue()
    table.driver.add(request)
    with pytest.raises(AssertionError):
        await table.running
