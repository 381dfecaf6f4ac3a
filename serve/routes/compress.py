"""POST /v1/compress."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse

from actors.compression.cost import Budget
from actors.messages import InvalidRequest
from serve.openapi import Reply
from serve.services import ServicesDep
from serve.wire import Body

router = APIRouter(prefix="/v1", tags=["compress"])

LONGEST_QUESTION = 4000
"""Characters."""
Place = Annotated[list[int], Field(min_length=2, max_length=2)]
"""Start and end, in characters."""
Text = Annotated[str, Field(json_schema_extra={"minLength": 1, "pattern": r"\S"})]
Auto = Annotated[str, Field(json_schema_extra={"enum": ["auto"]})]
Share = Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1})]


class CompressRequest(Body):
    """POST /v1/compress."""

    text: Text
    budget: Share | Auto
    question: Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)] | None = None
    force: bool | None = None


class CompressReply(Reply):
    """The shorter text, and the places of the original that it is made of."""

    text: str
    tokens_before: int
    tokens_after: int
    bypassed: bool
    kept: list[Place]
    budget: float
    over_budget: bool
    protected: int
    why: str


COMPRESS_RESPONSES: dict[int | str, dict[str, Any]] = {200: {"model": CompressReply}}


@router.post("/compress", response_model=None, responses=COMPRESS_RESPONSES)
async def compress(body: CompressRequest, request: Request, services: ServicesDep) -> JSONResponse:
    """Make a text shorter, to a share of the served model's tokens; what is protected stays whole."""
    found = await services.compressor.compress(
        body.text, _budget(body.budget), question=body.question, force=bool(body.force)
    )
    request.app.state.metrics.compressed(found)
    return JSONResponse(
        {
            "text": found.text,
            "tokens_before": found.tokens_before,
            "tokens_after": found.tokens_after,
            "bypassed": found.bypassed,
            "kept": [list(place) for place in found.kept],
            "budget": found.budget,
            "over_budget": found.over_budget,
            "protected": found.protected,
            "why": found.why,
        }
    )


def _budget(given: float | str) -> Budget:
    if isinstance(given, float):
        return given
    if given != "auto":
        raise InvalidRequest("budget is a share of the tokens, or 'auto'.", "budget", "invalid_value")
    return "auto"
