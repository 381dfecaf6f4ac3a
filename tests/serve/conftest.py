"""The application over the scripted engine with stand-ins for the rest, and over real parts in Ray Serve."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.messages import Health, NotFound, Passage
from cluster.runtime import Ray
from configs.schema import EngineSettings, Settings
from serve.services import Services
from serve.web import build_app

MODEL = "smollm2-135m"
FAKE_TRAINER = (sys.executable, str(Path(__file__).parents[1] / "data" / "fake_trainer.py"))
Build = Callable[..., Any]


PASSAGE = Passage(
    document_id="file-1", filename="facts.md", start=10, end=29, text="Lyra is a small cat", score=0.9
)


class FakeEmbedder:
    """Vectors of four equal numbers."""

    async def embed(self, texts: Sequence[str]) -> Any:
        return np.full((len(texts), 4), 0.5, np.float32)

    async def count(self, texts: Sequence[str]) -> int:
        return sum(len(text.split()) for text in texts)

    async def health(self) -> Health:
        return Health(ok=True)


class FakeKeeper:
    """One passage in one store."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, int]] = []

    async def search(self, user: str, query: str, vector: Any, *, store_ids: Any = None, k: int = 5) -> Any:
        self.asked.append((user, query, tuple(store_ids or ()), k))
        if "vs_1" not in store_ids:
            raise NotFound("There is no such vector store.", "vector_store_ids")
        return [PASSAGE]

    async def search_memories(self, user: str, query: str, vector: Any, *, limit: int) -> Any:
        return []

    async def facts(self, user: str, *, subject: str, slot: str) -> Any:
        return []

    async def recent_turns(self, user: str, session: str) -> Any:
        return []

    async def remember(
        self, user: str, event_id: str, memories: Any, vectors: Any = None, *, session: str
    ) -> Any:
        return ()

    async def unembedded(self, limit: int) -> Any:
        return []

    async def health(self) -> Health:
        return Health(ok=True)


@pytest.fixture
def scripted() -> Settings:
    """Settings of the scripted engine."""
    return Settings(engine=EngineSettings(kind="scripted"))


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application, its engine started."""
    generator = Generator(settings)
    await generator.start()
    compressor = Compressor(settings)
    await compressor.start()
    yield build_app(
        Services(
            settings=settings,
            generator=generator,
            embedder=cast(Embedder, FakeEmbedder()),
            keeper=cast(Keeper, FakeKeeper()),
            compressor=compressor,
        )
    )
    await compressor.close()
    await generator.close()


def client_of(app: FastAPI, **options: Any) -> httpx.AsyncClient:
    """A client of an application, without a network between."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", **options)


@pytest.fixture
async def app(scripted: Settings) -> AsyncIterator[FastAPI]:
    """The application with default settings."""
    async with application(scripted) as built:
        yield built


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app`."""
    async with client_of(app) as made:
        yield made


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """The application behind uvicorn on a free port; gives its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    """Where `app` listens."""
    async with listening(app) as found:
        yield found


@pytest.fixture
def make_app() -> Build:
    """`application`: for tests with settings of their own."""
    return application


@pytest.fixture
def make_client() -> Build:
    """`client_of`."""
    return client_of


@pytest.fixture
def listen_to() -> Build:
    """`listening`."""
    return listening


@pytest.fixture
def ask() -> Build:
    """Builds a chat request: `ask("text", n=2)`."""

    def body(text: str = "Hello", **more: Any) -> dict[str, Any]:
        return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}

    return body


@pytest.fixture
def running() -> Build:
    """Waits until a generator works on so many requests: `await running(generator, 2)`."""

    async def wait(generator: Generator, number: int) -> None:
        while (await generator.health()).running != number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def ray_url(ray_runtime: Ray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of the application behind Ray Serve's proxy: scripted engine, an actor that compresses."""
    from configs.schema import CompressionSettings, JobSettings, ModelSettings, ServeSettings
    from serve.app import deployed

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    settings = Settings(
        home=tmp_path_factory.mktemp("serve-home"),
        port=port,
        engine=EngineSettings(kind="scripted"),
        serve=ServeSettings(max_ongoing_requests=8, max_queued_requests=4),
        models=ModelSettings(embedder="hash"),
        compression=CompressionSettings(placement="actor"),
        jobs=JobSettings(command=FAKE_TRAINER),
    )
    with deployed(settings):
        yield f"http://127.0.0.1:{port}"
