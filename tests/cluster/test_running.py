import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from actors.messages import PalError
from cluster.running import Running, local_url, note_path, read_note, remove_note, this_process, write_note


@pytest.fixture
def ours() -> Running:
    pid, started_at = this_process()
    return Running(
        pid=pid, started_at=started_at, host="127.0.0.1", port=8000, url="http://127.0.0.1:8000", mode="local"
    )


def test_a_note_is_read_back_and_taken_away(tmp_path: Path, ours: Running) -> None:
    assert read_note(tmp_path) is None
    write_note(tmp_path, ours)
    assert read_note(tmp_path) == ours
    assert note_path(tmp_path).stat().st_mode & 0o077 == 0
    remove_note(tmp_path)
    assert read_note(tmp_path) is None


def test_a_dead_process_is_not_running(tmp_path: Path, ours: Running) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_note(tmp_path, replace(ours, pid=ended.pid))
    assert read_note(tmp_path) is None


def test_a_reused_pid_is_not_running(tmp_path: Path, ours: Running) -> None:
    write_note(tmp_path, replace(ours, started_at=ours.started_at - 100))
    assert read_note(tmp_path) is None


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    with pytest.raises(PalError, match="PAL_HOME"):
        read_note(home)


def test_another_process_note_stays(tmp_path: Path, ours: Running) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        import psutil

        write_note(tmp_path, replace(ours, pid=other.pid, started_at=psutil.Process(other.pid).create_time()))
        remove_note(tmp_path)
        assert note_path(tmp_path).exists()
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}'])
def test_a_damaged_note_is_none(tmp_path: Path, content: str) -> None:
    note_path(tmp_path).parent.mkdir()
    note_path(tmp_path).write_text(content)
    assert read_note(tmp_path) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::", "http://[::1]:1")],
)
def test_clients_of_this_machine_use_loopback(host: str, url: str) -> None:
    assert local_url(host, 1) == url
