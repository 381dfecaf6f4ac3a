"""What every engine is: tokens in, tokens out. Knows no text, template or user."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Protocol

from actors.messages import Capabilities, Health, Sampling, TokenDelta, TokenLogprob


class Engine(Protocol):
    """Generates from token ids. Closing the iterator of `generate` early stops that request's work."""

    def generate(
        self, request_id: str, tokens: Sequence[int], sampling: Sampling, adapter: str | None = None
    ) -> AsyncGenerator[TokenDelta, None]:
        """Yield deltas as tokens come; the last has a finish reason ("stop" for end of sequence, "length").

        Raises EngineFailed if the engine breaks, NotFound for an adapter that is not loaded. The caller
        guarantees len(tokens) + sampling.max_tokens <= capabilities().max_context.
        """
        ...

    async def score(self, tokens: Sequence[int], adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """Log probability of each token after the first, given those before it: len(tokens) - 1 values."""
        ...

    async def load_adapter(self, name: str, path: Path) -> None:
        """Make the LoRA adapter in the directory `path` available as `name`."""
        ...

    async def unload_adapter(self, name: str) -> None:
        """Forget an adapter; requests that use it finish first. Raises NotFound."""
        ...

    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        ...

    async def health(self) -> Health:
        """Whether it can generate now."""
        ...

    async def close(self) -> None:
        """Free everything; running requests end with EngineFailed."""
        ...
