"""Routes that tell how the server is: health, readiness, version, metrics. They never queue."""

import asyncio
from collections.abc import Awaitable
from importlib.metadata import version

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from actors.messages import Health, PalError
from serve.background import attempted
from serve.errors import ErrorReply
from serve.services import ServicesDep

READY_TIMEOUT_S = 5.0
router = APIRouter(tags=["system"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"model": ErrorReply}})
async def ready(services: ServicesDep) -> JSONResponse:
    """200 once generator, embedder, keeper and compressor are healthy; until then 503 with the reason."""
    names = ("generator", "embedder", "keeper", "compressor")
    found = await asyncio.gather(
        _ask(services.generator.health()),
        _ask(services.embedder.health()),
        _ask(services.keeper.health()),
        _ask(services.compressor.health()),
    )
    parts = {name: {"ok": one.ok, "detail": one.detail} for name, one in zip(names, found, strict=True)}
    sick = [
        f"{name}: {one.detail or 'not ready'}" for name, one in zip(names, found, strict=True) if not one.ok
    ]
    if not sick:
        return JSONResponse({"status": "ready", "parts": parts})
    error = {"message": "; ".join(sick), "type": "server_error", "param": None, "code": "not_ready"}
    retry = str(services.settings.serve.retry_after_s)
    return JSONResponse({"error": error, "parts": parts}, 503, {"retry-after": retry})


@router.get("/version")
async def show_version(services: ServicesDep) -> dict[str, str]:
    """Version of the program, and the engine and model it was told to serve."""
    engine = services.settings.engine
    return {"version": version("palimpsest"), "engine": engine.kind, "model": engine.model}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, services: ServicesDep) -> PlainTextResponse:
    """Prometheus's text format."""
    if services.jobs is not None:
        live = await attempted(services.jobs.live(), "asking what trains", READY_TIMEOUT_S)
        request.app.state.metrics.training(live or ())
    return PlainTextResponse(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


async def _ask(answer: Awaitable[Health]) -> Health:
    try:
        return await asyncio.wait_for(answer, READY_TIMEOUT_S)
    except TimeoutError:
        return Health(ok=False, detail=f"no answer within {READY_TIMEOUT_S:g} s")
    except PalError as error:
        return Health(ok=False, detail=error.message)
