"""Holds one engine, its tokenizer and its adapters: text in, text out. Knows no user and no HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

from actors.messages import Capabilities, Health, Prompt, Sampling, TextDelta, TokenLogprob
from configs.schema import Settings


class Generator:
    """Templates a prompt once, runs the engine, turns tokens back into text and cuts stop strings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Load the engine and tokenizer. Raises NotReady if the model is not on disk."""
        raise NotImplementedError

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, adapter: str | None = None
    ) -> AsyncIterator[TextDelta]:
        """Yield text as it comes; the last delta has a finish reason. Closing the iterator stops the work.

        Raises, before the first delta, ContextLengthExceeded, InvalidRequest (a schema or template the engine
        cannot take) or NotFound (adapter); EngineFailed later.
        """
        raise NotImplementedError
        yield TextDelta()

    async def count(self, prompt: Prompt) -> int:
        """Tokens that the prompt takes, template included."""
        raise NotImplementedError

    async def score(self, prompt: Prompt, adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """Log probability of each of the prompt's tokens after the first."""
        raise NotImplementedError

    async def load_adapter(self, name: str, path: Path) -> None:
        """Make the LoRA adapter in the directory `path` available as `name`."""
        raise NotImplementedError

    async def unload_adapter(self, name: str) -> None:
        """Forget an adapter. Raises NotFound."""
        raise NotImplementedError

    async def capabilities(self) -> Capabilities:
        """What the engine can do, and which model it holds."""
        raise NotImplementedError

    async def health(self) -> Health:
        """Whether it can generate now."""
        raise NotImplementedError

    async def close(self) -> None:
        """Free the engine."""
        raise NotImplementedError
