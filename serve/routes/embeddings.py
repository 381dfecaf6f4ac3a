"""POST /v1/embeddings."""

import base64
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from actors.messages import InvalidRequest
from serve.openapi import EMBEDDING_RESPONSES
from serve.services import ServicesDep
from serve.wire import EmbeddingRequest

router = APIRouter(prefix="/v1", tags=["embeddings"])


@router.post("/embeddings", response_model=None, responses=EMBEDDING_RESPONSES)
async def create_embeddings(body: EmbeddingRequest, request: Request, services: ServicesDep) -> JSONResponse:
    """Vectors of unit length, one for each text."""
    request.app.state.catalog.check_embedder(body.model)
    texts = _texts(body)
    vectors = await services.embedder.embed(texts)
    if body.dimensions not in (None, vectors.shape[1]):
        raise InvalidRequest(
            f"This model's vectors have {vectors.shape[1]} dimensions; other numbers are not available.",
            "dimensions",
            "unsupported_value",
        )
    tokens = await services.embedder.count(texts)
    rows: list[Any] = vectors.tolist()
    if body.encoding_format == "base64":
        rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": body.model, "usage": usage})


def _texts(body: EmbeddingRequest) -> list[str]:
    found = [body.input] if isinstance(body.input, str) else body.input
    texts = [text for text in found if isinstance(text, str)]
    if len(texts) < len(found):
        raise InvalidRequest(
            "Token ids cannot be embedded: send text, as this model has a vocabulary of its own.",
            "input",
            "unsupported_value",
        )
    if not all(texts):
        raise InvalidRequest("input cannot be an empty string.", "input", "invalid_value")
    return texts
