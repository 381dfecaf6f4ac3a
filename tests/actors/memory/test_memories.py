import asyncio
import json
import sqlite3
from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory.records import Forgetting, Memory, NewMemory
from actors.messages import InvalidRequest, NotFound, TooLarge
from configs.schema import DocumentSettings, MemorySettings

EXACT = DocumentSettings(vector_cache=False)


def said(*texts: str, **more: Any) -> list[NewMemory]:
    return [NewMemory(text=text, **more) for text in texts]


def note(text: str, **more: Any) -> list[NewMemory]:
    return said(text, kind="note", **more)


async def texts(keeper: Keeper, user: str = "u", **more: Any) -> list[str]:
    return [memory.text for memory in (await keeper.list_memories(user, **more)).memories]


async def homes(keeper: Keeper, user: str = "u", **more: Any) -> list[str]:
    return [fact.value for fact in await keeper.facts(user, slot="home", **more)]


async def test_what_is_remembered_comes_back_as_it_was_said(timed: Keeper, clock: Any) -> None:
    new = NewMemory(
        text="  Verbatim, ünïcode 🙂\n",
        role="assistant",
        speaker="Ada",
        said_at=123.5,
        importance=0.9,
        pinned=True,
        expires_at=clock.now() + 5,
        metadata={"a": [1, {"b": None}]},
        sources=("x", "y"),
    )
    (written,) = await timed.remember("u", "e", [new], session="s", agent="bot")
    assert (written.text, written.event) == (new.text, "ADD")
    assert await timed.get_memory("u", written.id) == Memory(
        id=written.id,
        kind="turn",
        text=new.text,
        role="assistant",
        speaker="Ada",
        session="s",
        agent="bot",
        ordinal=0,
        valid_from=123.5,
        valid_to=None,
        created_at=clock.now(),
        updated_at=clock.now(),
        importance=0.9,
        pinned=True,
        expires_at=clock.now() + 5,
        event_id="e",
        metadata={"a": [1, {"b": None}]},
        sources=("x", "y"),
    )


async def test_an_event_writes_once_and_answers_the_same(keeper: Keeper) -> None:
    first = await keeper.remember("u", "e", said("one", "two"))
    assert await keeper.remember("u", "e", said("one", "two")) == first
    assert await keeper.remember("u", "e", said("other")) == first
    both = await asyncio.gather(*(keeper.remember("u", "f", said("three")) for _ in range(5)))
    assert len(set(both)) == 1
    assert await texts(keeper) == ["three", "two", "one"]
    theirs = await keeper.remember("v", "e", said("one", "two"))
    assert {one.id for one in theirs}.isdisjoint(one.id for one in first)


async def test_an_event_that_was_forgotten_is_not_written_again(keeper: Keeper) -> None:
    one, two = await keeper.remember("u", "e", said("one", "two"))
    await keeper.forget("u", "f", Forgetting(ids=(one.id,)))
    again = await keeper.remember("u", "e", said("one", "two"))
    assert [(w.id, w.text, w.event) for w in again] == [(one.id, "", "NONE"), (two.id, "two", "ADD")]
    await keeper.forget("u", "g", Forgetting(everything=True))
    again = await keeper.remember("u", "e", said("one", "two"))
    assert [(w.id, w.text, w.event) for w in again] == [(one.id, "", "NONE"), (two.id, "", "NONE")]
    assert await texts(keeper) == []


async def test_an_event_id_stands_for_one_call(keeper: Keeper) -> None:
    (written,) = await keeper.remember("u", "e", said("one"))
    with pytest.raises(InvalidRequest, match="another call"):
        await keeper.forget("u", "e", Forgetting(ids=(written.id,)))
    with pytest.raises(InvalidRequest, match="another call"):
        await keeper.update_memory("u", "e", written.id, text="two")
    for nothing in ("", "x" * 513):
        with pytest.raises(InvalidRequest, match="event id"):
            await keeper.remember("u", nothing, said("one"))


async def test_what_cannot_be_a_memory_is_refused_and_nothing_of_it_stored(keeper: Keeper) -> None:
    wrong: list[tuple[NewMemory, type[InvalidRequest] | type[TooLarge]]] = [
        (NewMemory(text=" \n"), InvalidRequest),
        (NewMemory(text="x" * 20_001), TooLarge),
        (NewMemory(text="\ud800"), InvalidRequest),
        (NewMemory(text="x", importance=1.1), InvalidRequest),
        (NewMemory(text="x", importance=float("nan")), InvalidRequest),
        (NewMemory(text="x", said_at=float("inf")), InvalidRequest),
        (NewMemory(text="x", expires_at=float("nan")), InvalidRequest),
        (NewMemory(text="x", metadata={"a": object()}), InvalidRequest),
        (NewMemory(text="x", metadata={"a": float("nan")}), InvalidRequest),
        (NewMemory(text="x", metadata={"a": "y" * 20_001}), TooLarge),
        (NewMemory(text="x", speaker="s" * 513), InvalidRequest),
        (NewMemory(text="x", kind="thought"), InvalidRequest),  # type: ignore[arg-type]
    ]
    for memory, error in wrong:
        with pytest.raises(error):
            await keeper.remember("u", "e", [NewMemory(text="fine"), memory])
    with pytest.raises(InvalidRequest, match="session"):
        await keeper.remember("u", "e", said("fine"), session="s\0")
    assert await texts(keeper) == []
    await keeper.remember("u", "e", said("x" * 20_000))


async def test_vectors_must_fit(keeper: Keeper, vectors_of: Any) -> None:
    await keeper.remember("u", "e", said("one"), vectors_of(1))
    for vectors in (vectors_of(2), vectors_of(1)[:, :8], vectors_of(1) * np.nan, vectors_of(1)[0]):
        with pytest.raises(InvalidRequest):
            await keeper.remember("u", "f", said("two"), vectors)
    assert await texts(keeper) == ["one"]


async def test_users_see_nothing_of_each_other(keeper: Keeper) -> None:
    (mine,) = await keeper.remember("one", "e", said("I live in Porto."), session="s")
    await keeper.remember("two", "e", said("I live in Faro."), session="s")
    assert await texts(keeper, "two") == ["I live in Faro."]
    assert await homes(keeper, "two") == ["Faro"]
    assert [turn.text for turn in await keeper.recent_turns("two", "s")] == ["I live in Faro."]
    assert [record["text"] for record in await keeper.export_memories("two")] == ["I live in Faro."]
    assert await keeper.forgotten("two", [mine.id]) == frozenset()
    for attempt in (
        keeper.get_memory("two", mine.id),
        keeper.memory_history("two", mine.id),
        keeper.update_memory("two", "u", mine.id, text="x"),
        keeper.get_memory("three", mine.id),
        keeper.get_memory("two", "ü"),
    ):
        with pytest.raises(NotFound):
            await attempt
    await keeper.used("two", [mine.id])
    await keeper.put_vectors("two", [mine.id], np.ones((1, 4), np.float32))
    assert (await keeper.forget("two", "f", Forgetting(ids=(mine.id,)))).memory_ids == ()
    assert (await keeper.get_memory("one", mine.id)).uses == 0
    assert (await keeper.memory_stats("one")).without_vector == 1
    assert await keeper.memory_users() == ["one", "two"]


async def test_without_a_user_nothing_is_done(keeper: Keeper) -> None:
    for attempt in (
        keeper.remember("", "e", said("x")),
        keeper.get_memory("", "m"),
        keeper.list_memories(""),
        keeper.update_memory("", "e", "m", text="x"),
        keeper.memory_history("", "m"),
        keeper.search_memories("", "x"),
        keeper.facts(""),
        keeper.recent_turns("", "s"),
        keeper.used("", ["m"]),
        keeper.forget("", "e", Forgetting(everything=True)),
        keeper.tombstones(""),
        keeper.forgotten("", ["m"]),
        keeper.export_memories(""),
        keeper.import_memories("", "e", [{"text": "x"}]),
        keeper.put_vectors("", ["m"], np.ones((1, 4), np.float32)),
        keeper.consolidate("", "e"),
        keeper.memory_stats(""),
    ):
        with pytest.raises(InvalidRequest, match="user"):
            await attempt
    assert await keeper.memory_users() == []


async def test_lists_go_newest_first_page_by_page_and_by_session_and_agent(keeper: Keeper) -> None:
    for number in range(5):
        await keeper.remember("u", f"e{number}", said(f"t{number}"), session=f"s{number % 2}", agent="a")
    page = await keeper.list_memories("u", page=2, page_size=2)
    assert ([memory.text for memory in page.memories], page.total) == (["t2", "t1"], 5)
    assert await texts(keeper, session="s1") == ["t3", "t1"]
    assert await texts(keeper, agent="b") == []
    assert await texts(keeper, page=9) == []
    with pytest.raises(InvalidRequest):
        await keeper.list_memories("u", page=0)
    ordinals = {memory.text: memory.ordinal for memory in (await keeper.list_memories("u")).memories}
    assert ordinals == {"t0": 0, "t1": 0, "t2": 1, "t3": 1, "t4": 2}


async def test_a_note_said_again_is_stored_once_and_turns_always(timed: Keeper, clock: Any) -> None:
    (first,) = await timed.remember(
        "u", "e1", note("I like tea.", importance=0.2, expires_at=clock.now() + 9)
    )
    clock.tick()
    (again,) = await timed.remember("u", "e2", note(" i LIKE  tea", importance=0.7, pinned=True))
    assert (again.id, again.event) == (first.id, "NONE")
    held = await timed.get_memory("u", first.id)
    assert (held.importance, held.pinned, held.expires_at) == (0.7, True, None)
    assert [(c.event, c.at) for c in await timed.memory_history("u", first.id)] == [
        ("ADD", clock.now() - 1),
        ("RESTATE", clock.now()),
    ]
    (other,) = await timed.remember("u", "e3", note("I like tea."), session="other")
    assert other.event == "ADD"
    both = await timed.remember("u", "e4", [*note("New"), *note("new.")])
    assert [one.event for one in both] == ["ADD", "NONE"]
    assert [one.event for one in await timed.remember("u", "e5", said("hi", "hi"))] == ["ADD", "ADD"]


async def test_a_fact_restated_holds_from_then_on_too(timed: Keeper) -> None:
    (first,) = await timed.remember("u", "e1", note("I live in Porto.", said_at=1.0))
    await timed.remember("u", "e2", note("I live in Lisbon.", said_at=2.0))
    assert (await timed.get_memory("u", first.id)).valid_to == 2.0
    await timed.remember("u", "e3", note("I live in Porto.", said_at=3.0))
    assert await homes(timed) == ["Porto"]
    assert (await timed.get_memory("u", first.id)).valid_to is None
    assert [await homes(timed, as_of=at) for at in (0.5, 1.5, 2.5, 3.5)] == [
        [],
        ["Porto"],
        ["Lisbon"],
        ["Porto"],
    ]
    await timed.remember("u", "e4", note("I live in Faro.", said_at=2.5))
    assert await homes(timed) == ["Porto"]
    assert await homes(timed, as_of=2.7) == ["Faro"]


async def test_a_new_fact_takes_the_place_of_the_old_one_and_a_late_one_does_not(timed: Keeper) -> None:
    (porto,) = await timed.remember("u", "e1", said("I live in Porto.", said_at=10.0))
    (faro,) = await timed.remember("u", "e2", said("I moved to Faro.", said_at=30.0))
    (late,) = await timed.remember("u", "e3", said("I live in Braga.", said_at=20.0))
    assert await homes(timed) == ["Faro"]
    found = await timed.facts("u", slot="home", history=True)
    assert [(fact.value, fact.valid_from, fact.valid_to, fact.superseded_by) for fact in found] == [
        ("Porto", 10.0, 20.0, late.id),
        ("Braga", 20.0, 30.0, faro.id),
        ("Faro", 30.0, None, None),
    ]
    assert found[0].statement == "I live in Porto."
    old = await timed.get_memory("u", porto.id)
    assert (old.valid_to, old.superseded_by) == (20.0, late.id)
    assert [change.event for change in await timed.memory_history("u", porto.id)] == ["ADD", "SUPERSEDE"]
    await timed.forget("u", "f", Forgetting(ids=(late.id,)))
    old = await timed.get_memory("u", porto.id)
    assert (old.valid_to, old.superseded_by) == (30.0, faro.id)
    await timed.forget("u", "g", Forgetting(ids=(faro.id,)))
    assert await homes(timed) == ["Porto"]


async def test_an_edit_keeps_the_old_text_in_the_history_and_its_facts_until_then(
    timed: Keeper, clock: Any, vectors_of: Any
) -> None:
    start = clock.now()
    (written,) = await timed.remember("u", "e1", said("I live in Porto."), vectors_of(1))
    at = clock.tick(10)
    edited = await timed.update_memory("u", "e2", written.id, text="I live in Faro.", metadata={"a": 1})
    assert (edited.text, edited.metadata, edited.updated_at) == ("I live in Faro.", {"a": 1}, at)
    assert (edited.valid_from, edited.valid_to, edited.event_id) == (start, None, "e1")
    assert [(c.event, c.old, c.new, c.at) for c in await timed.memory_history("u", written.id)] == [
        ("ADD", None, "I live in Porto.", start),
        ("UPDATE", "I live in Porto.", "I live in Faro.", at),
    ]
    assert await homes(timed) == ["Faro"]
    assert await homes(timed, as_of=at - 1) == ["Porto"]
    (old, _) = await timed.facts("u", history=True)
    assert (old.statement, old.valid_to) == ("I live in Porto.", at)
    assert (await timed.memory_stats("u")).without_vector == 1
    clock.tick()
    await timed.update_memory("u", "e3", written.id, text="The weather is nice.")
    assert await homes(timed) == []
    assert await homes(timed, as_of=at) == ["Faro"]
    assert await timed.update_memory("u", "e2", written.id, text="x") == await timed.get_memory(
        "u", written.id
    )


async def test_an_edit_of_what_no_longer_holds_makes_nothing_current(timed: Keeper, clock: Any) -> None:
    (porto,) = await timed.remember("u", "e1", said("I live in Prto."))
    clock.tick()
    await timed.remember("u", "e2", said("I live in Faro."))
    clock.tick()
    edited = await timed.update_memory("u", "e3", porto.id, text="I live in Porto.")
    assert await homes(timed) == ["Faro"]
    assert edited.valid_to == clock.now() - 1
    assert await homes(timed, as_of=clock.now() - 1.5) == ["Porto"]


async def test_an_update_changes_what_is_given_and_leaves_the_rest(timed: Keeper, clock: Any) -> None:
    (written,) = await timed.remember("u", "e1", said("one", metadata={"a": 1}, importance=0.3))
    before = await timed.get_memory("u", written.id)
    now = clock.tick()
    archived = await timed.update_memory("u", "e2", written.id, archived=True, pinned=True)
    assert (archived.archived_at, archived.pinned) == (now, True)
    assert (archived.text, archived.metadata, archived.importance) == ("one", {"a": 1}, 0.3)
    assert (await timed.memory_stats("u")).archived == 1
    back = await timed.update_memory("u", "e3", written.id, archived=False, pinned=False)
    assert back == Memory(**{name: getattr(before, name) for name in before.__slots__} | {"updated_at": now})
    assert [c.event for c in await timed.memory_history("u", written.id)] == ["ADD", "ARCHIVE"]
    for wrong in ({"text": " "}, {"importance": 2.0}, {"metadata": {"a": object()}}):
        with pytest.raises(InvalidRequest):
            await timed.update_memory("u", "e4", written.id, **wrong)
    with pytest.raises(TooLarge):
        await timed.update_memory("u", "e4", written.id, text="x" * 20_001)


async def test_what_has_expired_is_in_no_answer_from_that_moment(timed: Keeper, clock: Any) -> None:
    await timed.remember("u", "e0", said("I live in Porto."), session="s")
    end = clock.tick() + 5
    (faro,) = await timed.remember("u", "e1", said("I live in Faro.", expires_at=end), session="s")
    await timed.recent_turns("u", "s")
    clock.tick(4.999)
    assert await homes(timed) == ["Faro"]
    clock.tick(0.001)
    assert await homes(timed) == ["Porto"]
    assert await texts(timed) == ["I live in Porto."]
    assert [turn.text for turn in await timed.recent_turns("u", "s")] == ["I live in Porto."]
    assert [record["text"] for record in await timed.export_memories("u")] == ["I live in Porto."]
    assert await timed.search_memories("u", "Faro") == []
    assert (await timed.memory_stats("u")).memories == 1
    with pytest.raises(NotFound):
        await timed.get_memory("u", faro.id)
    assert [(tomb.memory_id, tomb.event_id) for tomb in await timed.tombstones("u")] == [(faro.id, "e1")]
    (gone,) = await timed.remember("u", "e2", said("never seen", expires_at=end))
    assert gone.event == "ADD"
    assert await texts(timed) == ["I live in Porto."]
    assert await timed.unembedded() == [
        ("u", (await timed.list_memories("u")).memories[0].id, "I live in Porto.")
    ]


async def test_recent_turns_are_the_same_from_the_buffer_and_after_a_new_start(keeper: Keeper) -> None:
    for number in range(7):
        kind = "note" if number == 3 else "turn"
        await keeper.remember("u", f"e{number}", said(f"I live in T{number}.", kind=kind), session="s")
        await keeper.recent_turns("u", "s")
    held = await keeper.recent_turns("u", "s")
    assert [turn.text[-2] for turn in held] == ["0", "1", "2", "4", "5", "6"]
    assert [turn.valid_to is None for turn in held] == [False] * 5 + [True]
    assert await keeper.recent_turns("u", "s", 2) == held[-2:]
    assert await keeper.recent_turns("u", "s", 0) == []
    assert await keeper.recent_turns("u", "none") == []
    await keeper.close()
    await keeper.start()
    assert await keeper.recent_turns("u", "s") == held
    await keeper.used("u", [held[0].id])
    assert (await keeper.recent_turns("u", "s"))[0].uses == 1
    await keeper.forget("u", "f", Forgetting(ids=(held[-1].id,)))
    assert [turn.text[-2] for turn in await keeper.recent_turns("u", "s")] == ["0", "1", "2", "4", "5"]


async def test_of_a_long_session_more_turns_than_are_held_can_be_asked_for(keeper: Keeper) -> None:
    await keeper.remember("u", "e", said(*(f"turn {number}" for number in range(150))), session="s")
    assert [turn.ordinal for turn in await keeper.recent_turns("u", "s")] == list(range(50, 150))
    assert [turn.ordinal for turn in await keeper.recent_turns("u", "s", 120)] == list(range(30, 150))
    await keeper.remember("u", "f", said("last"), session="s")
    assert [turn.ordinal for turn in await keeper.recent_turns("u", "s", 2)] == [149, 150]


async def test_what_was_used_is_counted(timed: Keeper, clock: Any) -> None:
    one, two = await timed.remember("u", "e", said("one", "two"))
    now = clock.tick()
    await timed.used("u", [one.id, "mem_unknown"])
    await timed.used("u", [one.id])
    used = await timed.get_memory("u", one.id)
    assert (used.uses, used.used_at) == (2, now)
    assert (await timed.get_memory("u", two.id)).uses == 0


async def test_vectors_may_come_later_but_not_of_a_text_that_was_edited(
    keeper: Keeper, vectors_of: Any
) -> None:
    one, two = await keeper.remember("u", "e", said("one", "two"))
    waiting = await keeper.unembedded()
    assert waiting == [("u", one.id, "one"), ("u", two.id, "two")]
    assert await keeper.unembedded(limit=1) == waiting[:1]
    await keeper.update_memory("u", "f", two.id, text="three")
    await keeper.put_vectors("u", [one.id, two.id, "mem_gone"], vectors_of(3))
    assert await keeper.unembedded() == [("u", two.id, "three")]
    await keeper.put_vectors("u", [two.id], vectors_of(1))
    assert await keeper.unembedded() == []
    with pytest.raises(InvalidRequest):
        await keeper.put_vectors("u", [two.id], vectors_of(2))
    await keeper.update_memory("u", "g", two.id, text="four", vector=vectors_of(1)[0])
    assert await keeper.unembedded() == []
    assert (await keeper.memory_stats("u")).without_vector == 0


async def test_the_figures_say_how_much_there_is(keeper: Keeper) -> None:
    await keeper.remember("u", "e1", said("I live in Porto.", "ü"), session="a")
    (doomed,) = await keeper.remember("u", "e2", note("note"), session="b")
    stats = await keeper.memory_stats("u")
    assert (stats.memories, stats.by_kind, stats.sessions) == (3, {"note": 1, "turn": 2}, 2)
    assert (stats.facts, stats.bytes, stats.forgotten) == (1, 22, 0)
    await keeper.forget("u", "f", Forgetting(ids=(doomed.id,)))
    assert (await keeper.memory_stats("u")).forgotten == 1
    assert (await keeper.memory_stats("nobody")).memories == 0


async def test_a_write_that_fails_leaves_nothing(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    from actors.memory import memory_index

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(memory_index, "added", full)
        with pytest.raises(sqlite3.OperationalError):
            await keeper.remember("u", "e", said("one"), session="s")
    assert await keeper.recent_turns("u", "s") == []
    assert [one.event for one in await keeper.remember("u", "e", said("one"), session="s")] == ["ADD"]


async def test_what_is_kept_of_an_event_has_no_text(keeper: Keeper) -> None:
    await keeper.remember("u", "e", said("zebrafinch"))
    rows = await keeper._open.read(lambda c: c.execute("SELECT * FROM memory_events").fetchall())
    assert "zebrafinch" not in json.dumps([tuple(row) for row in rows])


async def test_settings_bound_a_text(tmp_path: Any) -> None:
    keeper = Keeper(tmp_path, EXACT, memory=MemorySettings(max_characters=100))
    await keeper.start()
    with pytest.raises(TooLarge, match="max_characters"):
        await keeper.remember("u", "e", said("x" * 101))
    await keeper.close()
