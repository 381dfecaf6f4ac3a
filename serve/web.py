"""The HTTP application: routes, and what stands around them. Knows not which server runs it."""

from importlib.metadata import version

from fastapi import FastAPI

from actors.identity import Identity
from configs.schema import Settings
from serve.adapter_metrics import AdapterMetrics
from serve.auth import Auth
from serve.bodies import BodyGuard
from serve.catalog import Catalog, served_name
from serve.envelope import Envelope
from serve.errors import ERROR_RESPONSES, install
from serve.limits import Admission, Limits
from serve.metrics import Metrics
from serve.routes import (
    adapters,
    agents,
    chat,
    comparisons,
    completions,
    compress,
    consent,
    embeddings,
    feedback,
    files,
    fine_tuning,
    memories,
    models,
    qa,
    system,
    train,
    vector_stores,
    ws,
)
from serve.services import Services


def build_app(services: Services) -> FastAPI:
    """The application over these services."""
    app = create_app(services.settings)
    attach(app, services)
    return app


def create_app(settings: Settings) -> FastAPI:
    """The application before its services are there; `attach` gives it them, before the first request."""
    app = FastAPI(
        title="Palimpsest",
        version=version("palimpsest"),
        docs_url=None,
        redoc_url=None,
        responses=ERROR_RESPONSES,
    )
    install(app, settings.serve.retry_after_s)
    metrics = Metrics(served_name(settings))
    admission = Admission(settings.serve, metrics)
    app.state.metrics, app.state.admission = metrics, admission
    app.state.started = int(Identity(settings.serve.fixed_clock).now())
    for module in (
        system,
        chat,
        completions,
        compress,
        embeddings,
        models,
        ws,
        files,
        vector_stores,
        fine_tuning,
        adapters,
        qa,
        memories,
        feedback,
        comparisons,
        consent,
        train,
        agents,
    ):
        app.include_router(module.router)
    app.add_middleware(BodyGuard, settings=settings.serve)
    app.add_middleware(Limits, admission=admission, retry_after_s=settings.serve.retry_after_s)
    app.add_middleware(Auth, settings=settings)
    app.add_middleware(Envelope, metrics=metrics)
    return app


def attach(app: FastAPI, services: Services) -> None:
    """Give an application the services that its routes call."""
    app.state.services = services
    app.state.catalog = Catalog(services)
    app.state.metrics.also(AdapterMetrics(services.swap, services.watch))
