"""The transformers engine: one thread computes a continuous batch, requests join and leave between steps."""

import asyncio
import queue
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch

from actors.engines.batch import Batch, Request, Stretch, finish_of
from actors.engines.grammar import Grammars
from actors.engines.runner import Runner
from actors.engines.sampler import pick
from actors.messages import (
    Capabilities,
    EngineFailed,
    Health,
    InvalidRequest,
    NotFound,
    PalError,
    Sampling,
    TokenDelta,
    TokenLogprob,
)
from actors.models.tokenizer import ModelTokenizer, end_ids
from configs.schema import EngineSettings

STEP_TOKENS = 512
"""Tokens computed in one step: longer prompts are read in several, between which other requests go on."""

Command = Callable[[], None]
Inbox = asyncio.Queue[TokenDelta | PalError]


class TorchEngine:
    """Generates with a transformers model. The event loop only sends commands and receives deltas."""

    def __init__(
        self, settings: EngineSettings, path: Path, tokenizer: ModelTokenizer, runner: Runner
    ) -> None:
        self._settings = settings
        self._path = path
        self._tokenizer = tokenizer
        self._runner = runner
        self._ends = end_ids(path, tokenizer)
        cache_tokens = int(settings.kv_cache_gib * (1 << 30)) // runner.cache_bytes
        self._batch = Batch(settings.max_sequences, cache_tokens, STEP_TOKENS)
        self._adapters: dict[str, Path] = {}
        self._leaving: dict[str, Future[None]] = {}
        self._grammars: Grammars | None = None
        self._failure: str | None = None
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._inboxes: dict[Request, Inbox] = {}
        self._owed: set[Future[None]] = set()
        self._outbox: list[tuple[Request, TokenDelta | PalError]] = []
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="torch-engine")
        self._worker = self._thread.submit(self._work)
        self._worker.add_done_callback(self._ended)

    @classmethod
    async def create(cls, settings: EngineSettings, path: Path, tokenizer: ModelTokenizer) -> "TorchEngine":
        """Load the model, without blocking the event loop. Raises NotReady if it cannot be run."""
        return cls(settings, path, tokenizer, await asyncio.to_thread(Runner, settings, path))

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
            request.cancelled = True
            self._inboxes.pop(request, None)

    async def score(self, tokens: Sequence[int], adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """Log probability of each token after the first, computed within the batch."""
        self._check(adapter)
        request = Request(list(tokens), Sampling(max_tokens=1), adapter, scoring=True)
        inbox = self._submit(request)
        try:
            delta = await inbox.get()
        finally:
            request.cancelled = True
            self._inboxes.pop(request, None)
        if isinstance(delta, PalError):
            raise delta
        return delta.logprobs

    async def load_adapter(self, name: str, path: Path) -> None:
        """Load a LoRA adapter between two steps. A name in use is let go by its requests first."""
        if self._adapters.get(name) == path:
            return
        if name in self._adapters:
            await self.unload_adapter(name)
        await self._on_thread(partial(self._runner.load_adapter, name, path))
        self._adapters[name] = path

    async def unload_adapter(self, name: str) -> None:
        """Remove an adapter once no request uses it. Raises NotFound."""
        self._check(name)
        del self._adapters[name]
        done = self._expected()
        self._send(partial(self._leaving.__setitem__, name, done))
        await asyncio.wrap_future(done)

    def capabilities(self) -> Capabilities:
        """What this engine can do with its model."""
        longest = self._runner.max_context
        return Capabilities(
            engine="torch",
            model=self._path.name,
            max_context=min(self._settings.max_context or longest, longest),
            json_schema=True,
            logprobs=True,
            adapters=True,
        )

    async def health(self) -> Health:
        """Well while the thread runs."""
        running, waiting = len(self._batch.running), len(self._batch.waiting)
        return Health(ok=self._failure is None, detail=self._failure or "", running=running, waiting=waiting)

    async def close(self) -> None:
        """Stop the thread after its current step; running requests end with EngineFailed."""
        self._commands.put(None)
        await asyncio.to_thread(self._thread.shutdown)

    # --- on the event loop ---

    def _check(self, adapter: str | None) -> None:
        if self._failure is not None:
            raise EngineFailed(self._failure)
        if adapter is not None and adapter not in self._adapters:
            raise NotFound(f"adapter {adapter!r} is not loaded", param="model")

    def _submit(self, request: Request) -> Inbox:
        inbox: Inbox = asyncio.Queue()
        self._check(request.adapter)
        ids = [*request.tokens, *request.sampling.logit_bias]
        if not 0 <= min(ids) <= max(ids) < self._runner.vocabulary:
            raise InvalidRequest(f"a token id is outside the model's 0..{self._runner.vocabulary - 1}")
        self._inboxes[request] = inbox
        self._send(partial(self._batch.add, request))
        return inbox

    def _send(self, command: Command) -> None:
        self._commands.put(command)

    async def _on_thread(self, call: Callable[[], None]) -> None:
        """Run a call between two steps and wait for it; its PalError is raised here."""
        self._check(None)
        done = self._expected()
        self._send(partial(_settle, done, call))
        await asyncio.wrap_future(done)

    def _grammar(self, json_schema: str) -> object:
        if self._grammars is None:
            self._grammars = Grammars(self._tokenizer.backend.to_str(), self._runner.vocabulary, self._ends)
        return self._grammars.matcher(json_schema)

    def _deliver(self, outbox: list[tuple[Request, TokenDelta | PalError]]) -> None:
        for request, delta in outbox:
            inbox = self._inboxes.get(request)
            if inbox is not None:
                inbox.put_nowait(delta)

    def _expected(self) -> Future[None]:
        """A result that the thread owes; should the thread end first, it fails."""
        done: Future[None] = Future()
        self._owed.add(done)
        done.add_done_callback(self._owed.discard)
        return done

    def _fail_all(self) -> None:
        for inbox in self._inboxes.values():
            inbox.put_nowait(EngineFailed(self._failure or "the engine is closed"))
        for done in tuple(self._owed):
            done.set_exception(EngineFailed(self._failure or "the engine is closed"))

    # --- on the engine's thread ---

    def _work(self) -> None:
        """Take commands and steps in turn until told to stop; sleep while there is nothing to do."""
        while True:
            idle = not self._batch.running and not self._batch.waiting
            while idle or not self._commands.empty():
                command = self._commands.get()
                if command is None:
                    return
                command()
                idle = False
            self._step()
            self._let_adapters_go()
            if self._outbox:
                self._loop.call_soon_threadsafe(self._deliver, self._outbox)
                self._outbox = []

    def _step(self) -> None:
        self._batch.admit()
        stretches = self._batch.plan()
        for adapter in dict.fromkeys(one.request.adapter for one in stretches):
            group = [one for one in stretches if one.request.adapter == adapter]
            logits_RV = self._runner.forward(group, adapter)
            row = 0
            for stretch in group:
                rows = stretch.end - stretch.start if stretch.request.scoring else 1
                self._advance(stretch, logits_RV[row : row + rows])
                row += rows

    def _advance(self, stretch: Stretch, logits_RV: torch.Tensor) -> None:
        request = stretch.request
        request.seen = stretch.end
        if request.scoring:
            request.scores += _scores(request.tokens[stretch.start + 1 : stretch.end + 1], logits_RV)
            if stretch.end == len(request.tokens):
                self._finish(
                    request, TokenDelta(token_ids=(), logprobs=tuple(request.scores), finish_reason="stop")
                )
        elif stretch.is_last:
            self._extend(request, logits_RV[0])

    def _extend(self, request: Request, logits_V: torch.Tensor) -> None:
        """Pick the request's next token and tell who waits for it."""
        token, logprob = pick(request, logits_V)
        finish = finish_of(request, token, self._ends)
        if finish == "stop":
            self._finish(request, TokenDelta(token_ids=(), finish_reason="stop"))
            return
        if request.matcher is not None:
            request.matcher.consume_token(token)
            if request.matcher.is_error():
                self._finish(request, EngineFailed(f"the grammar failed: {request.matcher.get_error()}"))
                return
            finish = "stop" if request.matcher.is_stopped() else finish
        request.tokens.append(token)
        request.counts[token] += 1
        delta = TokenDelta(token_ids=(token,), logprobs=(logprob,) if logprob else (), finish_reason=finish)
        if finish:
            self._finish(request, delta)
        else:
            self._outbox.append((request, delta))

    def _finish(self, request: Request, delta: TokenDelta | PalError) -> None:
        self._batch.remove(request)
        self._outbox.append((request, delta))

    def _let_adapters_go(self) -> None:
        for name in [name for name in self._leaving if not self._batch.users_of(name)]:
            _settle(self._leaving.pop(name), partial(self._runner.unload_adapter, name))

    def _ended(self, worker: Future[None]) -> None:
        """The thread stopped: by `close`, or because a step failed, which nothing can go on from."""
        error = worker.exception()
        self._failure = "the engine is closed" if error is None else f"the engine failed: {error}"
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._fail_all)


def _settle(done: Future[None], call: Callable[[], None]) -> None:
    try:
        call()
    except PalError as error:
        done.set_exception(error)
    else:
        done.set_result(None)


def _scores(targets: Sequence[int], logits_RV: torch.Tensor) -> list[TokenLogprob]:
    """Log probabilities of the tokens that follow each row; the last row may have none."""
    ids = torch.tensor(targets, device=logits_RV.device, dtype=torch.long)
    rows = logits_RV[: len(targets)]
    logprobs = rows.gather(1, ids[:, None])[:, 0] - rows.logsumexp(-1)
    return [TokenLogprob(*pair) for pair in zip(targets, logprobs.tolist(), strict=True)]
