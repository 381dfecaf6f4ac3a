"""The whole service in one process, under uvicorn. Knows no Ray."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.identity import Identity
from actors.jobs import Jobs
from actors.keeper import Keeper
from actors.keepers import routed
from actors.lineage import Lineage
from actors.memory.layout import opened
from actors.messages import Busy
from actors.rounds import Loop, Rounds
from actors.spawn import here
from actors.training.launch import Processes
from configs.schema import Settings
from serve.errors import error_response
from serve.learning import unlearn
from serve.scoring import score_missing
from serve.services import Services
from serve.web import build_app

SWITCH_S = 0.0005
"""How long a thread that computes in Python may keep waiting one whose vector or row is there."""
CLOSE_S = 3
"""How long connections may take to close once the last answer is out."""
WATCHED = frozenset({"/health", "/metrics"})
"""Paths that answer while the server drains."""


def run(
    settings: Settings, listener: socket.socket, on_ready: Callable[[], None], loop: Loop | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then let running answers end; `on_ready` is called once all is loaded.

    Raises what the loading raised, with nothing left running.
    """
    sys.setswitchinterval(SWITCH_S)
    with (
        opened(settings.home, settings.memory.partitions) as directories,
        asyncio.Runner(loop_factory=_config().get_loop_factory()) as runner,
    ):
        runner.run(_run(settings, directories, listener, on_ready, loop))


async def _run(
    settings: Settings,
    directories: Sequence[Path],
    listener: socket.socket,
    on_ready: Callable[[], None],
    loop: Loop | None,
) -> None:
    stop = asyncio.Event()
    identity = Identity(settings.serve.fixed_clock)
    services = Services(
        settings=settings,
        generator=here(Generator, settings),
        embedder=here(Embedder, settings),
        keeper=routed(
            [
                here(Keeper, directory, settings.documents, identity, settings.memory)
                for directory in directories
            ]
        ),
        compressor=here(Compressor, settings),
        jobs=here(Jobs, settings, Processes(settings.jobs.niceness), identity),
        lineage=here(Lineage, settings, identity),
    )
    if loop is not None and services.lineage is not None:
        processes = Processes(settings.loop.niceness)
        rounds = here(Rounds, settings, services.keeper, services.lineage, processes, loop, identity)
        services = replace(services, rounds=rounds)
    drain = Drain(build_app(services), settings.serve.retry_after_s)
    with _signals(stop):
        async with _listening(drain, listener), AsyncExitStack() as closing:
            for part in _parts(services):
                closing.push_async_callback(part.close)
            closing.push_async_callback(services.filling.close)
            closing.push_async_callback(services.background.close)
            if services.rounds is not None:
                closing.push_async_callback(services.rounds.close)
            loading = asyncio.ensure_future(_load(services))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                loading.result()
                gc.freeze()
                on_ready()
                await stopping
            else:
                loading.cancel()
                await asyncio.wait({loading})
            await drain.close(settings.serve.drain_s)


async def _load(services: Services) -> None:
    async with asyncio.TaskGroup() as loading:
        for part in _parts(services):
            loading.create_task(part.start())
    if services.rounds is not None:
        await services.rounds.start()
    services.filling.wake()
    services.background.start(score_missing(services))
    services.background.start(unlearn(services))
    services.background.start(services.swap.follow())


def _parts(services: Services) -> list[Keeper | Embedder | Compressor | Generator | Jobs | Lineage]:
    """All that is started, in the order in which it is closed from last to first."""
    always = (services.keeper, services.embedder, services.compressor, services.generator)
    return [*always, *(part for part in (services.jobs, services.lineage) if part is not None)]


class Drain:
    """ASGI middleware that turns new requests away once closed, and knows when the last one has ended."""

    def __init__(self, app: ASGIApp, retry_after_s: int) -> None:
        self._app = app
        self._retry_after_s = retry_after_s
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on, unless closed."""
        if scope["type"] == "lifespan" or scope["path"] in WATCHED:
            await self._app(scope, receive, send)
        elif self._closed:
            await self._refuse(scope, receive, send)
        else:
            self._running += 1
            self._idle.clear()
            try:
                await self._app(scope, receive, send)
            finally:
                self._running -= 1
                if not self._running:
                    self._idle.set()

    async def close(self, patience_s: float) -> None:
        """Turn new requests away; returns when running ones have ended, or after `patience_s`."""
        self._closed = True
        try:
            await asyncio.wait_for(self._idle.wait(), patience_s)
        except TimeoutError:
            return

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = Busy("The server is shutting down.", code="shutting_down")
        reply = error_response(error, self._retry_after_s)
        reply.headers["connection"] = "close"
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1012, "reason": error.message})
        else:
            await reply(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn, with its signals left to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _config(app: ASGIApp | str = "") -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=CLOSE_S,
        timeout_keep_alive=60,
    )


@asynccontextmanager
async def _listening(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    server = _Server(_config(app))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
