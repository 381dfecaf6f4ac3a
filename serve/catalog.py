"""Which model names a request may use, and what the engine behind them can do."""

from pathlib import Path

from actors.messages import Capabilities, InvalidRequest, NotFound
from actors.training.notice import Placed
from configs.schema import Settings
from serve.auth import DEFAULT_USER
from serve.services import Services
from serve.swap import Chosen

TRAINED = "ft:"
"""What the name of a trained model begins with."""


class Catalog:
    """The served model under its alias, the models trained from it, and the embedding model."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._capabilities: Capabilities | None = None
        self.base = served_name(services.settings)
        self.embedder = _short(services.settings.models.embedder)

    async def capabilities(self) -> Capabilities:
        """The engine's, asked for once. Raises what the generator raises."""
        if self._capabilities is None:
            self._capabilities = await self._services.generator.capabilities()
        return self._capabilities

    async def chosen(self, user: str, acting: str, name: str, version: str | None, id: str) -> Chosen:
        """What answers the request of this id that names this model, and maybe a version of an adapter.

        `acting` is whose version it may be. Raises NotFound, InvalidRequest.
        """
        if self.is_base(name):
            return await self._services.swap.chosen(acting, version, id)
        if version is not None:
            raise InvalidRequest(f"A version goes with the model '{self.base}' alone.", "adapter")
        if not name.startswith(TRAINED):
            raise unknown_model(name, self.base)
        model = await self._services.adapters.find(self.owner(user), name)
        return Chosen(version=Placed(model.name, Path(model.path)))

    def is_base(self, name: str) -> bool:
        """Whether the served model itself is meant."""
        return name in (self.base, self._services.settings.engine.model)

    def owner(self, user: str) -> str:
        """Whose trained models a request may use: on an open server they are all the machine owner's."""
        return user if self._services.settings.api_keys else DEFAULT_USER

    def check_embedder(self, name: str) -> None:
        """Raises NotFound for anything but the embedding model."""
        if name not in (self.embedder, self._services.settings.models.embedder):
            raise unknown_model(name, self.embedder)

    async def created(self, user: str, started: int) -> dict[str, int]:
        """All model names that the user may use, the base first, and when each was made.

        Those that were not trained here were made when the server `started`.
        """
        models = await self._services.adapters.of(self.owner(user))
        trained = {model.name: int(model.created_at) for model in models}
        return {self.base: started, **trained, self.embedder: started}


def served_name(settings: Settings) -> str:
    """The name clients use for the served model: its alias, or the last part of its path."""
    return _short(settings.engine.model)


def unknown_model(name: str, known: str) -> NotFound:
    """OpenAI's error for a model that is not served."""
    return NotFound(
        f"The model '{name[:100]}' does not exist; this server has '{known}'.", "model", "model_not_found"
    )


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] if model.startswith(("/", ".", "~")) else model
