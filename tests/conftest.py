"""Fixtures that every floor shares: a home for each test, Ray, and the models where they are on disk."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cluster.runtime import Ray

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
_REAL_HOME = os.environ.get("PAL_HOME")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("PAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several workers one has all that starts Ray, so that it starts once; a file stays on one."""
    for item in items:
        together = "ray" if item.get_closest_marker("ray") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(together))


def _pulled(alias: str) -> Path:
    from actors.messages import NotReady
    from actors.models.store import ModelStore
    from configs.load import load

    environ = {"PAL_HOME": _REAL_HOME} if _REAL_HOME else {}
    try:
        return ModelStore(load(environ=environ).settings).resolve(alias)
    except NotReady as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """Directory of the small language model; skips where it is not pulled."""
    return _pulled("smollm2-135m")


@pytest.fixture(scope="session")
def embedder_dir() -> Path:
    """Directory of the embedding model; skips where it is not pulled."""
    return _pulled("minilm-l6")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return _free_port()


@pytest.fixture(scope="session")
def ray_runtime(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Ray]":
    """One Ray for the whole run."""
    from cluster.runtime import ray_runtime as runtime
    from configs.schema import ClusterSettings, Settings

    settings = Settings(
        home=tmp_path_factory.mktemp("ray-home"),
        cluster=ClusterSettings(num_cpus=4, dashboard_port=_free_port()),
    )
    with runtime(settings) as running:
        yield running
