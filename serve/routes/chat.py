"""POST /v1/chat/completions."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from actors.identity import reply_id
from serve.auth import acting_user
from serve.chat import plan_chat
from serve.generation import Turn, deltas
from serve.openapi import CHAT_RESPONSES
from serve.replies import chat_chunks, chat_reply
from serve.services import ServicesDep, UserDep
from serve.streams import GONE_STATUS, ClientGone, EventStream, primed, while_there
from serve.swap import version_header
from serve.wire import ChatRequest

router = APIRouter(prefix="/v1", tags=["chat"])


@router.post("/chat/completions", response_model=None, responses=CHAT_RESPONSES)
async def create_chat_completion(
    body: ChatRequest, request: Request, services: ServicesDep, user: UserDep
) -> Response:
    """Answer a conversation, whole or as server-sent events."""
    state = request.app.state
    acting = acting_user(user, body.user, services.settings)
    id = reply_id("chatcmpl-", acting, request.state.request_id, await request.body())
    turn = await plan_chat(services, state.catalog, acting, body, id)
    headers = {**note_headers(turn), **version_header(turn.chosen)}
    interval_s = services.settings.serve.stream_interval_ms / 1000 if body.stream else 0.0
    source = deltas(services, state.metrics, turn, interval_s)
    try:
        if body.stream:
            started = await while_there(request.receive, primed(source))
            return EventStream(chat_chunks(turn, started), headers)
        return JSONResponse(await while_there(request.receive, chat_reply(turn, source)), headers=headers)
    except ClientGone:
        return Response(status_code=GONE_STATUS)


def note_headers(turn: Turn) -> dict[str, str]:
    """What was done otherwise than asked, as Warning headers say it."""
    return {"warning": ", ".join(f'199 - "{note}"' for note in turn.notes)} if turn.notes else {}
