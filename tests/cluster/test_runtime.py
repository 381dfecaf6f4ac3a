import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cluster import runtime
from cluster.runtime import Ray
from configs.schema import ClusterSettings, Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without a token; what the code sets in it is undone."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_token")
class TestToken:
    def test_one_is_made_for_this_user_alone(self, tmp_path: Path) -> None:
        path = runtime._token(Settings(home=tmp_path))
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(path.read_text()) == 64
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(path)

    def test_it_stays_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = runtime._token(Settings(home=tmp_path))
        monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
        assert first is not None
        kept = first.read_text()
        assert runtime._token(Settings(home=tmp_path)) == first
        assert first.read_text() == kept

    def test_one_that_the_environment_names_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/elsewhere/token")
        assert runtime._token(Settings(home=tmp_path)) == Path("/elsewhere/token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
        assert runtime._token(Settings(home=tmp_path)) is None
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("address", "here"),
    [("auto", True), ("127.0.0.1:6379", True), ("localhost:6379", True), ("10.0.0.1:6379", False)],
)
def test_code_travels_only_to_other_machines(address: str, here: bool) -> None:
    options = runtime._joining(Settings(cluster=ClusterSettings(address=address)))
    assert ("working_dir" not in options["runtime_env"]) is here


def test_a_job_keeps_the_code_that_it_was_submitted_with(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"runtime_env": {"working_dir": "gcs://_ray_pkg_1.zip"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    options = runtime._joining(Settings(cluster=ClusterSettings(address="10.0.0.1:6379")))
    assert options["runtime_env"] == {}


def test_the_agent_of_a_ray_takes_a_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    from ray._private import parameter

    fixed = parameter.RayParams
    started = []
    monkeypatch.setattr(ray, "init", lambda **_: started.append(parameter.RayParams()))
    runtime._connect({"address": "local"})
    assert [params.dashboard_agent_listen_port for params in started] == [0]
    assert parameter.RayParams is fixed


@pytest.mark.ray
def test_the_dashboard_is_on_loopback_and_asks_for_the_token(ray_runtime: Ray) -> None:
    import httpx

    assert ray_runtime.dashboard is not None
    assert ray_runtime.dashboard.startswith("http://127.0.0.1:")
    assert ray_runtime.token is not None
    url = f"{ray_runtime.dashboard}/api/jobs/"
    key = {"authorization": f"Bearer {ray_runtime.token.read_text()}"}
    with httpx.Client(timeout=60) as client:
        assert client.get(url).status_code == 401
        assert client.get(url, headers=key).status_code == 200


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.ray
def test_a_signal_to_the_group_stops_every_process_that_was_started(tmp_path: Path) -> None:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")},
        "PAL_HOME": str(tmp_path),
        "PAL_ENGINE__KIND": "scripted",
        "PAL_MODELS__EMBEDDER": "hash",
        "PAL_CLUSTER__DASHBOARD_PORT": str(_free_port()),
    }
    command = [sys.executable, "-m", "cluster", "up", "--json", "--port", str(_free_port())]
    server = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert server.stdout is not None
    ready = server.stdout.readline()
    assert ready, f"pal up ended with {server.wait(timeout=100)}"
    assert json.loads(ready)["status"] == "ready"
    family = psutil.Process(server.pid).children(recursive=True)
    assert len(family) > 3
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait(timeout=100) == 0
    assert [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert not (tmp_path / "run" / "server.json").exists()
