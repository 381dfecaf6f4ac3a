"""Generations of one request: started together, merged, counted and timed. Knows no reply format."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import uuid4

from actors.compression.cost import LEAST_MEASURED
from actors.messages import Citation, Prompt, Sampling, TextDelta
from serve.dialogue import Dialogue
from serve.metrics import Metrics
from serve.services import Services
from serve.shortening import Shortening
from serve.streams import merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One request, ready to be generated: a generation for each job."""

    id: str
    created: int
    model: str
    fingerprint: str
    jobs: tuple[tuple[Prompt, Sampling], ...]
    choices: int = 1
    """Answers to each prompt; the jobs of one prompt stand together."""
    adapter: str | None = None
    tools: tuple[str, ...] = ()
    forced: bool = False
    most_calls: int | None = None
    include_usage: bool = False
    citations: tuple[Citation, ...] = ()
    notes: tuple[str, ...] = ()
    dialogue: Dialogue | None = None
    """The chat's memory, where it reads or writes one."""
    shortening: Shortening | None = None
    """What was made shorter, where the request asked for it."""


def deltas(
    services: Services, metrics: Metrics, turn: Turn, interval_s: float = 0.0
) -> AsyncGenerator[tuple[int, TextDelta]]:
    """The deltas of all choices as they come, each with its choice's number.

    The engine knows each by an id of our own: a client may send two requests that get the same reply id.
    """
    ours = uuid4().hex
    if turn.shortening is not None:
        turn.shortening.measured(metrics)
    sources = [
        _watched(
            services.adapters.generate(f"{ours}-{number}", prompt, sampling, turn.adapter),
            services,
            metrics,
            interval_s,
        )
        for number, (prompt, sampling) in enumerate(turn.jobs)
    ]
    return merged(sources)


def varied(sampling: Sampling, number: int) -> Sampling:
    """The sampling of choice `number`: the next seed where one is given."""
    if sampling.seed is None or number == 0:
        return sampling
    return replace(sampling, seed=(sampling.seed + number + 2**63) % 2**64 - 2**63)


async def _watched(
    source: Any, services: Services, metrics: Metrics, interval_s: float
) -> AsyncGenerator[TextDelta]:
    """A generation, counted and timed; deltas closer than `interval_s` become one, but never the first."""
    started = last = time.perf_counter()
    sent = waited = 0.0
    held: TextDelta | None = None
    delta: TextDelta | None = None
    outcome: Literal["done", "failed", "abandoned"] = "failed"
    metrics.running.inc()
    try:
        async for delta in source:
            now = time.perf_counter()
            (metrics.between if sent else metrics.first_token).observe(now - last)
            last = now
            waited = waited or now - started
            joined = delta if held is None else _joined(held, delta)
            if delta.finish_reason is None and sent and now - sent < interval_s:
                held = joined
                continue
            held, sent = None, now
            outcome = "done" if delta.finish_reason else "abandoned"
            yield joined
            outcome = "done" if delta.finish_reason else "failed"
    except asyncio.CancelledError:
        outcome = "abandoned"
        raise
    finally:
        metrics.running.dec()
        await source.aclose()
        if outcome == "done" and delta is not None:
            metrics.finished(delta, time.perf_counter() - started)
            if delta.prompt_tokens - delta.cached_tokens >= LEAST_MEASURED:
                prefilled = services.compressor.prefilled(delta.prompt_tokens, delta.cached_tokens, waited)
                services.background.attempt(prefilled, "noting the time of a prefill")
        elif outcome == "abandoned":
            metrics.abandoned.inc()


def _joined(first: TextDelta, second: TextDelta) -> TextDelta:
    return replace(
        second,
        text=first.text + second.text,
        token_ids=first.token_ids + second.token_ids,
        logprobs=first.logprobs + second.logprobs,
    )
