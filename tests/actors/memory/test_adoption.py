"""What earlier versions kept in `documents` becomes partition 0, whenever the adoption is cut short."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory import adoption, layout
from actors.memory.database import DirectoryLock
from actors.memory.layout import Layout, opened
from actors.messages import InvalidRequest, Locked, NotReady
from configs.schema import DocumentSettings

QUERY = np.eye(1, 16, dtype=np.float32)[0]


class Killed(BaseException):
    """The program ends here."""


async def kept(home: Path, adder: Any, *, vectors: bool = False) -> Path:
    """A state directory as earlier versions left it."""
    former = home / "documents"
    keeper = Keeper(former, DocumentSettings(vector_cache=vectors))
    await keeper.start()
    await adder(keeper)("a.txt", "the harbour opens at dawn\nthe tower is closed")
    await keeper.cache_settled()
    await keeper.close()
    (former / "store.sqlite3").rename(former / "documents.sqlite3")
    return former


async def found(home: Path, *, vectors: bool = False) -> list[str]:
    keeper = Keeper(home / "keepers" / "0", DocumentSettings(vector_cache=vectors))
    await keeper.start()
    await keeper.cache_settled()
    passages = await keeper.search("u", "harbour", QUERY)
    assert not vectors or (await keeper.health()).detail == "vector cache: ok"
    await keeper.close()
    return [passage.text for passage in passages]


async def test_it_is_taken_over_whole(tmp_path: Path, adder: Any) -> None:
    former = await kept(tmp_path, adder, vectors=True)
    seal = (former / "vectors" / "filled-from.json").read_text()
    with opened(tmp_path, 1) as (directory,):
        assert directory == tmp_path / "keepers" / "0"
        assert (directory / "vectors" / "filled-from.json").read_text() == seal
    assert not former.exists()
    assert layout.read(tmp_path) == Layout(1)
    assert len(await found(tmp_path, vectors=True)) == 2
    with opened(tmp_path, 1):
        pass


async def test_with_more_partitions_wanted_it_asks_for_a_rebalance(tmp_path: Path, adder: Any) -> None:
    await kept(tmp_path, adder)
    with pytest.raises(NotReady, match="pal memory rebalance --partitions 4"), opened(tmp_path, 4):
        pass
    with opened(tmp_path, 1):
        pass
    assert len(await found(tmp_path)) == 2


@pytest.mark.parametrize(
    "name", ["checkpoint", "sync_names", "_empty_log", "_adopt_cache", "_clear", "write"]
)
@pytest.mark.parametrize("late", [False, True])
async def test_a_kill_at_any_step_loses_nothing(
    tmp_path: Path, adder: Any, monkeypatch: pytest.MonkeyPatch, name: str, late: bool
) -> None:
    cache = await kept(tmp_path, adder) / "vectors"
    cache.mkdir()
    (cache / "filled-from.json").touch()
    module = layout if name == "write" else adoption
    real: Callable[..., Any] = getattr(module, name)

    def killed(*args: Any) -> Any:
        if late:
            real(*args)
        raise Killed

    monkeypatch.setattr(module, name, killed)
    with pytest.raises(Killed), opened(tmp_path, 1):
        pass
    monkeypatch.undo()
    with opened(tmp_path, 1):
        pass
    assert not (tmp_path / "documents").exists()
    assert (tmp_path / "keepers" / "0" / "vectors" / "filled-from.json").exists()
    assert len(await found(tmp_path)) == 2


async def test_a_log_that_was_not_written_back_is_not_left_behind(tmp_path: Path, adder: Any) -> None:
    former = await kept(tmp_path, adder)
    connection = sqlite3.connect(former / "documents.sqlite3", isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("UPDATE files SET filename = 'b.txt'")
    copies = {path.name: path.read_bytes() for path in former.glob("documents.sqlite3*")}
    connection.close()
    for name, content in copies.items():
        (former / name).write_bytes(content)
    assert len(copies["documents.sqlite3-wal"]) > 0
    with opened(tmp_path, 1) as (directory,):
        assert not list(directory.glob("*-wal"))
        with sqlite3.connect(directory / "store.sqlite3") as adopted:
            assert adopted.execute("SELECT filename FROM files").fetchall() == [("b.txt",)]


async def test_what_cannot_be_taken_over_stays_where_it_is(tmp_path: Path, adder: Any) -> None:
    former = await kept(tmp_path, adder)
    database = former / "documents.sqlite3"
    lock = DirectoryLock(former)
    lock.acquire()
    with pytest.raises(Locked, match="documents is open in process"), opened(tmp_path, 1):
        pass
    lock.release()
    with sqlite3.connect(database) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(InvalidRequest, match="version 99"), opened(tmp_path, 1):
        pass
    with sqlite3.connect(database) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    other = tmp_path / "keepers" / "0" / "store.sqlite3"
    other.write_bytes(b"")
    with pytest.raises(NotReady, match="are both there"), opened(tmp_path, 1):
        pass
    other.unlink()
    intact = database.read_bytes()
    database.write_bytes(b"torn" * 1000)
    with pytest.raises(NotReady, match="cannot be opened"), opened(tmp_path, 1):
        pass
    database.write_bytes(intact)
    with opened(tmp_path, 1):
        pass
    assert len(await found(tmp_path)) == 2


async def test_a_database_in_use_is_not_moved(tmp_path: Path, adder: Any) -> None:
    former = await kept(tmp_path, adder)
    connection = sqlite3.connect(former / "documents.sqlite3", isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM files").fetchall()
    with sqlite3.connect(former / "documents.sqlite3") as writing:
        writing.execute("UPDATE files SET filename = 'b.txt'")
    writing.close()
    with pytest.raises(NotReady, match="in use"), opened(tmp_path, 1):
        pass
    connection.close()
    with opened(tmp_path, 1):
        pass
