"""POST /v1/completions."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from actors.identity import reply_id
from serve.completions import completion_chunks, completion_reply, echoes, plan_completion
from serve.generation import deltas
from serve.openapi import COMPLETION_RESPONSES
from serve.services import ServicesDep, UserDep
from serve.streams import GONE_STATUS, ClientGone, EventStream, primed, while_there
from serve.swap import version_header
from serve.wire import CompletionRequest

router = APIRouter(prefix="/v1", tags=["completions"])


@router.post("/completions", response_model=None, responses=COMPLETION_RESPONSES)
async def create_completion(
    body: CompletionRequest, request: Request, services: ServicesDep, user: UserDep
) -> Response:
    """Continue text, whole or as server-sent events."""
    state = request.app.state
    id = reply_id("cmpl-", user, request.state.request_id, await request.body())
    turn = await plan_completion(services, state.catalog, user, body, id)
    before = echoes(turn, body)
    headers = version_header(turn.chosen)
    interval_s = services.settings.serve.stream_interval_ms / 1000 if body.stream else 0.0
    source = deltas(services, state.metrics, turn, interval_s)
    try:
        if body.stream:
            started = await while_there(request.receive, primed(source))
            return EventStream(completion_chunks(turn, started, before), headers)
        whole = await while_there(request.receive, completion_reply(turn, source, before))
        return JSONResponse(whole, headers=headers)
    except ClientGone:
        return Response(status_code=GONE_STATUS)
