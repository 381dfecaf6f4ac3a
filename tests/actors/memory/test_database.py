import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from actors.memory.database import DirectoryLock, checkpoint, connect, transaction
from actors.messages import Locked


def test_a_connection_is_durable_and_overwrites_what_it_deletes(tmp_path: Path) -> None:
    connection = connect(tmp_path)
    for pragma, value in (
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("secure_delete", 1),
    ):
        assert connection.execute(f"PRAGMA {pragma}").fetchone()[0] == value
    connection.close()


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    connection = connect(tmp_path)
    connection.execute("CREATE TABLE t (a UNIQUE)")
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.executemany("INSERT INTO t VALUES (?)", [(2,), (1,)])
    assert [row[0] for row in connection.execute("SELECT a FROM t")] == [1]
    connection.close()


def test_a_checkpoint_empties_the_log(tmp_path: Path) -> None:
    connection = connect(tmp_path)
    connection.execute("CREATE TABLE t (a)")
    log = tmp_path / "store.sqlite3-wal"
    assert log.stat().st_size > 0
    assert checkpoint(connection)
    assert log.stat().st_size == 0
    connection.close()


def test_the_lock_is_exclusive_and_goes_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from actors.memory.database import DirectoryLock; "
        "DirectoryLock(Path(sys.argv[1])).acquire(); print('locked', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "locked\n"
    lock = DirectoryLock(tmp_path)
    with pytest.raises(Locked, match=str(child.pid)):
        lock.acquire()
    child.kill()
    child.communicate()
    lock.acquire()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()
    lock.release()
