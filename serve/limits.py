"""How many requests are worked on at once, how many wait, and for how long. Knows no body."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.messages import Busy, Timeout
from configs.schema import ServeSettings
from serve.errors import error_event, error_response
from serve.metrics import Metrics

QUEUED_PREFIX = "/v1/"
"""Only these paths queue; health and metrics answer at any load."""


class Admission:
    """Slots for work; a bounded number waits for one."""

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self._slots = asyncio.Semaphore(settings.max_ongoing_requests)
        self._most_waiting = settings.max_queued_requests
        self._waiting = 0
        self._metrics = metrics
        self.timeout_s = settings.request_timeout_s

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot. Raises Busy if too many wait already."""
        if self._slots.locked() and self._waiting >= self._most_waiting:
            self._metrics.rejected.labels("queue_full").inc()
            raise Busy("Too many requests are waiting; try again soon.")
        self._waiting += 1
        self._metrics.waiting.set(self._waiting)
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
            self._metrics.waiting.set(self._waiting)
        try:
            yield
        finally:
            self._slots.release()

    def timed_out(self) -> Timeout:
        """The error for a request that outran its time."""
        self._metrics.rejected.labels("timeout").inc()
        return Timeout(f"The request took longer than {self.timeout_s:g} s (serve.request_timeout_s).")


class Limits:
    """ASGI middleware: a slot for each request under /v1, and an end to those that take too long."""

    def __init__(self, app: ASGIApp, admission: Admission, retry_after_s: int) -> None:
        self._app = app
        self._admission = admission
        self._retry_after_s = retry_after_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on once there is room for it."""
        if scope["type"] != "http" or not scope["path"].startswith(QUEUED_PREFIX):
            await self._app(scope, receive, send)
            return
        reply = _Reply(send)
        try:
            async with asyncio.timeout(self._admission.timeout_s) as limit, self._admission.slot():
                await self._app(scope, receive, reply)
        except Busy as error:
            await error_response(error, self._retry_after_s)(scope, receive, send)
        except TimeoutError:
            if not limit.expired():
                raise
            late = self._admission.timed_out()
            if not reply.started:
                await error_response(late)(scope, receive, send)
            elif not reply.ended:
                event = error_event(late) if reply.is_stream else b""
                await send({"type": "http.response.body", "body": event, "more_body": False})


class _Reply:
    """Sends, and remembers how far the reply has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.ended = False
        self.is_stream = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self.is_stream = kind.startswith("text/event-stream")
        elif message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)
        await self._send(message)
