"""/mcp: a user's memories as tools for other agents, over streamable HTTP. Knows no verb."""

import asyncio
from typing import Any

import httpx
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from actors.messages import Json, PalError
from serve.services import services_of, user_of
from serve.verbs import Call

router = APIRouter(include_in_schema=False)
INNER = "http://127.0.0.1"
"""The host name of requests that never leave the process; every server takes it."""
HEADERS = ("authorization", "user-agent")
"""What a caller's own request to the memory routes would carry."""


@router.post("/mcp")
async def answer(request: Request) -> Response:
    """One message of the protocol and its answer, for the user whose key came with it."""
    return _Answer(request)


class _Answer(Response):
    """Written by the protocol's own library."""

    def __init__(self, request: Request) -> None:
        self._most = int(services_of(request).settings.serve.max_body_mib * 1024 * 1024)
        self.status_code = 200
        self.background = None
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        toolserver = await asyncio.to_thread(_library)
        await toolserver.respond(_ask, self._most, scope, receive, send)


def _library() -> Any:
    """Imported at the first use: it takes a second."""
    from serve import toolserver

    return toolserver


async def _ask(call: Call, request: Request) -> Json:
    """What the memory routes of this very application answer; they check everything as for anybody else."""
    user = {"user_id": user_of(request)}
    body = None if call.body is None else {**call.body, **(user if call.method == "POST" else {})}
    query = {} if call.method == "POST" else {**call.query, **user}
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    transport = httpx.ASGITransport(request.app, raise_app_exceptions=False, client=("127.0.0.1", 0))
    async with httpx.AsyncClient(transport=transport, base_url=INNER, timeout=None) as client:
        reply = await client.request(call.method, call.path, params=query, json=body, headers=headers)
    if reply.is_error:
        raise PalError(reply.json()["error"]["message"])
    return reply.json()
