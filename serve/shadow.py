"""Generates what was answered once more, by a version that is tried; nothing of its text is kept."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from math import fsum

from actors.generator import Generator
from actors.messages import PalError, Prompt, Sampling
from actors.training.notice import Placed
from serve.background import Background
from serve.figures import ShadowFigures
from serve.looping import is_degenerate
from serve.watch import Watch


class Shadows:
    """One after another, beside the requests; `most` may wait."""

    def __init__(self, generator: Generator, watch: Watch, background: Background, most: int) -> None:
        self._generator = generator
        self._watch = watch
        self._background = background
        self._most = most
        self.waiting = 0
        """Answers whose shadow has not ended."""
        self._turn = asyncio.Semaphore(1)

    def cast(
        self,
        shadow: Placed,
        served: Placed | None,
        prompt: Prompt,
        sampling: Sampling,
        answer: Sequence[int],
        id: str,
    ) -> None:
        """Begin to try a version on a request that `served` has answered with these tokens."""
        figures = self._watch.shadowed(shadow.id)
        if self.waiting >= self._most:
            figures.left_out += 1
            return
        self.waiting += 1
        trying = self._try(figures, shadow, served, prompt, sampling, answer, f"{id}-shadow")
        self._background.attempt(trying, f"trying adapter {shadow.id}")

    async def _try(
        self,
        figures: ShadowFigures,
        shadow: Placed,
        served: Placed | None,
        prompt: Prompt,
        sampling: Sampling,
        answer: Sequence[int],
        id: str,
    ) -> None:
        try:
            async with self._turn:
                figures.tried += 1
                own = await self._likelihood(prompt, answer, shadow)
                by_itself = await self._likelihood(prompt, answer, served)
                tokens, spoke, seconds = await self._generate(prompt, sampling, shadow, id)
                figures.likelihood += own
                figures.served_likelihood += by_itself
                figures.tokens += len(tokens)
                figures.served_tokens += len(answer)
                figures.seconds += seconds
                figures.degenerate += not sampling.ignore_eos and is_degenerate(tokens, spoke, None)
        except PalError:
            figures.failed += 1
        finally:
            self.waiting -= 1

    async def _generate(
        self, prompt: Prompt, sampling: Sampling, version: Placed, id: str
    ) -> tuple[list[int], bool, float]:
        tokens: list[int] = []
        spoke = False
        began = time.perf_counter()
        plain = replace(sampling, logprobs=None)
        source = self._generator.generate(id, prompt, plain, version.id, version.path)
        async with aclosing(source) as deltas:
            async for delta in deltas:
                tokens += delta.token_ids
                spoke = spoke or bool(delta.text.strip())
        return tokens, spoke, time.perf_counter() - began

    async def _likelihood(self, prompt: Prompt, answer: Sequence[int], version: Placed | None) -> float:
        """Mean log probability of the answer's tokens."""
        name, path = (version.id, version.path) if version else (None, None)
        rows = await self._generator.score(prompt, name, path, answer)
        return fsum(row.logprob for row in rows) / max(len(rows), 1)
