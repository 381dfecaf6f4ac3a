"""Users move between partitions with all that is theirs, whenever the moving is cut short."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.keepers import routed
from actors.memory import fulltext, layout, memory_index, moving, rebalance
from actors.memory.database import DirectoryLock, connect
from actors.memory.layout import Layout, opened
from actors.memory.partitions import directory_of, partition_of
from actors.memory.rebalance import Progress, Rebalanced
from actors.memory.records import Forgetting, Judged, NewMemory
from actors.messages import InvalidRequest, Locked, NotReady
from configs.schema import DocumentSettings

EXACT = DocumentSettings(vector_cache=False)
USERS = tuple(f"user-{number}" for number in range(8))
ROOT = Path(__file__).parents[3]


class Killed(BaseException):
    """The program ends here."""


@asynccontextmanager
async def running(home: Path, partitions: int) -> AsyncIterator[Keeper]:
    with opened(home, partitions) as directories:
        keeper = routed([Keeper(directory, EXACT) for directory in directories])
        await keeper.start()
        try:
            yield keeper
        finally:
            await keeper.close()


async def fill(keeper: Keeper, user: str, adder: Any, vectors_of: Any) -> None:
    """A bit of everything, with edits and deletions, so that numbers have gaps."""
    add = adder(keeper)
    gone = await add("gone.txt", "nothing", user=user, event="d0")
    kept = await add("a.txt", f"the harbour of {user}\nopens at dawn", user=user, event="d1")
    await add("empty.txt", "", user=user, event="d2")
    await keeper.create_store(user, "s", "mine", [kept.id], {"of": user})
    await keeper.delete_file(user, gone.id)
    told = [
        NewMemory(text=f"I live in {city}.", said_at=1000.0 + n) for n, city in enumerate(("Varn", "Porto"))
    ]
    turns = await keeper.remember(user, "m1", told, vectors_of(2, 3), session="s1", agent="a")
    note = NewMemory(text=f"{user} likes tea", kind="note", pinned=True, metadata={"x": [1]}, expires_at=9e9)
    (noted,) = await keeper.remember(user, "m2", [note])
    (doomed,) = await keeper.remember(user, "m3", [NewMemory(text="a secret word")])
    await keeper.update_memory(user, "m4", noted.id, text=f"{user} likes coffee", importance=0.9)
    await keeper.used(user, [turns[0].id])
    await keeper.forget(user, "m5", Forgetting(ids=(doomed.id,)))
    await keeper.set_consent(user, "m6", training=True, shared=True)
    await keeper.put_feedback(user, "m7", "c", correction=f"{user} keeps bees.", known=True)
    asked = [{"role": "user", "content": "Who are you?"}]
    await keeper.put_comparison(user, "m8", asked, [Judged("A model."), Judged(f"No friend of {user}.")])


async def known(keeper: Keeper, user: str) -> Any:
    """All that can be asked of a user, as plain values."""
    files = await keeper.list_files(user)
    memories = (await keeper.list_memories(user)).memories
    return {
        "files": files,
        "bodies": [
            (await keeper.file_text(user, one.id), await keeper.file_content(user, one.id)) for one in files
        ],
        "stores": await keeper.list_stores(user),
        "found": [p.text for p in await keeper.search(user, "harbour", np.eye(1, 16, dtype=np.float32)[0])],
        "memories": memories,
        "history": [await keeper.memory_history(user, one.id) for one in memories],
        "facts": await keeper.facts(user, history=True),
        "recent": await keeper.recent_turns(user, "s1"),
        "tombstones": await keeper.tombstones(user),
        "stats": await keeper.memory_stats(user),
        "consent": await keeper.consent(user),
        "learnable": [{**one, "cursor": ""} for one in await keeper.learnable(user)],
    }


async def filled(home: Path, partitions: int, adder: Any, vectors_of: Any) -> dict[str, Any]:
    async with running(home, partitions) as keeper:
        for user in USERS:
            await fill(keeper, user, adder, vectors_of)
        await keeper.remember("nobody", "n1", [NewMemory(text="a secret word")])
        await keeper.forget("nobody", "n2", Forgetting(everything=True))
        return await everything(keeper)


async def everything(keeper: Keeper) -> dict[str, Any]:
    found = {user: await known(keeper, user) for user in USERS}
    return {**found, "nobody": await keeper.tombstones("nobody"), "untold": sorted(await keeper.untold())}


def holders(home: Path) -> dict[str, list[int]]:
    """The partitions that have rows of each user, with all indexes checked."""
    found: dict[str, list[int]] = {}
    for path in sorted((home / "keepers").glob("*/store.sqlite3")):
        connection = connect(path.parent)
        for row in connection.execute("SELECT id, name FROM users").fetchall():
            found.setdefault(row["name"], []).append(int(path.parent.name))
            assert fulltext.check(connection, row["id"])
            assert memory_index.check(connection, row["id"])
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        connection.close()
    return found


async def same_as(home: Path, partitions: int, before: dict[str, Any]) -> None:
    assert layout.read(home) == Layout(partitions)
    belongs = {user: [partition_of(user, partitions)] for user in USERS}
    found = holders(home)
    assert {user: found[user] for user in USERS} == belongs
    async with running(home, partitions) as keeper:
        assert await everything(keeper) == before
        (retried,) = await keeper.remember(USERS[0], "m2", [NewMemory(text="another")])
        assert retried.id in {one.id for one in before[USERS[0]]["memories"]}
        assert await keeper.forgotten("nobody", ["n1"]) == {"n1"}


async def test_users_move_with_all_that_is_theirs(tmp_path: Path, adder: Any, vectors_of: Any) -> None:
    before = await filled(tmp_path, 1, adder, vectors_of)
    seen: list[Progress] = []
    done = rebalance.rebalance(tmp_path, 3, seen.append)
    moved = sum(partition_of(user, 3) != 0 for user in USERS) + (partition_of("nobody", 3) != 0)
    assert done == Rebalanced(3, moved, len(USERS) + 1)
    assert [one.step for one in seen] == ["copy"] * moved + ["remove"] * moved
    assert {one.total for one in seen} == {moved}
    await same_as(tmp_path, 3, before)
    assert rebalance.rebalance(tmp_path, 3) == Rebalanced(3, 0, len(USERS) + 1)
    rebalance.rebalance(tmp_path, 2)
    assert not directory_of(tmp_path, 2).exists()
    await same_as(tmp_path, 2, before)
    rebalance.rebalance(tmp_path, 1)
    await same_as(tmp_path, 1, before)


async def test_no_byte_of_who_moved_stays_behind(tmp_path: Path, adder: Any, vectors_of: Any) -> None:
    await filled(tmp_path, 1, adder, vectors_of)
    mover = next(user for user in USERS if partition_of(user, 2) == 1)
    rebalance.rebalance(tmp_path, 2)
    left = b"".join(path.read_bytes() for path in directory_of(tmp_path, 0).rglob("*") if path.is_file())
    come = b"".join(path.read_bytes() for path in directory_of(tmp_path, 1).rglob("*") if path.is_file())
    for text in (f"{mover} likes coffee", f"the harbour of {mover}"):
        assert text.encode() in come
        assert text.encode() not in left


@pytest.mark.parametrize("seed", range(4))
async def test_cut_short_at_any_step_it_goes_on(
    tmp_path: Path, adder: Any, vectors_of: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Each of the steps that change something fails once, before or after it was done."""
    before = await filled(tmp_path, 1, adder, vectors_of)
    chance = random.Random(seed)
    for target in (3, 2):
        cuts = 0
        while layout.read(tmp_path) != Layout(target):
            module, name = chance.choice(
                [
                    (layout, "write"),
                    (moving, "copy"),
                    (moving, "remove"),
                    (moving, "digest"),
                    (rebalance.shutil, "rmtree"),
                ]
            )
            _fail_once(monkeypatch, module, name, after=chance.randint(0, 6), late=chance.random() < 0.5)
            try:
                rebalance.rebalance(tmp_path, target)
            except Killed:
                cuts += 1
                with pytest.raises(NotReady), opened(tmp_path, target):
                    pass
            monkeypatch.undo()
        await same_as(tmp_path, target, before)


def _fail_once(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: int, late: bool) -> None:
    real = getattr(module, name)
    calls = 0

    def failing(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= after:
            return real(*args)
        if late:
            real(*args)
        raise Killed

    monkeypatch.setattr(module, name, failing)


async def test_killed_with_9_it_goes_on(tmp_path: Path, adder: Any, vectors_of: Any) -> None:
    before = await filled(tmp_path, 1, adder, vectors_of)
    code = (
        "import sys; from pathlib import Path; from actors.memory.rebalance import rebalance\n"
        "def tell(progress): print(progress.step, progress.done, flush=True)\n"
        "print(rebalance(Path(sys.argv[1]), int(sys.argv[2]), tell), flush=True)"
    )
    kills = 0
    for target, patience in ((3, 1), (2, 1)):
        ended = False
        while not ended:
            command = [sys.executable, "-c", code, str(tmp_path), str(target)]
            process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
            assert process.stdout is not None
            for _ in range(patience):
                line = await process.stdout.readline()
            if line and not line.startswith(b"Rebalanced"):
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
            else:
                ended = True
            await process.communicate()
            patience += 2
        await same_as(tmp_path, target, before)
    assert kills > 2


async def test_a_running_server_is_left_alone(tmp_path: Path, adder: Any, vectors_of: Any) -> None:
    async with running(tmp_path, 1):
        with pytest.raises(Locked, match=f"process {os.getpid()}"):
            rebalance.rebalance(tmp_path, 2)
    lock = DirectoryLock(directory_of(tmp_path, 0))
    lock.acquire()
    with pytest.raises(Locked):
        rebalance.rebalance(tmp_path, 2)
    lock.release()
    assert layout.read(tmp_path) == Layout(1)


async def test_one_moving_is_ended_before_another_begins(
    tmp_path: Path, adder: Any, vectors_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(tmp_path, 1, adder, vectors_of)
    _fail_once(monkeypatch, moving, "copy", after=2, late=True)
    with pytest.raises(Killed):
        rebalance.rebalance(tmp_path, 3)
    monkeypatch.undo()
    with pytest.raises(InvalidRequest, match="--partitions 3"):
        rebalance.rebalance(tmp_path, 2)
    rebalance.rebalance(tmp_path, 3)
    assert layout.read(tmp_path) == Layout(3)


def test_an_empty_directory_gets_its_layout(tmp_path: Path) -> None:
    assert rebalance.rebalance(tmp_path, 2) == Rebalanced(2, 0, 0)
    assert layout.read(tmp_path) == Layout(2)
    with pytest.raises(InvalidRequest):
        rebalance.rebalance(tmp_path, 0)


async def test_what_cannot_be_moved_is_said_and_left(tmp_path: Path, adder: Any, vectors_of: Any) -> None:
    with opened(tmp_path, 1):
        pass
    stray = directory_of(tmp_path, 1)
    stray.mkdir()
    (stray / "store.sqlite3").touch()
    with pytest.raises(NotReady, match="of no known layout"):
        rebalance.rebalance(tmp_path, 2)
    (stray / "store.sqlite3").unlink()
    (directory_of(tmp_path, 0) / "store.sqlite3").write_bytes(b"torn" * 1000)
    with pytest.raises(NotReady, match="cannot be used"):
        rebalance.rebalance(tmp_path, 2)


async def test_vectors_of_two_widths_are_not_mixed(tmp_path: Path) -> None:
    async with running(tmp_path, 2) as keeper:
        for user in USERS:
            width = 4 + partition_of(user, 2)
            await keeper.remember(user, "e", [NewMemory(text="hello")], np.ones((1, width), np.float32))
    with pytest.raises(InvalidRequest, match=r"4 dimensions|5 dimensions"):
        rebalance.rebalance(tmp_path, 1)


def test_every_table_is_moved_or_known_to_stay(tmp_path: Path) -> None:
    from actors.memory.migrations import migrate

    connection = connect(tmp_path)
    migrate(connection)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == {table.name for table in moving.TABLES} | moving.NOT_MOVED
    for table in moving.TABLES:
        links = connection.execute("SELECT * FROM pragma_foreign_key_list(?)", (table.name,)).fetchall()
        declared = {row["from"]: row["table"] for row in links if row["table"] != "users"}
        assert declared.items() <= table.refers.items()
        rows = connection.execute("SELECT * FROM pragma_table_info(?)", (table.name,)).fetchall()
        keys = [row["name"] for row in rows if row["pk"] and row["type"] == "INTEGER"]
        assert set(keys) <= {table.number, "user", *table.refers}
    connection.close()
