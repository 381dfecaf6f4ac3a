"""The torch engine: a continuous batch over a chain of shards; requests join and leave between steps."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Sequence
from pathlib import Path
from typing import Any

from actors.engines.blocks import Blocks
from actors.engines.chain import BLOCK, Chain, Layout, build, cache_slots, layout
from actors.engines.device import DTYPES, pick_device, pick_dtype
from actors.engines.drive import Driver
from actors.engines.grammar import Grammars
from actors.engines.merging import Merging
from actors.engines.schedule import KvPolicy, Request, Schedule
from actors.messages import (
    Capabilities,
    EngineFailed,
    Health,
    InvalidRequest,
    NotFound,
    PalError,
    Sampling,
    ShardFacts,
    TokenDelta,
    TokenLogprob,
)
from actors.models.tokenizer import ModelTokenizer, end_ids
from configs.schema import EngineSettings

ENDLESS = 1 << 20
"""Longest sequence, in tokens, where old ones are dropped as it goes on."""

Inbox = asyncio.Queue[TokenDelta | PalError]


class TorchEngine:
    """Generates with a Llama-like decoder that one or several shards hold."""

    def __init__(
        self, settings: EngineSettings, path: Path, tokenizer: ModelTokenizer, plan: Layout, chain: Chain
    ) -> None:
        self._settings = settings
        self._path = path
        self._tokenizer = tokenizer
        self._plan = plan
        self._chain = chain
        self._ends = end_ids(path, tokenizer)
        self._adapters: dict[str, Path] = {}
        self._grammars: Grammars | None = None
        self._failure: str | None = None
        self._inboxes: dict[Request, Inbox] = {}
        self._driver = Driver(
            _schedule(settings, plan), chain, Merging(_patience(settings)), self._ends, self._deliver
        )
        self._running = asyncio.create_task(self._driver.run(), name="torch-engine")
        self._running.add_done_callback(self._ended)

    @classmethod
    async def create(
        cls, settings: EngineSettings, path: Path, tokenizer: ModelTokenizer, *, apart: bool | None = None
    ) -> "TorchEngine":
        """Load the model, without blocking the event loop. Raises NotReady if it cannot be run.

        `apart` puts the shards into Ray actors; by itself where there are several and Ray is there.
        """
        settings = await asyncio.to_thread(_decided, settings)
        itemsize = DTYPES[settings.dtype].itemsize
        plan = await asyncio.to_thread(layout, path, itemsize, settings.quantize)
        return cls(settings, path, tokenizer, plan, await build(settings, path, plan, apart=apart))

    async def generate(
        self, request_id: str, tokens: Sequence[int], sampling: Sampling, adapter: str | None = None
    ) -> AsyncGenerator[TokenDelta, None]:
        """Yield one token a delta as the batch goes on."""
        self._check(adapter)
        matcher = None
        if sampling.json_schema is not None:
            matcher = await asyncio.to_thread(self._grammar, sampling.json_schema)
        request = Request(list(tokens), sampling, adapter, matcher=matcher)
        inbox = self._submit(request)
        try:
            finished = False
            while not finished:
                delta = await inbox.get()
                if isinstance(delta, PalError):
                    raise delta
                finished = delta.finish_reason is not None
                yield delta
        finally:
            self._leave(request)

    async def score(self, tokens: Sequence[int], adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """Log probability of each token after the first, computed within the batch."""
        self._check(adapter)
        request = Request(list(tokens), Sampling(max_tokens=1), adapter, scoring=True)
        inbox = self._submit(request)
        try:
            delta = await inbox.get()
        finally:
            self._leave(request)
        if isinstance(delta, PalError):
            raise delta
        return delta.logprobs

    async def load_adapter(self, name: str, path: Path) -> None:
        """Load a LoRA adapter between two steps. A name in use is let go by its requests first."""
        if self._adapters.get(name) == path:
            return
        if name in self._adapters:
            await self.unload_adapter(name)
        self._check(None)
        await self._unless_it_ends(self._driver.load_adapter(name, path))
        self._adapters[name] = path

    async def unload_adapter(self, name: str) -> None:
        """Remove an adapter once no request uses it. Raises NotFound."""
        self._check(name)
        del self._adapters[name]
        await self._unless_it_ends(self._driver.unload_adapter(name))

    def capabilities(self) -> Capabilities:
        """What this engine can do with its model."""
        return Capabilities(
            engine="torch",
            model=self._path.name,
            max_context=_longest(self._settings, self._plan),
            json_schema=True,
            logprobs=True,
            adapters=True,
        )

    async def health(self) -> Health:
        """Well while the batch goes on, also while it waits for a shard."""
        schedule = self._driver.schedule
        return Health(
            ok=self._failure is None,
            detail=self._failure or self._driver.detail,
            running=len(schedule.running),
            waiting=len(schedule.waiting),
        )

    async def facts(self) -> list[ShardFacts]:
        """What each shard holds and where it is."""
        return await self._chain.facts()

    async def close(self) -> None:
        """Stop after the current steps; running requests end with EngineFailed."""
        self._driver.close()
        await asyncio.wait((self._running,))
        await self._chain.close()

    def _check(self, adapter: str | None) -> None:
        if self._failure is not None:
            raise EngineFailed(self._failure)
        if adapter is not None and adapter not in self._adapters:
            raise NotFound(f"adapter {adapter!r} is not loaded", param="model")

    def _submit(self, request: Request) -> Inbox:
        inbox: Inbox = asyncio.Queue()
        self._check(request.adapter)
        ids = [*request.tokens, *request.sampling.logit_bias]
        if not 0 <= min(ids) <= max(ids) < self._plan.vocabulary:
            raise InvalidRequest(f"a token id is outside the model's 0..{self._plan.vocabulary - 1}")
        self._inboxes[request] = inbox
        self._driver.add(request)
        return inbox

    def _leave(self, request: Request) -> None:
        request.cancelled = True
        self._inboxes.pop(request, None)
        self._driver.wake()

    def _deliver(self, request: Request, delta: TokenDelta | PalError) -> None:
        inbox = self._inboxes.get(request)
        if inbox is not None:
            inbox.put_nowait(delta)

    def _grammar(self, json_schema: str) -> object:
        if self._grammars is None:
            self._grammars = Grammars(self._tokenizer.backend.to_str(), self._plan.vocabulary, self._ends)
        return self._grammars.matcher(json_schema)

    async def _unless_it_ends(self, errand: Coroutine[Any, Any, None]) -> None:
        """Wait for an errand of the driver; EngineFailed if the driver ends first."""
        task = asyncio.ensure_future(errand)
        await asyncio.wait((task, self._running), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            raise EngineFailed(self._failure or "the engine is closed")
        task.result()

    def _ended(self, running: asyncio.Task[None]) -> None:
        """The driver stopped: by `close`, or because a step failed, which nothing can go on from."""
        error = None if running.cancelled() else running.exception()
        self._failure = "the engine is closed" if error is None else f"the engine failed: {error}"
        for inbox in self._inboxes.values():
            inbox.put_nowait(EngineFailed(self._failure))


def _decided(settings: EngineSettings) -> EngineSettings:
    """The settings with one device and number format for all shards, wherever they run."""
    device = pick_device(settings.device)
    dtype = str(pick_dtype(settings.dtype, device)).removeprefix("torch.")
    return settings.model_copy(update={"device": device.type, "dtype": dtype})


def _schedule(settings: EngineSettings, plan: Layout) -> Schedule:
    policy = KvPolicy(settings.window, settings.sink_tokens) if settings.kv_policy == "sinks" else None
    return Schedule(
        Blocks(cache_slots(settings, plan) // BLOCK, BLOCK),
        max_sequences=settings.max_sequences,
        step_tokens=settings.step_tokens,
        lanes=settings.shards,
        policy=policy,
        prefix_cache=settings.prefix_cache,
    )


def _longest(settings: EngineSettings, plan: Layout) -> int:
    """Tokens of the longest prompt plus answer: the model's own limit or the cache's, unless old ones go."""
    if settings.kv_policy == "sinks":
        return settings.max_context or ENDLESS
    return min(settings.max_context or plan.max_context, plan.max_context, cache_slots(settings, plan))


def _patience(settings: EngineSettings) -> int:
    return 0 if settings.quantize in ("int8", "int4") else settings.merge_after
