"""One shard of a model: some of its layers, their keys and values, their adapters. Knows no other shard.

Shapes: T tokens of a step's packed row, W width of the model.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from actors.messages import EngineFailed, Gone, Health, NotReady, Pick, Piece, ShardFacts, Span, Step
from actors.spawn import node_id
from configs.schema import EngineSettings

if TYPE_CHECKING:
    import torch

    from actors.models.decoder import Decoder
    from actors.models.lora import Adapters

T = TypeVar("T")
Output = np.ndarray | tuple[Pick, ...]

SCORED_ROWS = 128
"""Rows whose logits are computed at once when a text is scored: each takes 4 bytes a vocabulary's token."""


class Shard:
    """Computes steps strictly in order of their numbers, on a thread of its own."""

    def __init__(self, settings: EngineSettings, path: Path, span: Span, slots: int) -> None:
        self._settings = settings
        self._path = path
        self._span = span
        self._slots = slots
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"shard-{span.first}")
        self._model: tuple[Decoder, Adapters] | None = None
        self._epoch = -1
        self._next = 0
        self._broken: tuple[int, str] | None = None
        """The epoch in which a step failed, and why: nothing after it can be computed."""
        self._turns: dict[int, asyncio.Future[None]] = {}

    async def start(self) -> None:
        """Load the weights. Raises NotReady if the model cannot be run."""
        await self._on_thread(self._load)

    async def facts(self) -> ShardFacts:
        """What it holds and where. Raises NotReady before `start`."""
        return await self._on_thread(self._facts)

    async def begin(self, epoch: int) -> None:
        """The next step is number 0 of `epoch`; steps of the epoch before that still wait will fail."""
        self._fail_waiting(f"epoch {epoch} has begun")
        self._epoch, self._next, self._broken = epoch, 0, None

    async def forward(self, step: Step, hidden: np.ndarray | None) -> Output:
        """Compute a step once all before it are computed; one that comes early waits for its turn.

        `hidden` is what the shard before gave, [T, W] (16-bit formats as int16), None on the first shard.
        Returns the same for the next shard, or what came out for each piece.
        Raises Gone for a step of another epoch, EngineFailed for one of the past or after one that failed.
        """
        self._check(step)
        while step.number != self._next:
            turn = self._turns[step.number] = asyncio.get_running_loop().create_future()
            try:
                await turn
            except asyncio.CancelledError:
                self._fail_waiting(f"step {step.number} was given up")
                raise
            self._check(step)
        self._next += 1
        done = self._submit(partial(self._compute, step, hidden))
        following = self._turns.pop(self._next, None)
        if following is not None:
            following.set_result(None)
        try:
            return await asyncio.shield(done)
        finally:
            if self._failure:
                self._fail_waiting(self._failure)

    async def load_adapter(self, name: str, path: Path) -> None:
        """Load a LoRA adapter; a name in use gets the new weights. Raises InvalidRequest, NotFound."""
        await self._on_thread(lambda: self._loaded()[1].load(name, path))

    async def unload_adapter(self, name: str) -> None:
        """Remove an adapter. Raises NotFound."""
        await self._on_thread(lambda: self._loaded()[1].unload(name))

    async def merge_adapter(self, name: str | None) -> None:
        """Put an adapter into the weights for everybody, or with None take it out again. Raises NotFound."""
        await self._on_thread(lambda: self._loaded()[1].merge(name))

    async def health(self) -> Health:
        """Well once loaded and while no step has failed in this epoch."""
        detail = self._failure or ("" if self._model else "the model is not loaded")
        return Health(ok=not detail, detail=detail, waiting=len(self._turns))

    async def close(self) -> None:
        """Let the step that is being computed end, fail all others, and free the memory."""
        self._fail_waiting("the shard is closed")
        await asyncio.to_thread(partial(self._thread.shutdown, cancel_futures=True))
        self._model = None

    # --- on the event loop ---

    def _check(self, step: Step) -> None:
        if step.epoch != self._epoch:
            raise Gone(f"step {step.number} is of epoch {step.epoch}, the shard is at {self._epoch}")
        if self._failure:
            raise EngineFailed(self._failure)
        if step.number < self._next or step.number in self._turns:
            raise EngineFailed(f"step {step.number} was sent twice")

    @property
    def _failure(self) -> str:
        broken = self._broken
        return broken[1] if broken is not None and broken[0] == self._epoch else ""

    def _fail_waiting(self, why: str) -> None:
        """Fail the steps that wait for their turn, and all that come later in this epoch."""
        if not self._failure:
            self._broken = (self._epoch, why)
        waiting, self._turns = self._turns, {}
        for turn in waiting.values():
            if not turn.done():
                turn.set_exception(EngineFailed(why))

    def _submit(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        try:
            return asyncio.get_running_loop().run_in_executor(self._thread, call)
        except RuntimeError as error:
            raise EngineFailed("the shard is closed") from error

    async def _on_thread(self, call: Callable[[], T]) -> T:
        return await self._submit(call)

    # --- on the shard's thread ---

    def _load(self) -> None:
        import torch

        from actors.engines.device import pick_device, pick_dtype
        from actors.models.decoder import Decoder
        from actors.models.lora import Adapters

        settings = self._settings
        torch.set_num_threads(settings.threads)
        device = pick_device(settings.device)
        dtype = pick_dtype(settings.dtype, device)
        quantize = settings.quantize or "none"
        with torch.inference_mode():
            decoder = Decoder(self._path, self._span, self._slots, device, dtype, quantize)
            self._model = decoder, Adapters(decoder)

    def _loaded(self) -> "tuple[Decoder, Adapters]":
        if self._model is None:
            raise NotReady(f"the shard of layers {self._span.first} to {self._span.end - 1} is not loaded")
        return self._model

    def _facts(self) -> ShardFacts:
        decoder, adapters = self._loaded()
        return ShardFacts(
            span=self._span,
            weight_bytes=decoder.weight_bytes,
            cache_bytes=decoder.pool.bytes,
            node=node_id(),
            pid=os.getpid(),
            adapters=adapters.names,
            merged=adapters.merged,
        )

    def _compute(self, step: Step, hidden: np.ndarray | None) -> Output:
        import torch

        if step.epoch != self._epoch:
            raise Gone(f"step {step.number} is of epoch {step.epoch}, which is over")
        if self._failure:
            raise EngineFailed(self._failure)
        done = False
        try:
            with torch.inference_mode():
                output = self._pass(step, hidden)
            done = True
            return output
        except (RuntimeError, IndexError, ValueError) as error:
            raise EngineFailed(f"step {step.number} failed: {error}") from error
        finally:
            if not done:
                self._broken = (step.epoch, f"step {step.number} failed on {self._span}")

    def _pass(self, step: Step, hidden: np.ndarray | None) -> Output:
        from actors.models.paged import Row

        decoder, adapters = self._loaded()
        for shift in step.shifts:
            decoder.shift(shift.runs, shift.by)
        if not step.pieces:
            return () if self._span.predicts else np.empty((0, decoder.shape.width), np.float32)
        adapters.use(step.pieces)
        row = Row(step.pieces, decoder.device)
        if self._span.embeds:
            x_TW = decoder.embed([token for piece in step.pieces for token in piece.tokens])
        else:
            assert hidden is not None
            x_TW = _from_numpy(hidden, decoder)
        x_TW = decoder(x_TW, row)
        return _picks(decoder, step.pieces, x_TW) if self._span.predicts else _to_numpy(x_TW)


def _to_numpy(x_TW: "torch.Tensor") -> np.ndarray:
    import torch

    plain = x_TW.cpu().contiguous()
    return (plain if plain.dtype == torch.float32 else plain.view(torch.int16)).numpy()


def _from_numpy(hidden: np.ndarray, decoder: "Decoder") -> "torch.Tensor":
    import torch

    tensor = torch.from_numpy(hidden if hidden.flags.writeable else hidden.copy())
    return (tensor if tensor.dtype == torch.float32 else tensor.view(decoder.dtype)).to(decoder.device)


def _picks(decoder: "Decoder", pieces: Sequence[Piece], x_TW: "torch.Tensor") -> tuple[Pick, ...]:
    """What each piece wants; the head computes only the rows that it needs."""
    picks: dict[int, Pick] = {}
    last: dict[int, int] = {}
    end = 0
    for number, piece in enumerate(pieces):
        start, end = end, end + len(piece.tokens)
        if piece.want in ("token", "logits"):
            last[number] = end - 1
        elif piece.want == "scores":
            picks[number] = Pick(scores=_scores(decoder, piece.targets, x_TW[start:end]))
    if last:
        logits_RV = decoder.logits(x_TW[list(last.values())])
        tokens = logits_RV.argmax(-1).tolist()
        for number, token, logits_V in zip(last, tokens, logits_RV, strict=True):
            wants_all = pieces[number].want == "logits"
            picks[number] = Pick(logits=logits_V.cpu().numpy().copy()) if wants_all else Pick(token=token)
    return tuple(picks.get(number, Pick()) for number in range(len(pieces)))


def _scores(decoder: "Decoder", targets: Sequence[int], x_SW: "torch.Tensor") -> tuple[float, ...]:
    """Log probability of the token that follows each row."""
    import torch

    scores: list[float] = []
    for first in range(0, len(targets), SCORED_ROWS):
        ids = torch.tensor(targets[first : first + SCORED_ROWS], device=x_SW.device)
        logits_RV = decoder.logits(x_SW[first : first + len(ids)])
        chosen = logits_RV.gather(1, ids[:, None])[:, 0] - logits_RV.logsumexp(-1)
        scores += chosen.tolist()
    return tuple(scores)
