"""Who computes what in the next step of a continuous batch. Decides only; knows no torch."""

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any

from actors.messages import FinishReason, Sampling, TokenLogprob


@dataclass(eq=False, slots=True)
class Request:
    """One request in the batch: its tokens so far, and how many of them the model has seen."""

    tokens: list[int]
    sampling: Sampling
    adapter: str | None = None
    scoring: bool = False
    """Report the log probability of the prompt's own tokens; generate none."""
    cache: Any = None
    matcher: Any = None
    """The grammar's state where the output must satisfy a schema."""
    seen: int = 0
    prompt_length: int = field(init=False)
    random: Random = field(init=False)
    counts: Counter[int] = field(default_factory=Counter)
    scores: list[TokenLogprob] = field(default_factory=list)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.prompt_length = len(self.tokens)
        self.random = Random(self.sampling.seed)

    @property
    def generated(self) -> int:
        """Tokens generated so far."""
        return len(self.tokens) - self.prompt_length

    @property
    def reserved(self) -> int:
        """Tokens of key-value cache that it may come to need."""
        return self.prompt_length + (0 if self.scoring else self.sampling.max_tokens or 0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens `start` to `end` of a request, to be computed in one step."""

    request: Request
    start: int
    end: int

    @property
    def is_last(self) -> bool:
        """Whether the request's next token can be picked after this stretch."""
        return self.end == len(self.request.tokens) and not self.request.scoring


class Batch:
    """Running requests and those that wait, first come first served."""

    def __init__(self, max_sequences: int, cache_tokens: int, step_tokens: int) -> None:
        self._max_sequences = max_sequences
        self._cache_tokens = cache_tokens
        self._step_tokens = step_tokens
        self.running: list[Request] = []
        self.waiting: deque[Request] = deque()

    def add(self, request: Request) -> None:
        """Put a request at the end of the queue."""
        self.waiting.append(request)

    def admit(self) -> None:
        """Drop what was cancelled, then start what fits; a request too big for the cache runs alone."""
        self.running = [request for request in self.running if not request.cancelled]
        self.waiting = deque(request for request in self.waiting if not request.cancelled)
        used = sum(request.reserved for request in self.running)
        while self.waiting and len(self.running) < self._max_sequences:
            used += self.waiting[0].reserved
            if self.running and used > self._cache_tokens:
                break
            self.running.append(self.waiting.popleft())

    def plan(self) -> list[Stretch]:
        """The next step: every request that generates, then as much of the prompts as the budget allows."""
        generating = [one for one in self.running if len(one.tokens) - one.seen == 1]
        reading = [one for one in self.running if len(one.tokens) - one.seen > 1]
        stretches = [Stretch(one, one.seen, one.seen + 1) for one in generating]
        budget = max(self._step_tokens - len(stretches), self._step_tokens // 4, 1)
        for one in reading:
            end = min(len(one.tokens), one.seen + budget)
            stretches.append(Stretch(one, one.seen, end))
            budget -= end - one.seen
            if budget <= 0:
                break
        return stretches

    def remove(self, request: Request) -> None:
        """Take a finished request out."""
        self.running.remove(request)

    def users_of(self, adapter: str) -> int:
        """Requests, running or waiting, that use an adapter."""
        return sum(one.adapter == adapter for one in [*self.running, *self.waiting])


def finish_of(request: Request, token: int, ends: Collection[int]) -> FinishReason | None:
    """Why the request ends with this token, if it does; an end token is not part of the answer."""
    if token in ends and not request.sampling.ignore_eos:
        return "stop"
    if request.generated + 1 >= (request.sampling.max_tokens or 1):
        return "length"
    return None
