import json

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.edge import Edge, middlewares


def replying(status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"words") -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def get(app: ASGIApp, path: str = "/v1/models", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(Edge(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        return await client.get(path, headers=headers)


PROXYS = [(b"x-request-id", b"proxy")]
BOTH = [(b"x-request-id", b"ours"), (b"x-request-id", b"proxy")]


async def test_the_applications_reply_passes_with_its_own_request_id() -> None:
    reply = await get(replying(404, BOTH))
    assert (reply.status_code, reply.content) == (404, b"words")
    assert reply.headers.get_list("x-request-id") == ["ours"]


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (404, 503, "not_ready"),
        (408, 504, "timeout"),
        (429, 429, "overloaded"),
        (503, 503, "overloaded"),
        (500, 503, "not_ready"),
    ],
)
async def test_the_proxys_own_words_become_an_error_object(said: int, status: int, code: str) -> None:
    reply = await get(replying(said, PROXYS))
    error = reply.json()["error"]
    assert reply.status_code == status
    assert (error["code"], error["param"]) == (code, None)
    assert reply.headers["x-request-id"] == "proxy"
    assert ("retry-after" in reply.headers) is (status in (429, 503))


async def test_a_reply_that_never_began_becomes_an_error_object() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        """The replica died."""

    reply = await get(silent, **{"x-request-id": "mine"})
    assert reply.status_code == 503
    assert reply.headers["x-request-id"] == "mine"


async def test_a_stream_that_breaks_off_ends_with_an_error_event() -> None:
    async def dies(scope: Scope, receive: Receive, send: Send) -> None:
        kind = (b"content-type", b"text/event-stream; charset=utf-8")
        await send({"type": "http.response.start", "status": 200, "headers": [*BOTH, kind]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})

    first, last, rest = (await get(dies)).text.split("\n\n")
    assert (first, rest) == ("data: 1", "")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "not_ready"


async def test_the_proxys_controls_are_taken_from_clients() -> None:
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(name for name, _ in scope["headers"])
        await replying(200, BOTH)(scope, receive, send)

    await get(app, **{"x-request-timeout-seconds": "0", "x-request-disconnect-disabled": "?1"})
    assert not {b"x-request-timeout-seconds", b"x-request-disconnect-disabled"} & set(seen)


async def test_a_websocket_has_no_request_timeout() -> None:
    seen: dict[bytes, bytes] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope["headers"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await Edge(app)({"type": "websocket", "path": "/v1/chat/ws", "headers": []}, receive, send)
    assert seen[b"x-request-timeout-seconds"] == b"0"


async def test_the_proxys_own_routes_are_left_alone() -> None:
    assert (await get(replying(503, PROXYS), "/-/healthz")).content == b"words"


def test_ray_serve_is_given_a_middleware() -> None:
    assert [one.cls for one in middlewares()] == [Edge]
