import asyncio
import itertools
import random
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.identity import Identity
from actors.keeper import Keeper
from actors.messages import InvalidRequest, Locked, NotFound, NotReady
from configs.schema import DocumentSettings

EXACT = DocumentSettings(vector_cache=False)


def bytes_under(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def test_a_document_is_found_by_its_words_and_quoted_at_its_place(keeper: Keeper, add: Any) -> None:
    text = "The harbour opens at dawn.\nThe tower is closed."
    info = await add("docs/varn.txt", text)
    (best, *_) = await keeper.search("u", "tower", np.eye(1, 16, dtype=np.float32)[0], k=1)
    assert best.document_id == info.id
    assert text[best.start : best.end] == best.text == "The tower is closed."
    assert (info.filename, info.chunks, info.characters) == ("docs/varn.txt", 2, len(text))
    assert await keeper.file_text("u", info.id) == text
    assert await keeper.file_content("u", info.id) == text.encode()
    assert await keeper.find_file("u", "docs/varn.txt", info.sha256) == info
    assert await keeper.find_file("u", "docs/varn.txt", "0" * 64) is None


async def test_nothing_stays_of_what_was_edited_away(keeper: Keeper, add: Any, vectors_of: Any) -> None:
    await add("a.txt", "harbour\ndawn")
    await add("b.txt", "tower")
    await add("a.txt", "bridge")
    files = bytes_under(keeper._directory)
    gone = [b"harbour", b"dawn", *(row.tobytes() for row in vectors_of(2, 1))]
    assert not [one for one in gone if one in files]
    assert b"bridge" in files


async def test_an_event_writes_once_even_after_a_later_edit(keeper: Keeper, add: Any) -> None:
    first = await add("a.txt", "one", event="e1")
    assert await add("a.txt", "one", event="e1") == first
    edited = await add("a.txt", "two\nthree", event="e2")
    assert edited.id == first.id
    assert edited.created_at == first.created_at
    assert await add("a.txt", "one", event="e1") == edited
    assert await keeper.file_text("u", first.id) == "two\nthree"
    await keeper.delete_file("u", first.id)
    with pytest.raises(NotFound):
        await add("a.txt", "one", event="e1")
    assert await keeper.list_files("u") == []


async def test_store_events_write_once(keeper: Keeper) -> None:
    store = await keeper.create_store("u", "e", "s", [], {"a": "b"})
    assert await keeper.create_store("u", "e", "other", [], {}) == store
    assert await keeper.list_stores("u") == [store]


async def test_with_a_fixed_clock_two_stores_give_the_same_ids_and_none_twice(
    tmp_path: Path, adder: Any
) -> None:
    found = []
    for directory in (tmp_path / "one", tmp_path / "two"):
        keeper = Keeper(directory, EXACT, Identity(fixed_clock=1700000000.0))
        await keeper.start()
        add = adder(keeper)
        first = await add("a.txt", "one", user="ann", event="e")
        theirs = await add("a.txt", "one", user="bob", event="e")
        store = await keeper.create_store("ann", "s", "s", [first.id], {})
        await keeper.delete_file("ann", first.id)
        again = await add("a.txt", "one", user="ann", event="f")
        await keeper.close()
        assert len({first.id, theirs.id, again.id}) == 3
        found.append((first, theirs, again, store))
    assert found[0] == found[1]
    assert {one.created_at for one in found[0]} == {1700000000.0}


async def test_users_see_nothing_of_each_other(keeper: Keeper, add: Any) -> None:
    mine = await add("a.txt", "secret harbour", user="one", event="e")
    theirs = await add("a.txt", "public harbour", user="two", event="e")
    store = await keeper.create_store("one", "s", "s", [mine.id], {})
    assert mine.id != theirs.id
    query = np.eye(1, 16, dtype=np.float32)[0]
    found = await keeper.search("two", "secret harbour", query, k=9)
    assert [passage.text for passage in found] == ["public harbour"]
    assert await keeper.search("three", "harbour", query) == []
    for attempt in (
        keeper.get_file("two", mine.id),
        keeper.file_text("two", mine.id),
        keeper.file_content("two", mine.id),
        keeper.delete_file("two", mine.id),
        keeper.get_store("two", store.id),
        keeper.delete_store("two", store.id),
        keeper.update_store("two", store.id, "x", None),
        keeper.attach_file("two", store.id, theirs.id),
        keeper.attach_file("one", store.id, theirs.id),
        keeper.create_store("two", "t", "s", [mine.id], {}),
        keeper.search("two", "harbour", query, store_ids=[store.id]),
        keeper.list_files("two", after=mine.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await keeper.list_stores("two") == []


async def test_without_a_user_nothing_is_done(keeper: Keeper, add: Any) -> None:
    for attempt in (
        add("a.txt", "text", user=""),
        keeper.list_files(""),
        keeper.get_file("", "file-1"),
        keeper.search("", "x", np.zeros(16, np.float32)),
        keeper.create_store("", "e", "s", [], {}),
        keeper.list_stores(""),
    ):
        with pytest.raises(InvalidRequest, match="user"):
            await attempt


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "../a",
        "a/../b",
        "./a",
        "/a",
        "a//b",
        "a/",
        "a\\b",
        "C:/a",
        "a\0b",
        "a\nb",
        "\ud800",
        "x" * 513,
    ],
)
async def test_names_that_are_no_plain_path_are_refused(keeper: Keeper, add: Any, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await add(name, "text") if "\ud800" not in name else await keeper.find_file("u", name, "0")
    assert await keeper.list_files("u") == []


async def test_a_deleted_document_leaves_no_byte_behind(keeper: Keeper, add: Any, tmp_path: Path) -> None:
    await add("kept.txt", "marblewhale stays")
    doomed = await add("quartzlion.txt", "zebrafinch one\nzebrafinch two")
    await add("quartzlion.txt", "okapicrane edited")
    store = await keeper.create_store("u", "s", "s", [doomed.id], {})
    assert b"okapicrane" in bytes_under(tmp_path)
    await keeper.delete_file("u", doomed.id)
    left = bytes_under(tmp_path)
    assert b"marblewhale" in left
    for word in (b"zebrafinch", b"okapicrane", b"quartzlion"):
        assert word not in left
    assert (await keeper.get_store("u", store.id)).file_ids == ()
    vector = np.eye(1, 16, dtype=np.float32)[0]
    assert [one.text for one in await keeper.search("u", "zebrafinch okapicrane", vector)] == [
        "marblewhale stays"
    ]


async def test_lists_go_in_order_page_by_page(keeper: Keeper, add: Any) -> None:
    ids = [(await add(f"{number}.txt", f"text {number}")).id for number in range(5)]
    assert [info.id for info in await keeper.list_files("u")] == ids[::-1]
    assert [info.id for info in await keeper.list_files("u", limit=2, after=ids[1], order="asc")] == ids[2:4]
    assert [info.id for info in await keeper.list_files("u", after=ids[1])] == [ids[0]]
    assert await keeper.list_files("u", purpose="vision") == []


async def test_stores_hold_files_and_bound_a_search(keeper: Keeper, add: Any) -> None:
    one, two = await add("1.txt", "harbour one"), await add("2.txt", "harbour two")
    store = await keeper.create_store("u", "s", "name", [one.id], {"k": "v"})
    query = np.eye(1, 16, dtype=np.float32)[0]
    assert [p.text for p in await keeper.search("u", "harbour", query, store_ids=[store.id])] == [
        "harbour one"
    ]
    await keeper.attach_file("u", store.id, two.id)
    await keeper.attach_file("u", store.id, two.id)
    await keeper.detach_file("u", store.id, one.id)
    assert [p.text for p in await keeper.search("u", "harbour", query, store_ids=[store.id])] == [
        "harbour two"
    ]
    with pytest.raises(NotFound):
        await keeper.detach_file("u", store.id, one.id)
    changed = await keeper.update_store("u", store.id, None, {"x": "y"})
    assert (changed.name, changed.metadata, changed.bytes) == ("name", {"x": "y"}, two.bytes)
    await keeper.delete_store("u", store.id)
    with pytest.raises(NotFound):
        await keeper.search("u", "harbour", query, store_ids=[store.id])
    assert len(await keeper.list_files("u")) == 2


async def test_vectors_that_do_not_fit_are_refused(keeper: Keeper, add: Any, vectors_of: Any) -> None:
    await add("a.txt", "one")
    with pytest.raises(InvalidRequest, match="dimensions"):
        await keeper.search("u", "one", np.zeros(3, np.float32))
    document = (await keeper.get_file("u", (await keeper.list_files("u"))[0].id)).filename
    assert document == "a.txt"


async def test_a_second_opener_is_told_who_has_the_directory(keeper: Keeper, tmp_path: Path) -> None:
    other = Keeper(tmp_path / "keeper", EXACT)
    with pytest.raises(Locked, match=r"process \d+"):
        await other.start()
    await keeper.close()
    await other.start()
    await other.close()


async def test_what_was_added_is_there_after_a_new_start(tmp_path: Path, adder: Any) -> None:
    first = Keeper(tmp_path, EXACT)
    await first.start()
    info = await adder(first)("a.txt", "harbour")
    await first.close()
    second = Keeper(tmp_path, EXACT)
    await second.start()
    assert await second.get_file("u", info.id) == info
    assert (await second.health()).ok
    await second.close()
    assert not (await second.health()).ok


async def test_a_file_that_is_no_database_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").write_bytes(b"not a database" * 100)
    keeper = Keeper(tmp_path, EXACT)
    with pytest.raises(NotReady, match="restore"):
        await keeper.start()
    (tmp_path / "store.sqlite3").unlink()
    await keeper.start()
    await keeper.close()


async def test_many_at_once_lose_nothing(keeper: Keeper, add: Any) -> None:
    words = ["".join(pair) for pair in itertools.product("bdfgk", "aeiou")]
    await asyncio.gather(*(add(f"{word}.txt", f"x{word}x harbour") for word in words))
    alike = np.zeros(16, dtype=np.float32)
    found = await asyncio.gather(*(keeper.search("u", f"x{word}x", alike, k=1) for word in words))
    assert [passages[0].filename for passages in found] == [f"{word}.txt" for word in words]


async def test_an_interrupted_add_leaves_nothing(
    keeper: Keeper, add: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors.memory import outbox

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "added", full)
        with pytest.raises(sqlite3.OperationalError):
            await add("a.txt", "harbour")
    assert await keeper.list_files("u") == []
    assert await keeper.search("u", "harbour", np.eye(1, 16, dtype=np.float32)[0]) == []
    assert (await add("a.txt", "harbour")).chunks == 1


async def test_no_copy_of_a_passage_that_was_moved_between_pages_stays(keeper: Keeper, add: Any) -> None:
    rng, alive = random.Random(11), {}
    for step in range(20):
        tag = f"tag{step:02d}q"
        lines = [f"{tag} " + "filler " * rng.choice((2, 10, 40, 150)) for _ in range(rng.randint(1, 40))]
        alive[tag] = (await add(f"{step}.txt", "\n".join(lines))).id
        if step % 2:
            doomed = rng.choice(sorted(alive))
            await keeper.delete_file("u", alive.pop(doomed))
            assert doomed.encode() not in bytes_under(keeper._directory)
