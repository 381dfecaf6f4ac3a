"""The vector cache with the real Chroma: it follows the database, and is never needed."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.keeper import Keeper
from actors.memory import outbox, upkeep
from actors.memory.documents import DocumentStore
from actors.memory.index import IndexFailed
from actors.memory.vectors import Matrices
from configs.schema import DocumentSettings


@asynccontextmanager
async def opened(directory: Path, *, cache: bool = True) -> AsyncIterator[Keeper]:
    keeper = Keeper(directory, DocumentSettings(vector_cache=cache))
    await keeper.start()
    yield keeper
    await keeper.close()


async def held(keeper: Keeper) -> Any:
    await keeper.cache_settled()
    return keeper._cache._index.ids()


async def truth(keeper: Keeper) -> Any:
    return await keeper._workers.read(outbox.truth)


async def test_it_follows_what_is_added_replaced_and_deleted(tmp_path: Path, adder: Any) -> None:
    async with opened(tmp_path) as keeper:
        add = adder(keeper)
        info = await add("a.txt", "one\ntwo")
        await add("a.txt", "one", user="other")
        assert await held(keeper) == {1: {1, 2}, 2: {3}}
        await add("a.txt", "three\nfour")
        assert await held(keeper) == {1: {4, 5}, 2: {3}}
        await keeper.delete_file("u", info.id)
        assert await held(keeper) == {2: {3}} == await truth(keeper)
        assert (await keeper.health()).detail == "vector cache: ok"


async def test_closing_right_after_a_change_ends(tmp_path: Path, adder: Any) -> None:
    keeper = Keeper(tmp_path, DocumentSettings())
    await keeper.start()
    add = adder(keeper)
    await add("a.txt", "one")
    await keeper.delete_file("u", (await add("b.txt", "two")).id)
    await keeper.cache_settled()
    changed = keeper._cache._changed
    while changed.is_set() or not changed._waiters:  # noqa: ASYNC110
        await asyncio.sleep(0)

    async def add_and_close() -> None:
        await add("c.txt", "three")
        await keeper.close()

    done, _ = await asyncio.wait({asyncio.create_task(add_and_close())}, timeout=20)
    assert done


async def test_on_a_small_set_it_finds_what_comparing_all_finds(
    tmp_path: Path, adder: Any, vectors_of: Any
) -> None:
    async with opened(tmp_path) as keeper:
        await adder(keeper)("a.txt", "\n".join(f"line {number}" for number in range(300)))
        await keeper.cache_settled()

        def both(connection: Any, query: Any) -> Any:
            exact = DocumentStore(connection, Matrices(1 << 20)).nearest("u", query, None, 10)
            cached = DocumentStore(connection, Matrices(1 << 20), keeper._cache, exact_limit=10)
            return [chunk for chunk, _ in exact], [chunk for chunk, _ in cached.nearest("u", query, None, 10)]

        for query in vectors_of(20, 5):
            exact, cached = await keeper._workers.read(both, query)
            assert cached == exact


@pytest.mark.parametrize("harm", ["lost", "torn", "foreign", "stale", "unsealed"])
async def test_it_is_filled_again_from_the_database(tmp_path: Path, adder: Any, harm: str) -> None:
    async with opened(tmp_path) as keeper:
        await adder(keeper)("a.txt", "one\ntwo")
        assert await held(keeper) == {1: {1, 2}}
    vectors = tmp_path / "vectors"
    if harm == "lost":
        shutil.rmtree(vectors)
    elif harm == "torn":
        (vectors / "chroma.sqlite3").write_bytes(b"torn" * 1000)
    elif harm == "foreign":
        (vectors / "filled-from.json").write_text('{"identity": "another", "format": 1}')
    elif harm == "unsealed":
        (vectors / "filled-from.json").unlink()
    else:
        async with opened(tmp_path, cache=False) as keeper:
            await adder(keeper)("b.txt", "three", event="later")
            await keeper._workers.write(lambda connection: connection.execute("DELETE FROM outbox"))
    async with opened(tmp_path) as keeper:
        assert await held(keeper) == await truth(keeper)
        assert (await keeper.health()).detail == "vector cache: ok"


async def test_what_was_written_while_it_was_off_is_told_later(tmp_path: Path, adder: Any) -> None:
    async with opened(tmp_path, cache=False) as keeper:
        await adder(keeper)("a.txt", "one\ntwo")
    async with opened(tmp_path) as keeper:
        assert await held(keeper) == {1: {1, 2}}


async def test_vectors_of_deleted_passages_leave_its_files(
    tmp_path: Path, adder: Any, vectors_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "QUIET_S", 0.05)
    async with opened(tmp_path) as keeper:
        add = adder(keeper)
        info = await add("a.txt", "one\ntwo")
        await add("b.txt", "three")
        await keeper.cache_settled()
        doomed, kept = vectors_of(2, 1)[0].tobytes(), vectors_of(1, 2)[0].tobytes()
        assert doomed in everything(tmp_path)
        await keeper.delete_file("u", info.id)
        await keeper.cache_settled()
        while await keeper._workers.read(outbox.has_residue):
            await keeper.health()
        await keeper.cache_settled()
        assert await held(keeper) == {1: {3}}
        assert doomed not in everything(tmp_path)
        assert kept in everything(tmp_path)


async def test_search_goes_on_without_it(
    tmp_path: Path, adder: Any, vectors_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "vectors").write_text("a file where a directory should be")
    async with opened(tmp_path) as keeper:
        await adder(keeper)("a.txt", "one\ntwo")
        await keeper.cache_settled()
        health = await keeper.health()
        assert health.ok
        assert health.detail.startswith("vector cache: off")
        assert len(await keeper.search("u", "one", vectors_of(1)[0])) == 2
        await adder(keeper)("b.txt", "three", event="after")
        await keeper.cache_settled()
    assert "search reads the vectors in SQLite" in caplog.text


async def test_it_comes_back_after_a_failure(
    tmp_path: Path, adder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "RETRY_S", 0.01)
    async with opened(tmp_path) as keeper:
        add = adder(keeper)
        await add("a.txt", "one\ntwo")
        assert await held(keeper) == {1: {1, 2}}
        put, failures = keeper._cache._index.put, []

        def failing(*given: Any) -> None:
            if not failures:
                failures.append(given)
                raise IndexFailed("once")
            put(*given)

        monkeypatch.setattr(keeper._cache._index, "put", failing)
        await add("b.txt", "three")
        while not failures or not (await keeper.health()).detail.endswith("ok"):
            await keeper.cache_settled()
        assert await held(keeper) == {1: {1, 2, 3}} == await truth(keeper)


async def test_chroma_is_not_loaded_before_it_is_needed(tmp_path: Path, adder: Any) -> None:
    async with opened(tmp_path) as keeper:
        assert (await keeper.health()).detail == "vector cache: not opened yet"
        assert not (tmp_path / "vectors").exists()
        await adder(keeper)("a.txt", "one")
        await keeper.cache_settled()
        assert (await keeper.health()).detail == "vector cache: ok"


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def test_it_hears_of_changes_though_nobody_waits_for_it(
    tmp_path: Path, adder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "GATHER_S", 0.05)
    async with opened(tmp_path) as keeper:
        await keeper.cache_settled()
        add = adder(keeper)
        for name in ("a.txt", "b.txt", "c.txt"):
            await add(name, name)
        async with asyncio.timeout(60):
            await keeper._cache._settled.wait()
        assert await keeper._workers.read(outbox.next_batch) is None
        assert keeper._cache._index.ids() == await truth(keeper)
