"""When each request of a round is sent: after so much work, not after so many seconds. Knows no engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Tokens = list[int]
Stream = Callable[[int, Tokens], AsyncIterator[int]]
"""Generates for request `index` from its prompt, and yields how many tokens each delta brought."""


@dataclass(frozen=True)
class Took:
    """One round: seconds from the first request to the last token, and each wait for a first token."""

    wall_s: float
    first_s: list[float]

    def as_json(self) -> dict[str, Any]:
        """As it crosses a pipe; Took(**...) is the way back."""
        return asdict(self)


def due(count: int, apart: int, yielded: int) -> int:
    """How many of `count` requests have arrived once `yielded` tokens came out: request i after i * apart."""
    return count if apart == 0 else min(count, yielded // apart + 1)


def check(count: int, apart: int, tokens: int) -> None:
    """Raises ValueError where answers of `tokens` tokens would end before the next request arrives."""
    if count > 1 and apart > tokens:
        raise ValueError(f"requests {apart} tokens apart never arrive after answers of {tokens} tokens")


async def play(stream: Stream, prompts: Sequence[Tokens], apart: int) -> Took:
    """Send request i once all streams together have yielded i * apart tokens; read all to their ends."""
    yielded = 0
    moved = asyncio.Condition()

    async def one(index: int, prompt: Tokens) -> float:
        nonlocal yielded
        async with moved:
            await moved.wait_for(lambda: index < due(len(prompts), apart, yielded))
        sent = time.perf_counter()
        first = float("nan")
        async for count in stream(index, prompt):
            if count and first != first:
                first = time.perf_counter() - sent
            async with moved:
                yielded += count
                moved.notify_all()
        return first

    began = time.perf_counter()
    first = await asyncio.gather(*(one(index, prompt) for index, prompt in enumerate(prompts)))
    return Took(time.perf_counter() - began, first)
