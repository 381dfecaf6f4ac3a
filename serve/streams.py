"""Server-sent events, and work that ends when its client leaves. Knows no format."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from actors.messages import PalError
from serve.errors import error_event, internal_error

T = TypeVar("T")
DONE = b"data: [DONE]\n\n"
GONE_STATUS = 499
"""Status of a reply that nobody waits for."""
_END = object()


class ClientGone(Exception):
    """The client closed its connection before the answer was ready."""


class EventStream(Response):
    """Sends each JSON text as one event, then `[DONE]`; closes the source at once when the client leaves.

    `ready` are texts to send with the first of `rest`.
    """

    media_type = "text/event-stream"

    def __init__(self, rest: AsyncGenerator[str], headers: Mapping[str, str] | None = None) -> None:
        self._rest = rest
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({"cache-control": "no-cache", "x-accel-buffering": "no", **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, unless the client leaves first."""
        request_id = scope.get("state", {}).get("request_id", "")
        sending = asyncio.create_task(self._send(send, request_id))
        leaving = asyncio.create_task(gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = sending.done()
            for task in (sending, leaving):
                task.cancel()
            await asyncio.wait({sending, leaving})
        if ended:
            sending.result()

    async def _send(self, send: Send, request_id: str) -> None:
        headers = [(key, value) for key, value in self.raw_headers if key != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        async with aclosing(self._rest) as rest:
            try:
                async for text in rest:
                    await _body(send, b"data: " + text.encode() + b"\n\n")
            except PalError as error:
                await _body(send, error_event(error))
            except Exception:
                await _body(send, error_event(internal_error(request_id)), more=False)
                raise
            else:
                await _body(send, DONE)
        await _body(send, b"", more=False)


async def gone(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client leaves. Raises ClientGone."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = working.done()
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})
    if not ended:
        raise ClientGone
    return working.result()


async def primed(source: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """The same stream once its first item is there, so that an error before it is still a plain reply."""
    try:
        first = await anext(source)
    except StopAsyncIteration:
        return source
    except BaseException:
        await source.aclose()
        raise
    return _chained(first, source)


async def merged(sources: Sequence[AsyncGenerator[T]]) -> AsyncGenerator[tuple[int, T]]:
    """Items of all sources as they come, each with its source's number; the first error ends them all."""
    if len(sources) == 1:
        async with aclosing(sources[0]) as only:
            async for item in only:
                yield 0, item
        return
    queue: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
    tasks = [asyncio.create_task(_pump(number, source, queue)) for number, source in enumerate(sources)]
    try:
        running = len(tasks)
        while running:
            number, item = await queue.get()
            if item is _END:
                running -= 1
                tasks[number].result()
            else:
                yield number, item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _pump(number: int, source: AsyncGenerator[T], queue: asyncio.Queue[tuple[int, Any]]) -> None:
    try:
        async with aclosing(source) as items:
            async for item in items:
                queue.put_nowait((number, item))
    finally:
        asyncio.get_running_loop().call_soon(queue.put_nowait, (number, _END))


async def _chained(first: T, rest: AsyncGenerator[T]) -> AsyncGenerator[T]:
    async with aclosing(rest):
        yield first
        async for item in rest:
            yield item


async def _body(send: Send, data: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})
