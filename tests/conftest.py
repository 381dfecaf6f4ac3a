"""Fixtures that every floor shares: a home of its own for each test, and the models where they are on disk."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
_REAL_HOME = os.environ.get("PAL_HOME")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("PAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAL_HOME", str(tmp_path / "home"))


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
