"""Generations of one request: started together, merged, counted and timed. Knows no reply format."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Literal
from uuid import uuid4

from actors.compression.cost import LEAST_MEASURED
from actors.messages import Citation, PalError, Prompt, Sampling, TextDelta
from serve.dialogue import Dialogue
from serve.metrics import Metrics
from serve.services import Services
from serve.shortening import Shortening
from serve.streams import merged
from serve.swap import BASE, Chosen
from serve.watch import Seen, is_fault


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
    chosen: Chosen = BASE
    user: str = ""
    """Who asked."""
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
    _note(services, turn)
    if turn.shortening is not None:
        turn.shortening.measured(metrics)
    sources = [
        _watched(Heard(services, turn, number), f"{ours}-{number}", metrics, interval_s)
        for number in range(len(turn.jobs))
    ]
    return merged(sources)


def varied(sampling: Sampling, number: int) -> Sampling:
    """The sampling of choice `number`: the next seed where one is given."""
    if sampling.seed is None or number == 0:
        return sampling
    return replace(sampling, seed=(sampling.seed + number + 2**63) % 2**64 - 2**63)


class Heard:
    """What one generation says, for those who judge its version and try another."""

    def __init__(self, services: Services, turn: Turn, number: int) -> None:
        self.services = services
        self.turn = turn
        self.prompt, self.sampling = turn.jobs[number]
        self._tokens: list[int] = []
        self._spoke = False
        self._first = number == 0

    def delta(self, delta: TextDelta) -> None:
        """A piece of it."""
        self._tokens += delta.token_ids
        self._spoke = self._spoke or bool(delta.text.strip())

    def ended(self, first_s: float) -> None:
        """It came to its end."""
        chosen, sampling = self.turn.chosen, self.sampling
        free = not sampling.ignore_eos and not sampling.logit_bias and sampling.json_schema is None
        self._tell(Seen(tokens=self._tokens, spoke=self._spoke, free=free, first_s=first_s))
        if chosen.shadow is not None and self._first:
            self.services.shadows.cast(
                chosen.shadow, chosen.version, self.prompt, sampling, self._tokens, self.turn.id
            )

    def failed(self, error: PalError) -> None:
        """It ended with an error."""
        if is_fault(error):
            self._tell(Seen(failed=True))

    def _tell(self, seen: Seen) -> None:
        chosen = self.turn.chosen
        if chosen.serves:
            self.services.watch.saw(chosen.version, chosen.scope, seen)


async def _watched(heard: Heard, id: str, metrics: Metrics, interval_s: float) -> AsyncGenerator[TextDelta]:
    """A generation, counted and timed; deltas closer than `interval_s` become one, but never the first."""
    started = last = time.perf_counter()
    sent = waited = 0.0
    held: TextDelta | None = None
    delta: TextDelta | None = None
    outcome: Literal["done", "failed", "abandoned"] = "failed"
    services, chosen = heard.services, heard.turn.chosen
    metrics.running.inc()
    source = services.generator.generate(id, heard.prompt, heard.sampling, chosen.name, chosen.path)
    try:
        async for delta in source:
            now = time.perf_counter()
            (metrics.between if sent else metrics.first_token).observe(now - last)
            last = now
            waited = waited or now - started
            heard.delta(delta)
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
    except PalError as error:
        heard.failed(error)
        raise
    finally:
        metrics.running.dec()
        await source.aclose()
        if outcome == "done" and delta is not None:
            metrics.finished(delta, time.perf_counter() - started)
            heard.ended(waited)
            _note_prefill(services, delta, waited)
        elif outcome == "abandoned":
            metrics.abandoned.inc()


def _note_prefill(services: Services, last: TextDelta, waited: float) -> None:
    if last.prompt_tokens - last.cached_tokens >= LEAST_MEASURED:
        prefilled = services.compressor.prefilled(last.prompt_tokens, last.cached_tokens, waited)
        services.background.attempt(prefilled, "noting the time of a prefill")


def _note(services: Services, turn: Turn) -> None:
    """Have it kept what stands behind the answer that begins."""
    if services.lineage is not None and turn.user:
        memories = turn.dialogue.report()["memories"] if turn.dialogue else ()
        now = services.identity.now()
        noted = services.lineage.note_answer(turn.id, turn.user, turn.chosen.name, memories, now)
        services.background.attempt(noted, "noting what stands behind an answer")


def _joined(first: TextDelta, second: TextDelta) -> TextDelta:
    return replace(
        second,
        text=first.text + second.text,
        token_ids=first.token_ids + second.token_ids,
        logprobs=first.logprobs + second.logprobs,
    )
