"""What a request body may be: how large, how deep, and of which characters. Knows no route."""

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.messages import InvalidRequest, PalError, TooLarge
from configs.schema import ServeSettings
from serve.auth import refuse

Codes = NDArray[np.uint8]
LARGE = 1 << 18
"""Bodies above this many bytes are checked in a thread."""
MOST_VALUES = 300_000
"""Most commas outside of strings: what parsing costs grows with them."""
DISCARD_S = 10.0
"""How long an oversize body is read and thrown away, so that its sender can read the answer."""
_MARKS = np.isin(np.arange(256), list(b"[]{},"))
_SUSPECT = re.compile(
    rb"\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL
)
_UNFIT = re.compile("[\x00\ud800-\udfff]")


class BodyGuard:
    """ASGI middleware: bodies too large to take are a 413, JSON that is too deep or holds NUL is a 400."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._most = int(settings.max_body_mib * 1024 * 1024)
        self._depth = settings.max_json_depth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whose body is fit to be parsed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            if b"%00" in scope.get("raw_path", b"") or b"%00" in scope.get("query_string", b""):
                raise InvalidRequest("The URL holds a NUL byte.", code="invalid_url")
            if _length(headers) > self._most:
                await _discard(headers, receive)
                raise self._too_large()
            if not _is_json(headers):
                await self._count(scope, receive, send)
                return
            body = await self._whole(receive)
            if body is None:
                return
            await check_json(body, self._depth)
        except PalError as error:
            await refuse(error, scope, receive, send)
            return
        await self._app(scope, _Replay(body, receive), send)

    async def _whole(self, receive: Receive) -> bytes | None:
        """The body; None if the client left before its end. Raises TooLarge."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._most:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a body on piece by piece; past the limit the route sees its client leave, and 413 is sent."""
        size = 0
        exceeded = started = False

        async def counted() -> Message:
            nonlocal size, exceeded
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                exceeded = True
                return {"type": "http.disconnect"}
            return message

        async def unless_exceeded(message: Message) -> None:
            nonlocal started
            if started or not exceeded:
                started = True
                await send(message)

        await self._app(scope, counted, unless_exceeded)
        if exceeded and not started:
            await refuse(self._too_large(), scope, receive, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request body is larger than {self._most} bytes (serve.max_body_mib).")


@dataclass
class _Replay:
    """Gives a body that was read already, then whatever comes after it."""

    body: bytes | None
    receive: Receive

    async def __call__(self) -> Message:
        if self.body is None:
            return await self.receive()
        body, self.body = self.body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def check_json(body: bytes, most_depth: int) -> None:
    """Refuses JSON text of too many values (TooLarge), too deep, or not for a tokenizer (InvalidRequest)."""
    if len(body) > LARGE:
        await asyncio.to_thread(_check, body, most_depth)
    else:
        _check(body, most_depth)


def _check(body: bytes, most_depth: int) -> None:
    if body.count(b",") > MOST_VALUES or body.count(b"[") + body.count(b"{") > most_depth:
        marks = structure(body)
        if np.count_nonzero(marks == ord(",")) > MOST_VALUES:
            raise TooLarge(f"The JSON holds more than {MOST_VALUES} values.", code="too_many_values")
        if depth(marks) > most_depth:
            raise InvalidRequest(f"The JSON is nested deeper than {most_depth} levels.", code="json_too_deep")
    if b"\x00" in body:
        raise InvalidRequest("The request body holds a NUL byte.", code="invalid_json")
    if _SUSPECT.search(body):
        _check_strings(body)


def structure(body: bytes) -> Codes:
    """The commas and brackets of JSON text outside of its strings, in time and memory linear in the text."""
    codes = np.frombuffer(body.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    within = np.cumsum(codes == ord('"'), dtype=np.uint8) & 1
    marks: Codes = codes[_MARKS[codes] & (within == 0)]
    return marks


def depth(marks: Codes) -> int:
    """How deep the brackets in `marks` nest."""
    brackets = marks[marks != ord(",")]
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), np.int8(1), np.int8(-1))
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _check_strings(body: bytes) -> None:
    """Escapes that look like NUL or half a surrogate pair were seen: look at the strings themselves."""
    try:
        value = json.loads(body)
    except ValueError:
        return
    pending: list[Any] = [value]
    while pending:
        found = pending.pop()
        if isinstance(found, dict):
            pending.extend(found)
            pending.extend(found.values())
        elif isinstance(found, list):
            pending.extend(found)
        elif isinstance(found, str) and not is_plain(found):
            raise InvalidRequest(
                "A string holds a NUL character or half of a surrogate pair.", code="invalid_string"
            )


def is_plain(text: str) -> bool:
    """Whether text has no NUL and can be written as UTF-8."""
    return _UNFIT.search(text) is None


def _length(headers: Headers) -> int:
    given = headers.get("content-length", "")
    return int(given) if given.isdecimal() and len(given) < 20 else 0


def _is_json(headers: Headers) -> bool:
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


async def _discard(headers: Headers, receive: Receive) -> None:
    """Read an oversize body without keeping it; a client that asks first is spared the sending."""
    if "100-continue" in headers.get("expect", "").lower():
        return
    until = time.monotonic() + DISCARD_S
    while time.monotonic() < until:
        try:
            message = await asyncio.wait_for(receive(), until - time.monotonic())
        except TimeoutError:
            return
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
