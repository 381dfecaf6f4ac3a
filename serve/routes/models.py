"""/v1/models: the names that requests may use, and the end of those that were trained here."""

from typing import Any

from fastapi import APIRouter, Request

from actors.messages import Forbidden
from serve.catalog import unknown_model
from serve.openapi import MODEL_RESPONSES, MODELS_RESPONSES
from serve.routes.files import Deleted
from serve.services import ServicesDep, UserDep

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", response_model=None, responses=MODELS_RESPONSES)
async def list_models(request: Request, user: UserDep) -> dict[str, Any]:
    """The served model, the user's own trained from it, and the embedding model."""
    return {"object": "list", "data": [_card(*one) for one in (await _models(request, user)).items()]}


@router.get("/models/{model_id:path}", response_model=None, responses=MODEL_RESPONSES)
async def get_model(model_id: str, request: Request, user: UserDep) -> dict[str, Any]:
    """One model."""
    models = await _models(request, user)
    if model_id not in models:
        raise unknown_model(model_id, request.app.state.catalog.base)
    return _card(model_id, models[model_id])


@router.delete("/models/{model_id:path}")
async def delete_model(model_id: str, request: Request, services: ServicesDep, user: UserDep) -> Deleted:
    """Delete a model that was trained here."""
    catalog = request.app.state.catalog
    if model_id in (catalog.base, catalog.embedder):
        raise Forbidden("Only models that were fine-tuned here can be deleted.", "model")
    await services.adapters.remove(catalog.owner(user), model_id)
    return Deleted(id=model_id, object="model")


async def _models(request: Request, user: str) -> dict[str, int]:
    found: dict[str, int] = await request.app.state.catalog.created(user, request.app.state.started)
    return found


def _card(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "palimpsest"}
