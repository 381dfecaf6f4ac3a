"""Takes over the document store of earlier versions as the first partition. Knows no table."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from actors.memory.database import FILENAME, DirectoryLock, checkpoint, connect, sync_names
from actors.memory.migrations import check_version
from actors.memory.partitions import directory_of
from actors.messages import NotReady

FORMER_FILENAME = "documents.sqlite3"
CACHE = "vectors"


def adopt(home: Path) -> None:
    """Move `documents/documents.sqlite3` and its cache to partition 0; nothing where there is none.

    Renaming the database, its log empty, is the one step that counts: before it the store is where it was,
    after it where it belongs, whenever the program is ended. Raises Locked, NotReady, InvalidRequest.
    """
    former, first = home / "documents", directory_of(home, 0)
    database = former / FORMER_FILENAME
    if not any((former / name).exists() for name in (FORMER_FILENAME, CACHE, "lock")):
        return
    lock = DirectoryLock(former)
    lock.acquire()
    try:
        if database.exists():
            first.mkdir(exist_ok=True, mode=0o700)
            _check_free(database, first / FILENAME)
            _empty_log(database)
            sync_names(first.parent)
            database.rename(first / FILENAME)
            sync_names(first)
            sync_names(former)
        _adopt_cache(former / CACHE, first / CACHE)
        _clear(former)
    finally:
        lock.release()


def _check_free(database: Path, target: Path) -> None:
    if target.exists():
        raise NotReady(
            f"{database} and {target} are both there, as after running an older version again: move one of "
            "them away"
        )


def _empty_log(database: Path) -> None:
    log = database.with_name(database.name + "-wal")
    try:
        with closing(connect(database.parent, database.name)) as connection:
            check_version(connection)
            checkpoint(connection)
    except sqlite3.DatabaseError as error:
        raise NotReady(f"{database} cannot be opened ({error}): restore it from a backup") from error
    if log.exists() and log.stat().st_size:
        raise NotReady(f"{database} is in use: stop the program that uses it first")
    log.unlink(missing_ok=True)
    database.with_name(database.name + "-shm").unlink(missing_ok=True)


def _adopt_cache(former: Path, cache: Path) -> None:
    if former.exists() and not cache.exists():
        cache.parent.mkdir(exist_ok=True, mode=0o700)
        former.rename(cache)
    elif former.exists():
        shutil.rmtree(former)


def _clear(former: Path) -> None:
    (former / "lock").unlink(missing_ok=True)
    if not any(former.iterdir()):
        os.rmdir(former)
