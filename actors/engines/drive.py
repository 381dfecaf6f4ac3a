"""Keeps the shards busy: plans steps, lands them, begins again when a shard was lost. Knows no inbox."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from actors.engines.merging import Merging
from actors.engines.sampler import pick
from actors.engines.schedule import Plan, Request, Schedule, Stretch, finish_of
from actors.messages import EngineFailed, Gone, PalError, Pick, Step, TokenDelta, TokenLogprob

if TYPE_CHECKING:
    from actors.engines.chain import Chain
    from actors.shard import Shard

log = logging.getLogger(__name__)

Emit = Callable[[Request, TokenDelta | PalError], None]


@dataclass(slots=True)
class Flight:
    """A step on its way through the shards."""

    plan: Plan
    picks: asyncio.Task[tuple[Pick, ...]]


@dataclass(slots=True)
class Errand:
    """A call to be made while no step is under way and no request uses the adapter `leaving`."""

    call: Callable[[], Awaitable[object]]
    leaving: str | None = None
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Driver:
    """One loop over a schedule and a chain. `emit` is told of each delta, in order, on the event loop."""

    def __init__(
        self, schedule: Schedule, chain: "Chain", merging: Merging, ends: Collection[int], emit: Emit
    ) -> None:
        self.schedule = schedule
        self._chain = chain
        self._merging = merging
        self._ends = ends
        self._emit = emit
        self._lanes = len(chain.shards)
        self._adapters: dict[str, Path] = {}
        self._errands: deque[Errand] = deque()
        self._flights: deque[Flight] = deque()
        self._woken = asyncio.Event()
        self._closing = False
        self._epoch = self._number = 0
        self.detail = ""
        """What it is waiting for, if it is."""

    def add(self, request: Request) -> None:
        """Queue a request. Raises InvalidRequest if it can never fit."""
        self.schedule.add(request)
        self._woken.set()

    def wake(self) -> None:
        """Look again: a request was cancelled."""
        self._woken.set()

    async def load_adapter(self, name: str, path: Path) -> None:
        """Load an adapter on every shard between two steps, or on none."""
        await self._do(Errand(lambda: self._load(name, path)))

    async def unload_adapter(self, name: str) -> None:
        """Remove an adapter from every shard once no request uses it."""
        await self._do(Errand(lambda: self._unload(name), leaving=name))

    def close(self) -> None:
        """Let `run` end after the steps that are under way."""
        self._closing = True
        self._woken.set()

    async def run(self) -> None:
        """Until closed. Raises what a shard raised, unless it merely died."""
        try:
            while not self._closing:
                await self._run_errands()
                self._take_off()
                if not self._flights:
                    await self._woken.wait()
                    self._woken.clear()
                elif await self._first_is_down():
                    await self._land(self._flights.popleft())
        finally:
            await self._settle()

    # --- steps ---

    def _take_off(self) -> None:
        while len(self._flights) < self._lanes and not self._due():
            plan = self.schedule.plan()
            if plan is None:
                return
            step = Step(epoch=self._epoch, number=self._number, pieces=plan.pieces, shifts=plan.shifts)
            self._number += 1
            self._flights.append(Flight(plan, asyncio.create_task(self._chain.forward(step))))

    async def _first_is_down(self) -> bool:
        """Whether the oldest step has come out; otherwise something else woke the loop."""
        first = self._flights[0].picks
        if len(self._flights) < self._lanes and not first.done():
            waker = asyncio.ensure_future(self._woken.wait())
            await asyncio.wait((first, waker), return_when=asyncio.FIRST_COMPLETED)
            waker.cancel()
            self._woken.clear()
            return first.done()
        await asyncio.wait((first,))
        return True

    async def _land(self, flight: Flight) -> None:
        try:
            picks = flight.picks.result()
        except Gone as error:
            await self._begin_again(error)
            return
        self._merging.step(self._adapters_in_use())
        valid = self.schedule.land(flight.plan)
        pairs = [
            (stretch, came)
            for stretch, came in zip(flight.plan.stretches, picks, strict=True)
            if stretch in valid
        ]
        drawn = await self._draw(pairs)
        for (stretch, came), (token, logprob) in zip(pairs, drawn, strict=True):
            self._advance(stretch, came, token, logprob)

    async def _draw(
        self, pairs: Sequence[tuple[Stretch, Pick]]
    ) -> Sequence[tuple[int | None, TokenLogprob | None]]:
        """Each piece's next token; where logits must be sampled from, in a thread."""

        def all_of_them() -> list[tuple[int | None, TokenLogprob | None]]:
            return [
                (came.token, None) if came.logits is None else pick(stretch.request, _tensor(came.logits))
                for stretch, came in pairs
            ]

        if any(came.logits is not None for _, came in pairs):
            return await asyncio.to_thread(all_of_them)
        return all_of_them()

    def _advance(self, stretch: Stretch, came: Pick, token: int | None, logprob: TokenLogprob | None) -> None:
        request = stretch.request
        if request.scoring:
            targets = request.tokens[stretch.start + 1 : stretch.end + 1]
            request.scores += map(TokenLogprob, targets, came.scores)
            if stretch.end == len(request.tokens):
                scores = tuple(request.scores)
                self._finish(request, TokenDelta(token_ids=(), logprobs=scores, finish_reason="stop"))
        elif token is not None:
            self._extend(request, token, logprob)

    def _extend(self, request: Request, token: int, logprob: TokenLogprob | None) -> None:
        finish = finish_of(request, token, self._ends)
        if finish == "stop":
            self._finish(
                request, TokenDelta(token_ids=(), finish_reason="stop", cached_tokens=request.cached)
            )
            return
        if request.matcher is not None:
            request.matcher.consume_token(token)
            if request.matcher.is_error():
                self._finish(request, EngineFailed(f"the grammar failed: {request.matcher.get_error()}"))
                return
            finish = "stop" if request.matcher.is_stopped() else finish
        request.tokens.append(token)
        request.counts[token] += 1
        delta = TokenDelta(
            token_ids=(token,),
            logprobs=(logprob,) if logprob else (),
            finish_reason=finish,
            cached_tokens=request.cached,
        )
        if finish:
            self._finish(request, delta)
        else:
            self._emit(request, delta)

    def _finish(self, request: Request, delta: TokenDelta | PalError) -> None:
        self.schedule.remove(request)
        self._emit(request, delta)

    # --- losses ---

    async def _begin_again(self, error: Gone) -> None:
        """A shard was lost: wait for it, give it its adapters, and compute every sequence's cache anew.

        The new epoch comes first: until it begins, a living shard may wait for a step that was lost.
        """
        log.warning("a shard was lost; all sequences are read again: %s", error)
        self.detail = "waiting for a shard that is being restarted"
        while True:
            self._epoch += 1
            self._number = 0
            try:
                await self._chain.begin(self._epoch)
                await self._settle()
                self.schedule.reset()
                await self._restore()
            except Gone as again:
                log.warning("lost again: %s", again)
            else:
                break
        self.detail = ""

    async def _restore(self) -> None:
        for name, path in self._adapters.items():
            await self._chain.each(lambda shard, name=name, path=path: shard.load_adapter(name, path))  # type: ignore[misc]
        await self._chain.each(lambda shard: shard.merge_adapter(self._merging.merged))

    async def _settle(self) -> None:
        """Wait until no step is under way; what they say no longer counts."""
        await asyncio.gather(*(flight.picks for flight in self._flights), return_exceptions=True)
        self._flights.clear()

    # --- errands: what must not happen while a step is under way ---

    async def _do(self, errand: Errand) -> None:
        self._errands.append(errand)
        self._woken.set()
        await errand.done

    def _due(self) -> bool:
        """Whether steps must wait for an errand."""
        in_use = self._adapters_in_use()
        if self._merging.wanted(in_use) != self._merging.merged:
            return True
        return any(errand.leaving is None or errand.leaving not in in_use for errand in self._errands)

    async def _run_errands(self) -> None:
        if self._flights or not self._due():
            return
        try:
            await self._merge_if_wanted()
            for errand in tuple(self._errands):
                if errand.leaving is None or errand.leaving not in self._adapters_in_use():
                    await self._run_errand(errand)
                    self._errands.remove(errand)
        except Gone as error:
            await self._begin_again(error)

    async def _run_errand(self, errand: Errand) -> None:
        try:
            await errand.call()
        except Gone:
            raise
        except PalError as error:
            outcome: PalError | None = error
        else:
            outcome = None
        if errand.done.cancelled():
            return
        if outcome is not None:
            errand.done.set_exception(outcome)
        else:
            errand.done.set_result(None)

    async def _merge_if_wanted(self) -> None:
        wanted = self._merging.wanted(self._adapters_in_use())
        if wanted != self._merging.merged:
            await self._chain.each(lambda shard: shard.merge_adapter(wanted))
            self._merging.became(wanted)

    async def _load(self, name: str, path: Path) -> None:
        try:
            await self._chain.each(lambda shard: shard.load_adapter(name, path))
        except Gone:
            raise
        except PalError:
            await self._chain.each(lambda shard: _let_go(shard, name))
            raise
        self._adapters[name] = path

    async def _unload(self, name: str) -> None:
        if self._merging.merged == name:
            await self._chain.each(lambda shard: shard.merge_adapter(None))
            self._merging.became(None)
        await self._chain.each(lambda shard: shard.unload_adapter(name))
        self.schedule.forget(name)
        del self._adapters[name]

    def _adapters_in_use(self) -> set[str | None]:
        return {one.adapter for one in (*self.schedule.running, *self.schedule.waiting) if not one.cancelled}


async def _let_go(shard: "Shard", name: str) -> None:
    """Unload an adapter where it is loaded."""
    if name in (await shard.facts()).adapters:
        await shard.unload_adapter(name)


def _tensor(logits: np.ndarray[tuple[int], np.dtype[np.float32]]) -> torch.Tensor:
    """Sampled from, and changed only after a copy: what came over Ray cannot be written to."""
    return torch.from_numpy(logits if logits.flags.writeable else logits.copy())
