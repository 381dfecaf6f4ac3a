"""Who computes what in the next step, and where its keys and values go. Decides only; knows no torch."""

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from actors.engines.blocks import Blocks, grow, root, runs_of, shortened
from actors.messages import (
    ContextLengthExceeded,
    FinishReason,
    InvalidRequest,
    Piece,
    Run,
    Sampling,
    Shift,
    TokenLogprob,
)

PATIENCE = 8
"""Plans after which a request that found no room is compared with the prefix cache again."""


@dataclass(eq=False, repr=False, slots=True)
class Request:
    """One request: its tokens so far, how many of them are computed, and where their keys and values are."""

    tokens: list[int]
    sampling: Sampling
    adapter: str | None = None
    scoring: bool = False
    """Report the log probability of the prompt's own tokens; generate none."""
    matcher: Any = None
    """The grammar's state where the output must satisfy a schema."""
    salt: str = ""
    """Requests with the same one may share keys and values; empty: the adapter's name."""
    planned: int = 0
    """Tokens whose keys and values are computed or on their way."""
    landed: int = 0
    """Tokens whose keys and values are computed."""
    dropped: int = 0
    """Planned tokens whose keys and values are no longer kept, because they left the window."""
    cached: int = 0
    """Prompt tokens that were computed for an earlier request."""
    round: int = 0
    """How often it had to begin again: what was asked for in an earlier round no longer counts."""
    turn: int = 0
    """Grows with each stretch that is planned of anyone: whoever has the smallest has waited longest."""
    blocks: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    """The places of `blocks`."""
    published: int = 0
    """How many of its blocks the prefix cache was told of."""
    key: bytes = b""
    """The last of these in the prefix cache."""
    prompt_length: int = field(init=False)
    random: Random = field(init=False)
    counts: Counter[int] = field(default_factory=Counter)
    scores: list[TokenLogprob] = field(default_factory=list)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.prompt_length = len(self.tokens)
        self.random = Random(self.sampling.seed)
        self.salt = self.salt or self.adapter or ""

    @property
    def generated(self) -> int:
        """Tokens generated so far."""
        return len(self.tokens) - self.prompt_length

    @property
    def longest(self) -> int:
        """Tokens that it may come to have."""
        return self.prompt_length + (0 if self.scoring else self.sampling.max_tokens or 1)

    @property
    def ready(self) -> bool:
        """Whether it has tokens that are not planned yet."""
        return self.planned < len(self.tokens)

    @property
    def generating(self) -> bool:
        """Whether its prompt is planned, but for one token at most."""
        return not self.scoring and self.planned >= len(self.tokens) - 1

    def begin_again(self) -> None:
        """Nothing of it is computed any more, and its blocks are no longer its own."""
        self.planned = self.landed = self.dropped = self.published = 0
        self.round += 1
        self.blocks, self.runs, self.key = [], [], b""
        self.scores.clear()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens `start` to `end` of a request, to be computed in one step: piece number `place` of it."""

    request: Request
    start: int
    end: int
    round: int
    place: int

    @property
    def is_last(self) -> bool:
        """Whether the request's next token can be picked after this stretch."""
        return self.end == len(self.request.tokens) and not self.request.scoring


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One step: `pieces` to compute, one a stretch, equal adapters side by side; `shifts` come before."""

    stretches: tuple[Stretch, ...]
    pieces: tuple[Piece, ...]
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True)
class KvPolicy:
    """Keep the first `sinks` tokens of a sequence and the most recent ones, never more than `window`."""

    window: int
    sinks: int


class Window:
    """A KvPolicy in whole blocks: when `blocks` are full, `lot` of them go, after the first `sinks`.

    So what a token attends to follows from its place in the sequence alone, whoever else is computed.
    """

    def __init__(self, policy: KvPolicy, size: int) -> None:
        self.blocks = policy.window // size
        self.sinks = -(-policy.sinks // size)
        self.lot = max(1, -(-self.blocks // 8))
        if self.sinks + self.lot >= self.blocks:
            raise InvalidRequest(
                f"engine.window of {policy.window} leaves no room after {policy.sinks} engine.sink_tokens: "
                f"set it to {(2 * self.sinks + 2) * size} or more"
            )


Draft = dict[Request, tuple[int, Shift | None]]
"""The requests of a plan in the making: where each one's stretch starts, and what moves before it."""


class Schedule:
    """Running requests in the order they came, those that wait, and the blocks they share.

    When blocks run short, the request that came last gives its own up and waits to begin again. So the first
    one always gets on, and everyone's tokens are the same as if it were alone.
    """

    def __init__(
        self,
        blocks: Blocks,
        max_sequences: int,
        step_tokens: int,
        lanes: int = 1,
        policy: KvPolicy | None = None,
        prefix_cache: bool = True,
    ) -> None:
        self._blocks = blocks
        self._max_sequences = max_sequences
        self._step_tokens = step_tokens
        self._lanes = lanes
        self._window = Window(policy, blocks.size) if policy else None
        self._prefix_cache = prefix_cache and policy is None
        self._plans = self._turns = 0
        self._flying: list[Plan] = []
        self._turned_away: tuple[Request | None, int] = (None, 0)
        self.running: list[Request] = []
        self.waiting: deque[Request] = deque()

    @property
    def capacity(self) -> int:
        """Tokens of keys and values that fit the pool."""
        return self._blocks.count * self._blocks.size

    def check(self, request: Request) -> None:
        """Raises InvalidRequest for no tokens, ContextLengthExceeded for what could never be computed."""
        if not request.tokens:
            raise InvalidRequest("the prompt has no tokens")
        if self._blocks_for(request.longest) > self._blocks.count:
            raise ContextLengthExceeded(
                f"prompt and answer may take {request.longest} tokens, but the key-value cache holds "
                f"{self.capacity}: raise engine.kv_cache_gib, or ask for less"
            )

    def add(self, request: Request) -> None:
        """Put a request at the end of the queue. Raises what `check` raises."""
        self.check(request)
        self.waiting.append(request)

    def remove(self, request: Request) -> None:
        """Take a finished request out; its blocks may be taken at once, for steps run in order."""
        (self.running if request in self.running else self.waiting).remove(request)
        self._blocks.release(request.blocks)
        request.blocks = []
        request.round += 1

    def reset(self) -> None:
        """A shard was lost: nothing is computed and nothing on its way; who runs and who waits stays."""
        self._flying.clear()
        self._blocks.clear()
        for request in self.running:
            request.begin_again()

    def users_of(self, adapter: str) -> int:
        """Requests that use an adapter, and stretches on their way that do."""
        flying = sum(piece.adapter == adapter for plan in self._flying for piece in plan.pieces)
        return flying + sum(one.adapter == adapter for one in [*self.running, *self.waiting])

    def forget(self, salt: str) -> None:
        """Drop what the prefix cache holds for requests with this salt: their adapter is unloaded."""
        self._blocks.forget(salt)

    # --- planning ---

    def plan(self) -> Plan | None:
        """The next step, or None if all depends on what is on its way. Never None when nothing is."""
        self._drop_cancelled()
        self._admit()
        self._plans += 1
        draft: Draft = {}
        self._generate(draft)
        self._read(draft)
        if not draft:
            return None
        plan = self._build(draft)
        self._flying.append(plan)
        return plan

    def land(self, plan: Plan) -> list[Stretch]:
        """A step was computed: the stretches that still count, whose picks are to be used."""
        if plan in self._flying:
            self._flying.remove(plan)
        counting = [s for s in plan.stretches if s.round == s.request.round and not s.request.cancelled]
        for stretch in counting:
            stretch.request.landed = stretch.end
            if self._prefix_cache:
                self._publish(stretch.request)
        return counting

    def _generate(self, draft: Draft) -> None:
        """One token for the generating requests that waited longest: one part in `lanes` of them all."""
        generating = [one for one in self.running if one.generating]
        quota = -(-len(generating) // self._lanes)
        for request in sorted(generating, key=lambda one: one.turn):
            if len(draft) >= quota:
                break
            if request.ready and request in self.running:
                self._stretch(request, 1, draft)

    def _read(self, draft: Draft) -> None:
        """As much of the prompts as the budget allows: little while others generate."""
        budget = self._step_tokens
        if any(one.generating for one in self.running):
            budget = max(budget // 4, 1)
        for request in tuple(self.running):
            if budget <= 0:
                break
            if request.ready and not request.generating and request in self.running:
                budget -= self._stretch(request, budget, draft)

    def _stretch(self, request: Request, budget: int, draft: Draft) -> int:
        """Plan up to `budget` tokens of a request; returns how many, 0 if there is no block for it."""
        if request.planned == 0 and not request.blocks:
            self._reuse(request)
        shift = self._slide(request)
        start = request.planned
        end = min(len(request.tokens), start + budget)
        if self._window:
            end = min(end, request.dropped + self._window.blocks * self._blocks.size)
        request.planned = self._find_places(request, end, draft)
        if request.planned == start:
            return 0
        self._turns += 1
        request.turn = self._turns
        draft[request] = (start, shift)
        return request.planned - start

    def _build(self, draft: Draft) -> Plan:
        stretches: list[Stretch] = []
        pieces: list[Piece] = []
        for request, (start, _) in sorted(draft.items(), key=lambda item: item[0].adapter or ""):
            stretches.append(Stretch(request, start, request.planned, request.round, len(pieces)))
            pieces.append(_piece(request, start, self._blocks.size))
        shifts = tuple(shift for _, shift in draft.values() if shift)
        return Plan(tuple(stretches), tuple(pieces), shifts)

    # --- who runs ---

    def _drop_cancelled(self) -> None:
        for request in [one for one in self.running if one.cancelled]:
            self.remove(request)
        if any(one.cancelled for one in self.waiting):
            self.waiting = deque(one for one in self.waiting if not one.cancelled)

    def _admit(self) -> None:
        """Start what fits beside those that run, first come first served; a request alone always fits."""
        while self.waiting and len(self.running) < self._max_sequences:
            if self.running and not self._fits(self.waiting[0]):
                break
            self.running.append(self.waiting.popleft())

    def _fits(self, request: Request) -> bool:
        """Whether blocks are left for all its tokens when those that run have theirs, and one more each."""
        missing = sum(max(0, self._blocks_for(len(one.tokens)) - len(one.blocks)) for one in self.running)
        spare = self._blocks.free - missing - len(self.running)
        needed = self._blocks_for(len(request.tokens))
        if needed <= spare:
            return True
        if not self._prefix_cache or request.scoring or spare <= 0:
            return False
        if self._turned_away[0] is request and self._plans < self._turned_away[1] + PATIENCE:
            return False
        self._turned_away = (request, self._plans)
        return needed - self._blocks.shared(request.salt, request.tokens[:-1]) <= spare

    def _preempt(self, request: Request, draft: Draft) -> None:
        draft.pop(request, None)
        self.running.remove(request)
        self._blocks.release(request.blocks)
        request.begin_again()
        self.waiting.appendleft(request)

    # --- blocks ---

    def _blocks_for(self, tokens: int) -> int:
        needed = -(-tokens // self._blocks.size)
        return min(needed, self._window.blocks) if self._window else needed

    def _find_places(self, request: Request, end: int, draft: Draft) -> int:
        """Take blocks for tokens up to `end`, or as many as there are; returns how far they reach."""
        size = self._blocks.size
        short = -(-(end - request.dropped) // size) - len(request.blocks)
        if short <= 0:
            return end
        while not self._blocks.free and self.running[-1] is not request:
            self._preempt(self.running[-1], draft)
        short = min(short, self._blocks.free)
        after = request.blocks[-1] if request.blocks else None
        room = self._blocks_for(request.longest) - len(request.blocks) - short
        fresh = self._blocks.take(short, after, max(room, 0)) or []
        request.blocks += fresh
        grow(request.runs, fresh, size)
        return min(end, request.dropped + len(request.blocks) * size)

    def _slide(self, request: Request) -> Shift | None:
        """Drop the oldest lot after the sinks if the window is full; the rest moves back by so much."""
        window, size = self._window, self._blocks.size
        if window is None or request.planned - request.dropped < window.blocks * size:
            return None
        leaving = request.blocks[window.sinks : window.sinks + window.lot]
        self._blocks.release(leaving)
        del request.blocks[window.sinks : window.sinks + window.lot]
        request.runs.clear()
        grow(request.runs, request.blocks, size)
        request.dropped += window.lot * size
        moving = request.blocks[window.sinks :]
        return Shift(runs_of(moving, len(moving) * size, size), window.lot * size)

    def _reuse(self, request: Request) -> None:
        """Begin with the blocks that the prefix cache has; the last token is computed in any case."""
        request.key = root(request.salt)
        if not self._prefix_cache or request.scoring:
            return
        request.blocks, request.key = self._blocks.match(request.salt, request.tokens[:-1])
        grow(request.runs, request.blocks, self._blocks.size)
        request.published = len(request.blocks)
        request.planned = request.landed = request.published * self._blocks.size
        if request.round == 0:
            request.cached = request.planned

    def _publish(self, request: Request) -> None:
        size = self._blocks.size
        for place in range(request.published, request.landed // size):
            tokens = request.tokens[place * size : (place + 1) * size]
            request.key = self._blocks.publish(request.salt, request.key, tokens, request.blocks[place])
            request.published += 1


def finish_of(request: Request, token: int, ends: Collection[int]) -> FinishReason | None:
    """Why the request ends with this token, if it does; an end token is not part of the answer."""
    if token in ends and not request.sampling.ignore_eos:
        return "stop"
    if request.generated + 1 >= (request.sampling.max_tokens or 1):
        return "length"
    return None


def _piece(request: Request, start: int, size: int) -> Piece:
    end = request.planned
    kept = end - request.dropped
    return Piece(
        tokens=tuple(request.tokens[start:end]),
        start=start - request.dropped,
        runs=shortened(request.runs, len(request.blocks) * size - kept),
        want=_want(request),
        targets=tuple(request.tokens[start + 1 : end + 1]) if request.scoring else (),
        adapter=request.adapter,
    )


def _want(request: Request) -> Literal["nothing", "token", "logits", "scores"]:
    if request.scoring:
        return "scores"
    if request.ready:
        return "nothing"
    sampling = request.sampling
    penalised = sampling.frequency_penalty or sampling.presence_penalty
    adjusted = penalised or sampling.logit_bias or request.matcher is not None
    if sampling.temperature > 0 or sampling.logprobs is not None or adjusted:
        return "logits"
    return "token"
