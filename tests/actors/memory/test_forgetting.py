import asyncio
import random
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory.database import rewrite_is_due
from actors.memory.records import Forgetting, NewMemory
from actors.messages import InvalidRequest, NotFound


def bytes_under(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def remember(keeper: Keeper, *texts: str, event: str | None = None, **more: Any) -> list[str]:
    session, agent = more.pop("session", ""), more.pop("agent", "")
    new = [NewMemory(text=text, **more) for text in texts]
    written = await keeper.remember("u", event or uuid4().hex, new, session=session, agent=agent)
    return [one.id for one in written]


async def left(keeper: Keeper) -> list[str]:
    return [memory.text for memory in (await keeper.list_memories("u")).memories][::-1]


async def forget(keeper: Keeper, event: str = "f", **what: Any) -> tuple[str, ...]:
    return (await keeper.forget("u", event, Forgetting(**what))).memory_ids


async def test_no_file_holds_a_byte_of_what_was_forgotten(keeper: Keeper, vectors_of: Any) -> None:
    await remember(keeper, "marblewhale stays", session="kept")
    await keeper.remember(
        "u",
        "e",
        [
            NewMemory(
                text="zebrafinch " * 1500, metadata={"okapicrane": "yaksparrow " * 900}, speaker="Emuviper"
            ),
            NewMemory(text="I live in Quartzlion."),
        ],
        vectors_of(2, 7),
        session="doomedsession",
    )
    ids = [memory.id for memory in (await keeper.list_memories("u", session="doomedsession")).memories]
    await keeper.update_memory("u", "g", ids[0], text="I live in Wombatgull now.")
    await keeper.recent_turns("u", "doomedsession")
    await keeper.search_memories("u", "Quartzlion zebrafinch", vectors_of(1)[0])
    gone = [
        b"zebrafinch",
        b"okapicrane",
        b"yaksparrow",
        b"muviper",
        b"uartzlion",
        b"ombatgull",
        b"doomedsession",
    ]
    before = bytes_under(keeper._directory).lower()
    assert all(word in before for word in gone)
    assert set(await forget(keeper, session="doomedsession")) == set(ids)
    after = bytes_under(keeper._directory).lower()
    assert [word for word in gone if word in after] == []
    assert not any(row.tobytes() in after for row in vectors_of(2, 7))
    assert b"marblewhale" in after
    assert await left(keeper) == ["marblewhale stays"]
    assert await keeper.recent_turns("u", "doomedsession") == []
    assert await keeper.facts("u", history=True) == []
    assert [one.memory.text for one in await keeper.search_memories("u", "zebrafinch marblewhale")] == [
        "marblewhale stays"
    ]


async def test_no_copy_of_a_row_that_was_moved_between_pages_stays(keeper: Keeper) -> None:
    """Rows of all lengths, edited and embedded later: what moves them about; then a few at a time go."""
    rng, alive = random.Random(6), {}
    for step in range(12):
        tags = [f"tag{step:02d}x{number:02d}y" for number in range(20)]
        new = [
            NewMemory(text=f"{tag} " + "filler " * rng.choice((3, 30, 200, 1500)), metadata={"m": tag})
            for tag in tags
        ]
        vectors = rng.choice((None, np.ones((20, 64), np.float32)))
        written = await keeper.remember("u", f"e{step}", new, vectors, session="s")
        alive |= dict(zip(tags, (one.id for one in written), strict=True))
        edited = rng.choice(tags)
        await keeper.update_memory("u", f"g{step}", alive[edited], text=f"{edited} edited")
        doomed = rng.sample(sorted(alive), 15)
        await forget(keeper, f"f{step}", ids=tuple(alive.pop(tag) for tag in doomed))
        content = bytes_under(keeper._directory)
        assert [tag for tag in doomed if tag.encode() in content] == []


async def test_every_condition_must_be_met(timed: Keeper, clock: Any) -> None:
    start = clock.now()
    a, b = await remember(timed, "a harbour", "a bridge", session="s", agent="x")
    await remember(timed, "another harbour", session="t", agent="x")
    old = await remember(timed, "an old harbour", session="s", said_at=start - 9)
    assert await forget(timed, "1", session="s", matching="harbour", before=start) == tuple(old)
    assert await forget(timed, "2", session="s", agent="x", ids=(a, "mem_unknown")) == (a,)
    assert await forget(timed, "3", session="") == ()
    assert await left(timed) == ["a bridge", "another harbour"]
    assert await forget(timed, "4", agent="x", before=start) == ()
    assert b in await forget(timed, "5", agent="x")
    assert await left(timed) == []


async def test_words_match_whole_whatever_their_case_also_in_former_texts(keeper: Keeper) -> None:
    await remember(keeper, "Tesla's lab", "a TESLA coil in the lab", "teslas", "lab", "東京の研究所")
    (edited,) = await remember(keeper, "the Tesla lab burned")
    await keeper.update_memory("u", "g", edited, text="it burned")
    dry = await keeper.forget("u", "d", Forgetting(matching="lab tesla"), dry_run=True)
    assert dry.texts == ("Tesla's lab", "a TESLA coil in the lab", "it burned")
    await forget(keeper, "f", matching="lab tesla")
    await forget(keeper, "g2", matching="東京")
    assert await left(keeper) == ["teslas", "lab"]


async def test_a_dry_run_changes_nothing(keeper: Keeper) -> None:
    ids = await remember(keeper, "x" * 200, "two", event="e")
    told = await keeper.forget("u", "f", Forgetting(everything=True), dry_run=True)
    assert (told.memory_ids, told.events, told.texts, told.dry_run) == (
        tuple(ids),
        ("e",),
        ("x" * 80, "two"),
        True,
    )
    assert len(await left(keeper)) == 2
    assert await keeper.tombstones("u") == []
    assert await forget(keeper, everything=True) == tuple(ids)


async def test_what_says_nothing_is_refused(keeper: Keeper) -> None:
    for wrong in (
        Forgetting(),
        Forgetting(matching=""),
        Forgetting(matching=" ?! "),
        Forgetting(everything=True, session="s"),
    ):
        for dry_run in (True, False):
            with pytest.raises(InvalidRequest):
                await keeper.forget("u", "f", wrong, dry_run=dry_run)


async def test_a_retry_forgets_nothing_more(keeper: Keeper) -> None:
    await remember(keeper, "one", event="e1")
    first = await keeper.forget("u", "f", Forgetting(everything=True))
    await remember(keeper, "two", event="e2")
    assert await keeper.forget("u", "f", Forgetting(everything=True)) == first
    assert await left(keeper) == ["two"]


async def test_tombstones_name_every_event_that_brought_a_text(timed: Keeper, clock: Any) -> None:
    (one,) = await remember(timed, "I like tea", event="e1", kind="note")
    await remember(timed, "i like tea", event="e2", kind="note")
    await timed.update_memory("u", "e3", one, text="I like coffee")
    await timed.update_memory("u", "e4", one, pinned=True)
    before = clock.now()
    clock.tick()
    assert (await timed.forget("u", "f", Forgetting(ids=(one,)))).events == ("e1", "e2", "e3")
    tombs = await timed.tombstones("u")
    assert [(tomb.memory_id, tomb.event_id, tomb.forgotten_at) for tomb in tombs] == [
        (one, event, clock.now()) for event in ("e1", "e2", "e3")
    ]
    assert await timed.tombstones("u", after=before) == tombs
    assert await timed.tombstones("u", after=clock.now()) == []
    assert await timed.forgotten("u", [one, "e2", "e3", "e4", "other"]) == {one, "e2", "e3"}
    assert (await timed.memory_stats("u")).forgotten == 1
    for attempt in (timed.get_memory("u", one), timed.memory_history("u", one)):
        with pytest.raises(NotFound):
            await attempt


async def test_the_name_of_who_has_nothing_left_is_forgotten_too(keeper: Keeper, add: Any) -> None:
    ids = await remember(keeper, "one")
    await keeper.remember("Zebedaios", "e", [NewMemory(text="one")])
    await keeper.forget("Zebedaios", "f", Forgetting(everything=True))
    assert await keeper.memory_users() == ["u"]
    assert b"Zebedaios" not in bytes_under(keeper._directory)
    assert len(await keeper.tombstones("Zebedaios")) == 1
    await add("a.txt", "harbour", user="u")
    await forget(keeper, everything=True)
    assert [info.filename for info in await keeper.list_files("u")] == ["a.txt"]
    assert await keeper.forgotten("u", ids) == set(ids)
    assert (await keeper.forget("nobody", "f", Forgetting(everything=True))).memory_ids == ()


async def test_a_summary_goes_with_each_of_its_sources_and_comes_not_back(keeper: Keeper) -> None:
    one, two = await remember(keeper, "one", "two")
    (summary,) = await remember(keeper, "one, then two", kind="summary", sources=(one, two))
    (of_it,) = await remember(keeper, "all of it", kind="summary", sources=(summary,))
    assert set(await forget(keeper, ids=(one,))) == {one, summary, of_it}
    (late,) = await keeper.remember("u", "l", [NewMemory(text="late", kind="summary", sources=(one, two))])
    assert (late.id, late.event) == ("", "NONE")
    assert await left(keeper) == ["two"]


async def test_merged_notes_are_forgotten_together(keeper: Keeper) -> None:
    first = await remember(keeper, "I like tea.", kind="note", session="a")
    second = await remember(keeper, "I like  TEA", kind="note", session="b")
    assert (await keeper.consolidate("u", "c")).merged == tuple(first)
    assert set(await forget(keeper, ids=tuple(first))) == {*first, *second}
    assert await left(keeper) == []


async def test_forgets_at_once_all_leave_nothing(keeper: Keeper) -> None:
    ids = await remember(keeper, *(f"zebra{number}finch" for number in range(12)))
    await asyncio.gather(*(forget(keeper, f"f{place}", ids=(one,)) for place, one in enumerate(ids)))
    assert b"finch" not in bytes_under(keeper._directory)
    assert await left(keeper) == []


async def test_words_of_what_expired_are_gone_after_consolidation(timed: Keeper, clock: Any) -> None:
    await remember(timed, "marblewhale")
    await remember(timed, "zebrafinch", expires_at=clock.now() + 1)
    clock.tick(2)
    assert await left(timed) == ["marblewhale"]
    await timed.consolidate("u", "c")
    assert b"zebrafinch" not in bytes_under(timed._directory)


async def test_a_long_search_does_not_keep_what_was_forgotten(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that began before holds the old log; forgetting waits for it."""
    await remember(keeper, "zebrafinch")
    reading, forgotten, go = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(connection: Any) -> int:
        (count,) = connection.execute("SELECT count(*) FROM memories").fetchone()
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        return int(count)

    search = asyncio.create_task(keeper._open.read(slow))
    await reading.wait()
    written = keeper._recent.drop
    monkeypatch.setattr(keeper._recent, "drop", lambda user: (written(user), forgotten.set()))
    forgetting = asyncio.create_task(keeper.forget("u", "f", Forgetting(everything=True)))
    await forgotten.wait()
    go.set()
    assert await search == 1
    await forgetting
    assert b"zebrafinch" not in bytes_under(keeper._directory)


async def test_what_was_cut_short_is_ended_at_the_next_start(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed() -> None:
        raise OSError("the machine went down")

    await remember(keeper, "zebrafinch " * 900)
    with monkeypatch.context() as patch:
        patch.setattr(keeper, "_rewrite", killed)
        with pytest.raises(OSError, match="went down"):
            await keeper.forget("u", "f", Forgetting(everything=True))
    await keeper.close()
    await keeper.start()
    assert b"zebrafinch" not in bytes_under(keeper._directory)
    assert not await keeper._open.read(rewrite_is_due)
