import json
import subprocess
import sys
from pathlib import Path

import pytest

from actors.memory import layout
from actors.memory.layout import Layout, opened
from actors.messages import InvalidRequest, Locked, NotReady


def held(home: Path) -> object:
    return json.loads((home / "keepers" / "layout.json").read_text())


def test_the_first_start_fixes_the_number_of_partitions(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with opened(home, 3) as directories:
        assert directories == [home / "keepers" / name for name in "012"]
    assert held(home) == {"partitions": 3, "version": 1}
    with opened(home, 3):
        pass
    with (
        pytest.raises(NotReady, match=r"spread over 3: .*pal memory rebalance --partitions 2"),
        opened(home, 2),
    ):
        pass


@pytest.mark.parametrize("cut", [Layout(2, copying_to=3), Layout(3, clearing_from=2)])
def test_partitions_in_between_are_refused_until_they_are_done(tmp_path: Path, cut: Layout) -> None:
    with opened(tmp_path, 2):
        layout.write(tmp_path, cut)
    assert layout.read(tmp_path) == cut
    for asked in (2, 3):
        with pytest.raises(NotReady, match=r"cut short.*rebalance --partitions 3"), opened(tmp_path, asked):
            pass


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from actors.memory.layout import opened\n"
        "with opened(Path(sys.argv[1]), 1): print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Locked, match=f"process {other.pid}"), opened(tmp_path, 1):
            pass
        other.kill()
    with opened(tmp_path, 1):
        pass


def test_what_cannot_be_understood_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path, 1):
        pass
    path = tmp_path / "keepers" / "layout.json"
    path.write_text('{"partitions": 1, "version": 2}')
    with pytest.raises(InvalidRequest, match="version 2"):
        layout.read(tmp_path)
    for torn in (
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 1, "partitions": "1"}',
        '{"version": 1, "partitions": 0}',
    ):
        path.write_text(torn)
        with pytest.raises(NotReady, match="damaged"):
            layout.read(tmp_path)


def test_a_lost_layout_is_not_guessed(tmp_path: Path) -> None:
    for number in (0, 1):
        (tmp_path / "keepers" / str(number)).mkdir(parents=True)
        (tmp_path / "keepers" / str(number) / "store.sqlite3").touch()
    with pytest.raises(NotReady, match="partitions 0, 1: restore it"), opened(tmp_path, 2):
        pass
