"""What stands in Ray Serve's HTTP proxy, before the application. Knows no route."""

import json
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RETRY_AFTER_S = "2"
PROXY_CONTROLS = (b"x-request-timeout-seconds", b"x-request-disconnect-disabled")
"""Headers by which a client could switch off the proxy's own limits."""

_MEANINGS: dict[int, tuple[int, str, str]] = {
    404: (503, "not_ready", "The server is starting or shutting down; try again soon."),
    408: (504, "timeout", "The request took longer than the server allows."),
    429: (429, "overloaded", "Too many requests are waiting; try again soon."),
    503: (503, "overloaded", "The server has no room or no replica for this request; try again soon."),
}
_BROKEN = (503, "not_ready", "The replica that worked on this request died; try again soon.")
"""Status, code and words for a reply that the application did not end."""


def middlewares() -> list[Middleware]:
    """What Ray Serve puts into its proxy, by the import path of this function."""
    return [Middleware(Edge)]


class Edge:
    """ASGI middleware: the proxy's own replies become OpenAI's error object, and request ids stay single.

    A reply is the proxy's own if it has one `x-request-id`, the proxy's; the application's has two.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on, without the headers that are not the client's to set."""
        if scope["type"] == "lifespan" or scope["path"].startswith("/-/"):
            await self._app(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] not in PROXY_CONTROLS]
        if scope["type"] == "websocket":
            headers.append((PROXY_CONTROLS[0], b"0"))
        reply = _Reply(send)
        await self._app({**scope, "headers": headers}, receive, reply)
        if scope["type"] != "http":
            return
        if not reply.started:
            await reply.refuse(*_BROKEN, Headers(raw=headers).get("x-request-id"))
        elif reply.is_stream and not reply.ended:
            await reply.break_off()


class _Reply:
    """Sends; holds back what the proxy says on its own, and says it in OpenAI's words."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.ended = False
        self.is_stream = False
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            ids = headers.getlist("x-request-id")
            if len(ids) < 2 and message["status"] >= 400:
                self._replaced = True
                meaning = _MEANINGS.get(message["status"], _BROKEN)
                await self.refuse(*meaning, ids[0] if ids else None)
                return
            headers["x-request-id"] = ids[0] if ids else ""
            self.is_stream = headers.get("content-type", "").startswith("text/event-stream")
        elif message["type"] == "http.response.body":
            self.ended = not message.get("more_body", False)
        await self._send(message)

    async def break_off(self) -> None:
        """End a stream of events whose replica died with an error as its last event."""
        event = b"data: " + _error(*_BROKEN) + b"\n\n"
        await self._send({"type": "http.response.body", "body": event, "more_body": False})

    async def refuse(self, status: int, code: str, text: str, request_id: str | None) -> None:
        """Send OpenAI's error object."""
        body = _error(status, code, text)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status in (429, 503):
            headers.append((b"retry-after", RETRY_AFTER_S.encode()))
        if request_id:
            headers.append((b"x-request-id", request_id.encode("latin-1")))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _error(status: int, code: str, text: str) -> bytes:
    kind = "server_error" if status >= 500 else "rate_limit_error"
    error: dict[str, Any] = {"message": text, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error}, separators=(",", ":")).encode()
