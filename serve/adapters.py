"""Fine-tuned models that requests name. Knows no route, and not where they are loaded."""

from contextlib import suppress

from actors.generator import Generator
from actors.jobs import Jobs
from actors.messages import NotFound
from actors.training.records import Model


class Adapters:
    """The fine-tuned models of all users. Every replica loads by itself what it is asked for."""

    def __init__(self, generator: Generator, jobs: Jobs | None) -> None:
        self._generator = generator
        self._jobs = jobs

    async def of(self, user: str) -> list[Model]:
        """The user's, oldest first."""
        return await self._jobs.models(user) if self._jobs is not None else []

    async def find(self, user: str, name: str) -> Model:
        """One of the user's. Raises NotFound."""
        if self._jobs is None:
            raise NotFound(f"The model '{name[:100]}' does not exist.", "model", "model_not_found")
        return await self._jobs.model(user, name)

    async def remove(self, user: str, name: str) -> None:
        """Delete one of the user's: no request finds it any more. Raises NotFound."""
        if self._jobs is None:
            raise NotFound(f"The model '{name[:100]}' does not exist.", "model", "model_not_found")
        await self._jobs.remove_model(user, name)
        with suppress(NotFound):
            await self._generator.unload_adapter(name)
