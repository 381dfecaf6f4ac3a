"""Trained models that requests name: found, loaded where they are generated with. Knows no route."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

from actors.generator import Generator
from actors.jobs import Jobs
from actors.messages import NotFound, Prompt, Sampling, TextDelta
from actors.training.records import Model

TRIES = 3
"""How often an adapter is loaded for a request before others that are wanted too take its place for good."""


class Adapters:
    """The trained models of all users. Every replica loads by itself what it is asked for."""

    def __init__(self, generator: Generator, jobs: Jobs | None) -> None:
        self._generator = generator
        self._jobs = jobs
        self._paths: dict[str, Path] = {}

    async def of(self, user: str) -> list[Model]:
        """The user's, oldest first."""
        return await self._jobs.models(user) if self._jobs is not None else []

    async def find(self, user: str, name: str) -> Model:
        """One of the user's. Raises NotFound."""
        if self._jobs is None:
            raise NotFound(f"The model '{name[:100]}' does not exist.", "model", "model_not_found")
        model = await self._jobs.model(user, name)
        self._paths[name] = Path(model.path)
        return model

    async def remove(self, user: str, name: str) -> None:
        """Delete one of the user's: no request finds it any more. Raises NotFound."""
        if self._jobs is None:
            raise NotFound(f"The model '{name[:100]}' does not exist.", "model", "model_not_found")
        await self._jobs.remove_model(user, name)
        self._paths.pop(name, None)
        with suppress(NotFound):
            await self._generator.unload_adapter(name)

    def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, adapter: str | None
    ) -> AsyncGenerator[TextDelta, None]:
        """As Generator.generate, the adapter loaded first where it is not there."""
        if adapter is None:
            return self._generator.generate(request_id, prompt, sampling)
        return self._adapted(request_id, prompt, sampling, adapter)

    async def _adapted(
        self, request_id: str, prompt: Prompt, sampling: Sampling, adapter: str
    ) -> AsyncGenerator[TextDelta, None]:
        for tries in range(1, TRIES + 1):
            await self._generator.load_adapter(adapter, self._paths[adapter])
            begun = False
            try:
                async with aclosing(
                    self._generator.generate(request_id, prompt, sampling, adapter)
                ) as deltas:
                    async for delta in deltas:
                        begun = True
                        yield delta
                return
            except NotFound:
                if begun or tries == TRIES:
                    raise
