"""Which model names a request may use, and what the engine behind them can do."""

from actors.messages import Capabilities, NotFound
from configs.schema import Settings
from serve.services import Services


class Catalog:
    """The served model under its alias, its adapters under `alias:adapter`, and the embedding model."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._capabilities: Capabilities | None = None
        self.base = served_name(services.settings)
        self.embedder = _short(services.settings.models.embedder)
        self.adapters: tuple[str, ...] = ()

    async def capabilities(self) -> Capabilities:
        """The engine's, asked for once. Raises what the generator raises."""
        if self._capabilities is None:
            self._capabilities = await self._services.generator.capabilities()
        return self._capabilities

    def adapter_of(self, name: str) -> str | None:
        """The adapter that a model name selects, None for the base. Raises NotFound."""
        if name in (self.base, self._services.settings.engine.model):
            return None
        base, _, adapter = name.rpartition(":")
        if base == self.base and adapter in self.adapters:
            return adapter
        raise unknown_model(name, self.base)

    def check_embedder(self, name: str) -> None:
        """Raises NotFound for anything but the embedding model."""
        if name not in (self.embedder, self._services.settings.models.embedder):
            raise unknown_model(name, self.embedder)

    def names(self) -> list[str]:
        """All model names, the base first."""
        return [self.base, *(f"{self.base}:{adapter}" for adapter in self.adapters), self.embedder]


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
