"""The shards of one model in order, in this process or as Ray actors. Knows no request and no sampling."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from actors.engines.split import Parts, split
from actors.messages import Gone, NotReady, Pick, ShardFacts, Span, Step
from actors.models.parts import cache_bytes_per_token, weights_by_part
from actors.shard import Shard
from actors.spawn import Place, Placement, connected, give_up, here, on_ray, places, relay, stop
from configs.schema import EngineSettings

GIB = 1 << 30
BLOCK = 16
OVERHEAD_BYTES = GIB // 2
"""What a shard's process takes beside weights and cache: Python, torch, one step's activations."""
QUANTISED_BYTES = {"int8": 1.01, "int4": 0.63}
"""Bytes of one weight of a quantised layer, scales included."""
RESTARTS = 100
"""How often a chain asks its shards to begin again before it gives up."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Layout:
    """A model's measures that shards are planned by, read without loading it."""

    parts: Parts
    cache_bytes: int
    """Of one token in all layers."""
    vocabulary: int
    max_context: int


class Chain:
    """Shards that pass a step on to each other; several steps may be under way at once."""

    def __init__(self, shards: list[Shard], taken: tuple[Place, ...] = ()) -> None:
        self.shards = shards
        self._taken = taken

    async def forward(self, step: Step) -> tuple[Pick, ...]:
        """One pass through all shards. Raises Gone if one died meanwhile."""
        picks: tuple[Pick, ...] = await relay(self.shards, "forward", step)
        return picks

    async def begin(self, epoch: int) -> None:
        """Start an epoch on every shard, waiting for those that are being restarted.

        Raises NotReady after `RESTARTS` vain attempts.
        """
        for attempt in range(RESTARTS):
            try:
                await self.each(lambda shard: shard.begin(epoch))
            except Gone as error:
                log.warning("waiting for a shard (%d): %s", attempt + 1, error)
                await asyncio.sleep(1)
            else:
                return
        raise NotReady(f"a shard did not come back after {RESTARTS} attempts")

    async def each(self, call: Callable[[Shard], Awaitable[Any]]) -> list[Any]:
        """The same call on every shard at once; the first error is raised after all have answered."""
        answers = await asyncio.gather(*(call(shard) for shard in self.shards), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def facts(self) -> list[ShardFacts]:
        """What each shard holds and where it is."""
        return await self.each(lambda shard: shard.facts())

    async def close(self) -> None:
        """End the shards and free their places."""
        await asyncio.gather(*(stop(shard) for shard in self.shards), return_exceptions=True)
        if self._taken:
            give_up(self._taken)


def layout(path: Path, itemsize: int, quantize: str | None = None) -> Layout:
    """Read what planning needs from a model's directory; `itemsize` is bytes of one weight when computing."""
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    parts = weights_by_part(path, itemsize)
    share = QUANTISED_BYTES.get(quantize or "none", itemsize) / itemsize
    layers = tuple(int(size * share) for size in parts.layers)
    return Layout(
        parts=Parts(parts.embedding, layers, parts.head, parts.tied),
        cache_bytes=cache_bytes_per_token(config, itemsize) * len(layers),
        vocabulary=int(config["vocab_size"]),
        max_context=int(config["max_position_embeddings"]),
    )


def cache_slots(settings: EngineSettings, plan: Layout) -> int:
    """Tokens of key-value cache that engine.kv_cache_gib holds, in whole blocks, at least one."""
    return max(int(settings.kv_cache_gib * GIB) // plan.cache_bytes // BLOCK, 1) * BLOCK


async def build(
    settings: EngineSettings,
    path: Path,
    plan: Layout,
    *,
    apart: bool | None = None,
    patience_s: float = 60,
) -> Chain:
    """Make and start the shards: `apart` as Ray actors, or here; by itself apart if several and Ray is there.

    `patience_s` is how long to wait for room on the cluster. Raises NotReady where they do not fit, saying
    how much is missing.
    """
    slots = cache_slots(settings, plan)
    if apart is None:
        apart = settings.shards > 1 and connected()
    if not apart:
        spans = split(plan.parts, settings.shards)
        chain = Chain([here(Shard, settings, path, span, slots) for span in spans])
    else:
        chain = await _on_ray(settings, path, plan, slots, patience_s)
    try:
        await chain.each(lambda shard: shard.start())
        await chain.begin(0)
    except BaseException:
        await chain.close()
        raise
    return chain


async def _on_ray(settings: EngineSettings, path: Path, plan: Layout, slots: int, patience_s: float) -> Chain:
    taken = await places(
        settings.shards, num_cpus=settings.threads, num_gpus=_gpus(settings), patience_s=patience_s
    )
    try:
        spans = split(_with_cache(plan, slots), settings.shards, _room(settings, taken))
    except NotReady:
        give_up(taken)
        raise
    make = partial(_shard_at, settings, path, slots)
    return Chain([make(span, place) for span, place in zip(spans, taken, strict=True)], taken)


def _shard_at(settings: EngineSettings, path: Path, slots: int, span: Span, place: Place) -> Shard:
    log.info("shard with layers %d to %d on node %s", span.first, span.end - 1, place.node)
    placement = Placement(
        place=place,
        num_cpus=settings.threads,
        num_gpus=_gpus(settings),
        env={"OMP_NUM_THREADS": str(settings.threads)},
    )
    return on_ray(Shard, settings, path, span, slots, placement=placement)


def _gpus(settings: EngineSettings) -> float:
    return 1 if settings.device == "cuda" else 0


def _room(settings: EngineSettings, taken: tuple[Place, ...]) -> list[int] | None:
    """Memory for weights and cache at each place; unknown on GPUs, whose memory Ray does not tell."""
    if _gpus(settings):
        return None
    return [max(place.free_bytes - OVERHEAD_BYTES, 1) for place in taken]


def _with_cache(plan: Layout, slots: int) -> Parts:
    share = plan.cache_bytes * slots // len(plan.parts.layers)
    layers = tuple(size + share for size in plan.parts.layers)
    return Parts(plan.parts.embedding, layers, plan.parts.head, plan.parts.tied)
