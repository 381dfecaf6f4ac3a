"""The HTTP application: routes, and what stands around them. Knows not which server runs it."""

from importlib.metadata import version

from fastapi import FastAPI

from configs.schema import Settings
from serve.auth import Auth
from serve.catalog import Catalog, served_name
from serve.envelope import Envelope
from serve.errors import ERROR_RESPONSES, install
from serve.metrics import Metrics
from serve.routes import files, qa, system, vector_stores
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
    app.state.metrics = metrics
    for module in (system, files, vector_stores, qa):
        app.include_router(module.router)
    app.add_middleware(Auth, settings=settings)
    app.add_middleware(Envelope, metrics=metrics)
    return app


def attach(app: FastAPI, services: Services) -> None:
    """Give an application the services that its routes call."""
    app.state.services = services
    app.state.catalog = Catalog(services)
