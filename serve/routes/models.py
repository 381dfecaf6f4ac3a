"""GET /v1/models: the names that requests may use."""

from typing import Any

from fastapi import APIRouter, Request

from serve.catalog import unknown_model
from serve.openapi import MODEL_RESPONSES, MODELS_RESPONSES

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", response_model=None, responses=MODELS_RESPONSES)
async def list_models(request: Request) -> dict[str, Any]:
    """The served model, its adapters, and the embedding model."""
    return {"object": "list", "data": [_card(name, request) for name in request.app.state.catalog.names()]}


@router.get("/models/{model_id:path}", response_model=None, responses=MODEL_RESPONSES)
async def get_model(model_id: str, request: Request) -> dict[str, Any]:
    """One model."""
    catalog = request.app.state.catalog
    if model_id not in catalog.names():
        raise unknown_model(model_id, catalog.base)
    return _card(model_id, request)


def _card(name: str, request: Request) -> dict[str, Any]:
    created: int = request.app.state.started
    return {"id": name, "object": "model", "created": created, "owned_by": "palimpsest"}
