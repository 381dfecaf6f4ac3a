"""Opens the one SQLite file of a keeper's directory, and keeps other processes out of it. Knows no table."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.messages import Locked

FILENAME = "store.sqlite3"
BUSY_TIMEOUT_S = 30.0


class DirectoryLock:
    """An exclusive lock on a directory, held until `release` or until the process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises Locked, naming the process that has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise Locked(
                f"{self._path.parent} is open in process {holder}: use that server, or stop it first"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others in. Harmless when the lock is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def sync_names(directory: Path) -> None:
    """The names in a directory are on disk when this returns: what was created or renamed there lasts."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(directory: Path, filename: str = FILENAME) -> sqlite3.Connection:
    """A connection in autocommit mode: durable at every commit, deleted bytes overwritten, foreign keys on.

    It may be used by one thread at a time, whichever it is.
    """
    connection = sqlite3.connect(
        directory / filename, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """Commit what the block did, or nothing of it. `kind` DEFERRED gives reads one unchanging view."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield connection
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the database and empty it; False if a reader was in the way."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite(connection: sqlite3.Connection) -> bool:
    """Write the whole database anew and empty the log; False if a reader was in the way.

    SQLite overwrites what is deleted where it stands, but moving a row from page to page can leave a copy in
    the unused part of the old page, which only this removes. It takes about as long as copying the file, and
    as much memory as the file is long.
    """
    connection.execute("VACUUM")
    connection.execute("DELETE FROM facts WHERE name = 'rewrite'")
    return checkpoint(connection)


def to_rewrite(connection: sqlite3.Connection) -> None:
    """The database is to be written anew: at the next start, if the program ends before it is done."""
    connection.execute("INSERT OR REPLACE INTO facts VALUES ('rewrite', '1')")


def rewrite_is_due(connection: sqlite3.Connection) -> bool:
    """Whether the program ended before the database was written anew."""
    return connection.execute("SELECT 1 FROM facts WHERE name = 'rewrite'").fetchone() is not None


def next_number(connection: sqlite3.Connection, table: str) -> int:
    """The number of a table's next row, where AUTOINCREMENT never gives one twice. Inside a transaction."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 1 if row is None else int(row["seq"]) + 1
