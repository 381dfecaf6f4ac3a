"""POST /v1/qa."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from actors.identity import reply_id
from serve.openapi import Reply, Usage
from serve.qa import Asked, answer
from serve.sampling import fingerprint
from serve.services import ServicesDep, UserDep
from serve.shortening import asked_for
from serve.streams import GONE_STATUS, ClientGone, while_there
from serve.swap import version_header
from serve.wire import Body, CompressionOptions

router = APIRouter(prefix="/v1", tags=["qa"])

LONGEST_QUESTION = 4000
"""Characters."""


class QaRequest(Body):
    """POST /v1/qa."""

    question: Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)]
    vector_store_ids: Annotated[list[str], Field(min_length=1, max_length=16)] | None = None
    k: Annotated[int, Field(ge=1, le=100)] | None = None
    max_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    model: Annotated[str, Field(max_length=256)] | None = None
    compression: CompressionOptions | None = None
    adapter: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class CitedPlace(Reply):
    """A quoted place: the document's text from start to end is the quote."""

    document_id: str
    filename: str
    start: int
    end: int
    quote: str
    score: float


class QaReply(Reply):
    """An answer and what it rests on; abstained: no quote and no citations."""

    answer: str
    quote: str
    abstained: bool
    support_score: float
    citations: list[CitedPlace]
    usage: Usage
    compression: Any = None
    system_fingerprint: str
    palimpsest: dict[str, Any]


QA_RESPONSES: dict[int | str, dict[str, Any]] = {200: {"model": QaReply}}


@router.post("/qa", response_model=None, responses=QA_RESPONSES)
async def answer_question(
    body: QaRequest, request: Request, services: ServicesDep, user: UserDep
) -> Response:
    """Answer a question from the documents, with quotes and their places, or abstain."""
    catalog = request.app.state.catalog
    model = body.model or catalog.base
    id = reply_id("qa-", user, request.state.request_id, await request.body())
    chosen = await catalog.chosen(user, user, model, body.adapter, id)
    asked = Asked(
        question=body.question,
        store_ids=body.vector_store_ids,
        k=body.k or services.settings.documents.results,
        max_tokens=body.max_tokens,
        model=model,
        id=id,
        chosen=chosen,
        shortening=asked_for(services, body.compression, question_aware=True),
    )
    work = answer(services, request.app.state.metrics, user, asked)
    try:
        found = (await while_there(request.receive, work)).as_json()
        extra = {"system_fingerprint": fingerprint(catalog, chosen), "palimpsest": {"adapter": chosen.name}}
        return JSONResponse({**found, **extra}, headers=version_header(chosen))
    except ClientGone:
        return Response(status_code=GONE_STATUS)
