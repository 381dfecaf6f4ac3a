"""WebSocket /v1/chat/ws: one chat request after another over one connection."""

import asyncio
import json
from contextlib import aclosing
from itertools import count

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from actors.identity import reply_id
from actors.messages import PalError, TooLarge
from serve.auth import acting_user
from serve.bodies import check_json
from serve.chat import plan_chat
from serve.errors import error_body, from_validation
from serve.generation import deltas
from serve.replies import chat_chunks
from serve.services import services_of, user_of
from serve.streams import primed
from serve.wire import ChatRequest

WAITING_MESSAGES = 16
"""Requests that a client may send ahead; reading then pauses."""
router = APIRouter()


@router.websocket("/v1/chat/ws")
async def chat_socket(socket: WebSocket) -> None:
    """Each message is a chat request; the answer is its chunks, then `{"done": true}`, or an error object."""
    await socket.accept()
    inbox: asyncio.Queue[str] = asyncio.Queue(WAITING_MESSAGES)
    reading = asyncio.create_task(_read(socket, inbox))
    answering = asyncio.create_task(_answer_all(socket, inbox))
    try:
        await asyncio.wait({reading, answering}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, answering):
            task.cancel()
        await asyncio.wait({reading, answering})
    if not answering.cancelled():
        answering.result()


async def _read(socket: WebSocket, inbox: asyncio.Queue[str]) -> None:
    """Returns when the client leaves."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        await inbox.put(message["bytes"].decode("utf-8", "replace") if text is None else text)


async def _answer_all(socket: WebSocket, inbox: asyncio.Queue[str]) -> None:
    admission = socket.app.state.admission
    for ordinal in count():
        text = await inbox.get()
        try:
            async with asyncio.timeout(admission.timeout_s) as limit, admission.slot():
                await _answer(socket, text, ordinal)
        except PalError as error:
            await socket.send_text(json.dumps(error_body(error)))
        except ValidationError as error:
            await socket.send_text(json.dumps(error_body(from_validation(error.errors()))))
        except TimeoutError:
            if not limit.expired():
                raise
            await socket.send_text(json.dumps(error_body(admission.timed_out())))
        except WebSocketDisconnect:
            return


async def _answer(socket: WebSocket, text: str, ordinal: int) -> None:
    services = services_of(socket)
    state = socket.app.state
    raw = text.encode("utf-8", "replace")
    if len(raw) > services.settings.serve.max_body_mib * 1024 * 1024:
        raise TooLarge("The message is larger than serve.max_body_mib allows.")
    await check_json(raw, services.settings.serve.max_json_depth)
    body = ChatRequest.model_validate_json(raw)
    acting = acting_user(user_of(socket), body.user, services.settings)
    id = reply_id("chatcmpl-", acting, socket.state.request_id, raw, ordinal)
    turn = await plan_chat(services, state.catalog, acting, body, id)
    interval_s = services.settings.serve.stream_interval_ms / 1000
    source = await primed(deltas(services, state.metrics, turn, interval_s))
    async with aclosing(chat_chunks(turn, source)) as chunks:
        async for chunk in chunks:
            await socket.send_text(chunk)
    await socket.send_text('{"done":true}')
