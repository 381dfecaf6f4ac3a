"""What every route is given: settings, handles, and who is asking. Knows not where an object lives."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.identity import Identity
from actors.jobs import Jobs
from actors.keeper import Keeper
from actors.lineage import Lineage
from actors.rounds import Rounds
from configs.schema import Settings
from serve.adapters import Adapters
from serve.background import Background
from serve.filling import Filling
from serve.shadow import Shadows
from serve.swap import Swap
from serve.watch import Watch


@dataclass(frozen=True)
class Services:
    """Handles to the actors behind the routes; each may be the object itself or a proxy."""

    settings: Settings
    generator: Generator
    embedder: Embedder
    keeper: Keeper
    compressor: Compressor
    jobs: Jobs | None = None
    lineage: Lineage | None = None
    rounds: Rounds | None = None

    @property
    def identity(self) -> Identity:
        """Where ids and times come from."""
        return Identity(self.settings.serve.fixed_clock)

    @cached_property
    def filling(self) -> Filling:
        """Embeds, beside the requests, what was stored without a vector; to be closed before the keeper."""
        return Filling(self.embedder, self.keeper)

    @cached_property
    def adapters(self) -> Adapters:
        """Fine-tuned models, loaded into the generator when they are asked for."""
        return Adapters(self.generator, self.jobs)

    @cached_property
    def watch(self) -> Watch:
        """Whether the versions that serve do harm."""
        return Watch(self.settings.watch, self.generator, self.lineage, self.background)

    @cached_property
    def swap(self) -> Swap:
        """Which version answers a request."""
        return Swap(self.settings.home, self.generator, self.lineage, self.watch)

    @cached_property
    def shadows(self) -> Shadows:
        """Versions that are tried beside those that answer."""
        return Shadows(self.generator, self.watch, self.background, self.settings.watch.shadows)

    @cached_property
    def background(self) -> Background:
        """What goes on after a reply; to be closed before the keeper."""
        return Background()


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that serves this connection."""
    services: Services = connection.app.state.services
    return services


def user_of(connection: HTTPConnection) -> str:
    """The user whom `serve.auth` found behind this connection (`default` on an open loopback server)."""
    user: str = connection.state.user
    return user


async def _services(connection: HTTPConnection) -> Services:
    """As `services_of`, without the thread that FastAPI would run a plain function in."""
    return services_of(connection)


async def _user(connection: HTTPConnection) -> str:
    """As `user_of`, without a thread."""
    return user_of(connection)


ServicesDep = Annotated[Services, Depends(_services)]
UserDep = Annotated[str, Depends(_user)]
