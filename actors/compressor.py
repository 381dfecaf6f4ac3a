"""Holds the keep policy and the served model's way to count tokens; makes texts shorter. Knows no user."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from actors.compression.cost import Budget, CostModel, Plan
from actors.compression.counting import ModelCounter, ScriptedCounter, TokenCounter
from actors.compression.joint import gather
from actors.compression.known import Known
from actors.compression.policy import Policy
from actors.compression.shortening import Shortened, Shortener
from actors.messages import Compressed, Health, InvalidRequest, KeepScores, NotReady, TooLarge
from actors.models.store import ModelStore
from actors.models.tokenizer import check_text
from configs.schema import Settings

T = TypeVar("T")
SHORT_CHARACTERS = 2000
"""Texts up to this length are compressed at once, longer ones in a thread, which costs a millisecond."""
WARMING = "In 1815 the old harbour of the town was rebuilt, and the ships did not have to wait outside. " * 12
THREADS = 2
"""Long texts compressed at the same time; more wait."""


def load_shortener(settings: Settings) -> Shortener:
    """The policy and tokenizer that the settings name. Raises NotReady, NotFound, InvalidRequest."""
    path = settings.compression.policy
    policy = Policy.default() if path is None else Policy.load(path)
    return Shortener(policy, _counter(settings), settings.compression)


def _counter(settings: Settings) -> TokenCounter:
    if settings.engine.kind == "scripted":
        return ScriptedCounter()
    return ModelCounter(ModelStore(settings).resolve(settings.engine.model))


class Compressor:
    """Keeps the words that are worth their tokens, to an exact budget, and protected places whole.

    Where compressing would cost more than the prefill it saves, a text comes back as it is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shortener: Shortener | None = None
        self._cost = CostModel(settings.compression)
        self._known = Known()
        self._threads = ThreadPoolExecutor(THREADS, "compressor")

    async def start(self) -> None:
        """Load policy and tokenizer, unless compression is off. Raises NotReady, NotFound, InvalidRequest."""
        if self._shortener is None and self._settings.compression.enabled:
            shortener = await self._in_thread(partial(load_shortener, self._settings))
            await self._in_thread(partial(self._warm, shortener))
            self._shortener = shortener

    async def compress(
        self,
        text: str,
        budget: Budget = "auto",
        question: str | None = None,
        force: bool = False,
        cached_tokens: int = 0,
    ) -> Compressed:
        """A text at `budget` of its tokens, to within two hundredths of them where what is protected allows.

        A `question` makes the words that it asks for count more. `force` compresses even where it does not
        pay; `cached_tokens` of the text the engine has read before. Raises InvalidRequest (an empty text, a
        budget that is no share), TooLarge, and NotReady before `start` and after `close`.
        """
        self._check(text, budget)
        job = partial(self._compress, self._started(), text, budget, question, force, cached_tokens, None)
        return await self._run(job, len(text))

    async def shorten(
        self,
        texts: Sequence[str],
        stored: Sequence[KeepScores | None],
        budget: Budget = "auto",
        question: str | None = None,
        force: bool = False,
    ) -> list[Compressed]:
        """Each text by the keep-scores that were stored beside it: the policy does not run.

        Where there are none, or another policy's, they are computed, to the same result. What was shortened
        to a share before is remembered, so that a text keeps its words; with a `question`, to which its
        nearest sentences gain, it is cut anew. Raises InvalidRequest if scores are not of their text, and
        as `compress` does.
        """
        shortener = self._started()
        for text in texts:
            self._check(text, budget)
        job = partial(self._shorten, shortener, texts, stored, budget, question, force)
        return await self._run(job, sum(map(len, texts)))

    async def gather(
        self,
        texts: Sequence[str],
        stored: Sequence[KeepScores | None],
        question: str,
        budget: Budget = "auto",
        whole: int = 0,
        most: int | None = None,
    ) -> list[Compressed]:
        """What of several texts, best first, likeliest answers a question, in one room; empty where nothing.

        The room is `budget` of all their tokens, or where `whole` is given the tokens of so many of the first
        texts; never over `most`. Sentences stand or fall whole, but for one that fills the room: see
        actors.compression.joint. Where that would not pay, texts are whole or empty, best first. Raises as
        `shorten` does.
        """
        shortener = self._started()
        for text in texts:
            self._check(text, budget)
        job = partial(self._gather, shortener, texts, stored, question, budget, whole, most)
        return await self._run(job, sum(map(len, texts)))

    async def scores(self, texts: Sequence[str]) -> list[KeepScores]:
        """Keep-scores of each text, one byte a word, to be stored beside it and given to `shorten`.

        They hold for any budget and question. Raises NotReady, TooLarge.
        """
        shortener = self._started()
        for text in texts:
            self._check_length(text)
        job = partial(_scored, shortener, texts)
        return await self._run(job, sum(map(len, texts)))

    async def policy(self) -> str:
        """The identity of the policy that scores now. Raises NotReady."""
        return self._started().identity

    async def prefilled(self, prompt_tokens: int, cached_tokens: int, seconds: float) -> None:
        """Take note of a real request's time to its first token, to know what prefill costs.

        An engine that plays a script has no prefill, and is not measured.
        """
        if self._settings.engine.kind != "scripted":
            self._cost.prefilled(prompt_tokens, cached_tokens, seconds)

    async def plan(self, tokens: int, budget: Budget = "auto", cached_tokens: int = 0) -> Plan:
        """Whether a text of so many tokens would be compressed, and to which share."""
        return self._cost.plan(budget, tokens, cached_tokens)

    async def health(self) -> Health:
        """Whether it can compress now, or is off."""
        if not self._settings.compression.enabled:
            return Health(ok=True, detail="off (compression.enabled)")
        return Health(ok=self._shortener is not None, detail="" if self._shortener else "not started")

    async def close(self) -> None:
        """Free the policy."""
        self._shortener = None
        self._threads.shutdown(wait=False)

    def _shorten(
        self,
        shortener: Shortener,
        texts: Sequence[str],
        stored: Sequence[KeepScores | None],
        budget: Budget,
        question: str | None,
        force: bool,
    ) -> list[Compressed]:
        share = self._cost.budget_of(budget)
        found = []
        for text, keep in zip(texts, stored, strict=True):
            known = self._known.get(text, share, force) if question is None else None
            if known is None:
                if keep is None or keep.policy != shortener.identity or not keep.scores:
                    (keep,) = _scored(shortener, [text])
                known = self._compress(shortener, text, budget, question, force, 0, keep.scores)
                if not known.bypassed and question is None:
                    self._known.put(text, share, force, known)
            found.append(known)
        return found

    def _compress(
        self,
        shortener: Shortener,
        text: str,
        budget: Budget,
        question: str | None,
        force: bool,
        cached_tokens: int,
        stored: bytes | None,
    ) -> Compressed:
        before, computed_before = time.perf_counter(), time.thread_time()
        token_starts = shortener.counter.starts(text)
        tokens = len(token_starts)
        plan = self._cost.plan(budget, tokens, cached_tokens, force)
        if plan.bypass:
            self._cost.passed_by()
            return _whole(text, tokens, plan, time.perf_counter() - before)
        found = shortener.shorten(text, plan.budget, question, stored, token_starts)
        self._cost.compressed(tokens, time.thread_time() - computed_before)
        return _made(found, plan, time.perf_counter() - before)

    def _gather(
        self,
        shortener: Shortener,
        texts: Sequence[str],
        stored: Sequence[KeepScores | None],
        question: str,
        budget: Budget,
        whole: int,
        most: int | None,
    ) -> list[Compressed]:
        before, computed_before = time.perf_counter(), time.thread_time()
        tokens = [shortener.counter.count(text) for text in texts]
        plan = self._cost.plan(budget, sum(tokens))
        room = sum(tokens[:whole]) if whole else round((1 if plan.bypass else plan.budget) * sum(tokens))
        room = room if most is None else min(room, most)
        if plan.bypass:
            self._cost.passed_by()
        if plan.bypass or sum(tokens) <= room:
            return _fitting(texts, tokens, room, plan)
        known = [
            keep.scores if keep is not None and keep.policy == shortener.identity and keep.scores else None
            for keep in stored
        ]
        parts = gather(shortener, texts, known, question, room)
        self._cost.compressed(sum(tokens), time.thread_time() - computed_before)
        seconds = (time.perf_counter() - before) / max(1, len(texts))
        return [
            Compressed(
                text=part.text,
                kept=part.kept,
                tokens_before=part.tokens_before,
                tokens_after=part.tokens_after,
                budget=plan.budget,
                protected=part.protected,
                seconds=seconds,
            )
            for part in parts
        ]

    def _warm(self, shortener: Shortener) -> None:
        """Compress a text three times: the first compiles patterns, the others are measured."""
        shortener.shorten(WARMING, 0.5)
        for _ in range(2):
            self._compress(shortener, WARMING, 0.5, None, True, 0, None)

    def _check(self, text: str, budget: Budget) -> None:
        if not text.strip():
            raise InvalidRequest("text cannot be empty.", "text", "invalid_value")
        if budget != "auto" and not 0 < budget <= 1:
            raise InvalidRequest(
                f"budget is {budget:g}; it is a share of the tokens, above 0 and at most 1, or 'auto'.",
                "budget",
                "invalid_value",
            )
        self._check_length(text)
        check_text(text, "text")

    def _check_length(self, text: str) -> None:
        most = self._settings.compression.max_characters
        if len(text) > most:
            raise TooLarge(
                f"The text has {len(text)} characters, more than {most} (compression.max_characters).", "text"
            )

    def _started(self) -> Shortener:
        if self._shortener is not None:
            return self._shortener
        if not self._settings.compression.enabled:
            raise InvalidRequest(
                "Compression is off on this server (compression.enabled).", "compression", "not_available"
            )
        raise NotReady("the compressor is not started, or has stopped")

    async def _run(self, job: Callable[[], T], characters: int) -> T:
        return job() if characters <= SHORT_CHARACTERS else await self._in_thread(job)

    async def _in_thread(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, job)


def _scored(shortener: Shortener, texts: Sequence[str]) -> list[KeepScores]:
    return [KeepScores(shortener.identity, shortener.stored_scores(text)) for text in texts]


def _fitting(texts: Sequence[str], tokens: Sequence[int], room: int, plan: Plan) -> list[Compressed]:
    """Whole texts, best first, as many as fit; the others are empty."""
    found = []
    for text, count in zip(texts, tokens, strict=True):
        whole = _whole(text, count, plan, 0.0)
        fits = count <= room
        room -= count if fits else 0
        found.append(whole if fits else replace(whole, text="", kept=(), tokens_after=0))
    return found


def _whole(text: str, tokens: int, plan: Plan, seconds: float) -> Compressed:
    return Compressed(
        text=text,
        kept=((0, len(text)),),
        tokens_before=tokens,
        tokens_after=tokens,
        budget=plan.budget,
        bypassed=True,
        why=plan.why,
        seconds=seconds,
    )


def _made(found: Shortened, plan: Plan, seconds: float) -> Compressed:
    return Compressed(
        text=found.text,
        kept=found.kept,
        tokens_before=found.tokens_before,
        tokens_after=found.tokens_after,
        budget=plan.budget,
        over_budget=found.over_budget,
        protected=len(found.protected),
        seconds=seconds,
    )
