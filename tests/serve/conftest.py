"""The application over real parts, in Ray Serve, for the whole run."""

import socket
from collections.abc import Iterator

import pytest

from cluster.runtime import Ray


@pytest.fixture(scope="session")
def ray_url(ray_runtime: Ray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of the application behind Ray Serve's proxy, with the scripted engine and hashed words."""
    from configs.schema import EngineSettings, ModelSettings, Settings
    from serve.app import deployed

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    settings = Settings(
        home=tmp_path_factory.mktemp("serve-home"),
        port=port,
        engine=EngineSettings(kind="scripted"),
        models=ModelSettings(embedder="hash"),
    )
    with deployed(settings):
        yield f"http://127.0.0.1:{port}"
