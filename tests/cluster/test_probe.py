import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster.probe import generation
from cluster.running import Running, this_process, write_note
from configs.schema import EngineSettings, Settings


def _settings(tmp_path: Path, **engine: object) -> Settings:
    return Settings(home=tmp_path, engine=EngineSettings.model_validate(engine))


def _note(settings: Settings, port: int) -> None:
    pid, started = this_process()
    url = f"http://127.0.0.1:{port}"
    write_note(
        settings.home,
        Running(pid=pid, started_at=started, host="127.0.0.1", port=port, url=url, mode="local"),
    )


class Answers(BaseHTTPRequestHandler):
    """Answers every POST with the server's `status`."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Any]:
    listening = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield listening
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_a_token_comes_from_an_engine_in_its_own_process(tmp_path: Path) -> None:
    finding = generation(_settings(tmp_path, kind="scripted"))
    assert finding.ok
    assert "one token by scripted" in finding.detail


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    finding = generation(_settings(tmp_path, kind="torch"))
    assert finding.ok is False
    assert finding.detail.endswith("run: pal models pull smollm2-135m")


def test_an_engine_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    finding = generation(_settings(tmp_path, kind="scripted"), timeout_s=0.01)
    assert finding.ok is False
    assert "nothing in" in finding.detail


@pytest.mark.parametrize(("status", "ok"), [(200, True), (500, False)])
def test_a_server_that_runs_is_asked_instead(tmp_path: Path, server: Any, status: int, ok: bool) -> None:
    settings = _settings(tmp_path)
    server.status = status
    _note(settings, server.server_port)
    assert generation(settings).ok is ok


def test_a_server_that_does_not_answer_fails(tmp_path: Path, free_port: int) -> None:
    settings = _settings(tmp_path)
    _note(settings, free_port)
    assert "does not answer" in generation(settings).detail


@pytest.mark.slow
@pytest.mark.model
def test_a_token_comes_from_the_real_model(tmp_path: Path, model_dir: Path) -> None:
    finding = generation(_settings(tmp_path, kind="torch", model=str(model_dir)))
    assert finding.ok, finding
