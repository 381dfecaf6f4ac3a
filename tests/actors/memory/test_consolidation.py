from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.keeper import Keeper
from actors.memory import consolidation
from actors.memory.records import Consolidated, Forgetting, Memory, NewMemory
from configs.schema import DocumentSettings, MemorySettings

DAY_S = 86_400
SESSION = (
    "I bought a red sailing boat in Aveiro last week.",
    "How nice!",
    "My sister Ines works as a nurse in Braga.",
    "Will you be there?",
    "We will sail to the Azores in July.",
)


@pytest.fixture
async def tidy(tmp_path: Path, clock: Any) -> AsyncIterator[Keeper]:
    """A keeper that archives what is weak, and proposes summaries."""
    memory = MemorySettings(archive_below=0.3, half_life_days=10, proposals="extract")
    opened = Keeper(tmp_path / "tidy", DocumentSettings(vector_cache=False), clock, memory)
    await opened.start()
    yield opened
    await opened.close()


async def note(keeper: Keeper, event: str, text: str, session: str = "", agent: str = "", **more: Any) -> str:
    new = [NewMemory(text=text, kind="note", **more)]
    (written,) = await keeper.remember("u", event, new, session=session, agent=agent)
    return written.id


async def say(keeper: Keeper, session: str, *texts: str, **more: Any) -> list[str]:
    new = [NewMemory(text=text, **more) for text in texts]
    return [one.id for one in await keeper.remember("u", f"say {session}", new, session=session)]


async def listed(keeper: Keeper, **more: Any) -> list[Memory]:
    return list((await keeper.list_memories("u", **more)).memories)[::-1]


async def test_notes_of_the_same_text_become_the_newest_with_all_sources(timed: Keeper, clock: Any) -> None:
    first = await note(timed, "1", "I like tea", "a", importance=0.9, sources=("x",))
    clock.tick()
    second = await note(timed, "2", "i like  TEA.", "b", pinned=True)
    clock.tick()
    third = await note(timed, "3", "I like tea!", "c")
    await note(timed, "4", "I like tea", "d", agent="another")
    await timed.used("u", [first, second])
    done = await timed.consolidate("u", "c")
    assert done == Consolidated(merged=(second, first))
    kept = await timed.get_memory("u", third)
    assert (kept.importance, kept.pinned, kept.uses, kept.used_at) == (0.9, True, 2, clock.now())
    assert kept.sources == tuple(sorted((first, second, "x")))
    assert [memory.text for memory in await listed(timed)] == ["I like tea!", "I like tea"]
    assert [memory.id for memory in await listed(timed, session="a")] == [first]
    assert [change.event for change in await timed.memory_history("u", first)] == ["ADD", "MERGE"]
    assert [one.memory.id for one in await timed.search_memories("u", "tea", session="b")] == [second]
    found = await timed.search_memories("u", "tea")
    assert {one.memory.id for one in found}.isdisjoint({first, second})
    assert (await timed.consolidate("u", "c2")) == Consolidated()


async def test_notes_that_state_the_same_are_merged_and_no_fact_is_lost(timed: Keeper, clock: Any) -> None:
    old = await note(timed, "1", "I live in Porto.")
    clock.tick()
    other = await note(timed, "2", "I live in Porto. My dog is called Rex.")
    clock.tick()
    new = await note(timed, "3", "I moved to Porto.")
    before = await timed.facts("u", history=True)
    assert (await timed.consolidate("u", "c")).merged == (old,)
    assert {memory.id for memory in await listed(timed)} == {other, new}
    assert await timed.facts("u", history=True) == before


async def test_what_ended_expires_or_is_archived_is_not_merged(timed: Keeper, clock: Any) -> None:
    ended = await note(timed, "1", "I live in Porto.", "a")
    clock.tick()
    await note(timed, "2", "I live in Faro.")
    clock.tick()
    await note(timed, "3", "I live in Porto.", "b")
    await note(timed, "4", "Tea", "a", expires_at=clock.now() + 99)
    await note(timed, "5", "Tea", "b")
    archived = await note(timed, "6", "Ski", "a")
    await note(timed, "7", "Ski", "b")
    await timed.update_memory("u", "8", archived, archived=True)
    await timed.remember("u", "9", [NewMemory(text="Hm"), NewMemory(text="Hm")])
    assert (await timed.consolidate("u", "c")).merged == ()
    assert (await timed.get_memory("u", ended)).valid_to is not None


async def test_an_edit_shows_again_what_was_merged(timed: Keeper, clock: Any) -> None:
    first = await note(timed, "1", "I like tea", "a")
    clock.tick()
    second = await note(timed, "2", "I like tea", "b")
    assert (await timed.consolidate("u", "c")).merged == (first,)
    await timed.update_memory("u", "e", second, text="I like coffee")
    assert [memory.text for memory in await listed(timed)] == ["I like tea", "I like coffee"]


async def test_many_are_merged_in_small_transactions(timed: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consolidation, "BATCH", 4)
    for number in range(11):
        await note(timed, f"e{number}", "the same", f"s{number}")
    assert len((await timed.consolidate("u", "c")).merged) == 10
    assert len(await listed(timed)) == 1


async def test_the_weak_are_archived_but_no_pin_and_no_fact_that_holds(
    tidy: Keeper, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consolidation, "BATCH", 2)
    weak, strong, pinned = await tidy.remember(
        "u",
        "e",
        [
            NewMemory(text="weak", importance=0),
            NewMemory(text="strong", importance=1),
            NewMemory(text="pinned", importance=0, pinned=True),
        ],
    )
    (used,) = await tidy.remember("u", "f", [NewMemory(text="used", importance=0)])
    await tidy.remember("u", "g", [NewMemory(text="I live in Porto.", importance=0)])
    assert (await tidy.consolidate("u", "c1")).archived == ()
    clock.tick(19 * DAY_S)
    await tidy.used("u", [used.id])
    assert (await tidy.consolidate("u", "c2")).archived == (weak.id,)
    assert (await tidy.get_memory("u", weak.id)).archived_at == clock.now()
    assert [change.event for change in await tidy.memory_history("u", weak.id)] == ["ADD", "ARCHIVE"]
    assert await tidy.search_memories("u", "weak") == []
    assert [one.memory.id for one in await tidy.search_memories("u", "weak", archived=True)][:1] == [weak.id]
    clock.tick(400 * DAY_S)
    assert set((await tidy.consolidate("u", "c3")).archived) == {strong.id, used.id}
    assert (await tidy.get_memory("u", pinned.id)).archived_at is None
    assert [fact.value for fact in await tidy.facts("u")] == ["Porto"]


async def test_nothing_is_archived_or_proposed_unless_settings_say_so(timed: Keeper, clock: Any) -> None:
    await say(timed, "s", *SESSION, importance=0)
    clock.tick(9999 * DAY_S)
    assert await timed.consolidate("u", "c") == Consolidated()


async def test_a_closed_session_gets_one_summary_of_what_was_said(tidy: Keeper, clock: Any) -> None:
    ids = await say(tidy, "s", *SESSION)
    await say(tidy, "", *SESSION)
    await say(tidy, "short", *SESSION[:2])
    assert (await tidy.consolidate("u", "c1")).proposed == ()
    clock.tick(consolidation.CLOSED_S + 1)
    await say(tidy, "open", *SESSION)
    (proposed,) = (await tidy.consolidate("u", "c2")).proposed
    summary = await tidy.get_memory("u", proposed)
    assert (summary.kind, summary.session, summary.metadata) == ("summary", "s", {"proposed": True})
    lines = summary.text.split("\n")
    assert 2 <= len(lines) <= 3
    assert set(lines) <= set(SESSION) - {"How nice!", "Will you be there?"}
    assert set(summary.sources) == {ids[SESSION.index(line)] for line in lines}
    assert await tidy.facts("u", history=True) == [
        fact for fact in await tidy.facts("u", history=True) if fact.memory_id != proposed
    ]
    assert (await tidy.consolidate("u", "c3")).proposed == ()
    await tidy.forget("u", "f", Forgetting(ids=(proposed,)))
    assert (await tidy.consolidate("u", "c4")).proposed == ()
    assert len(await tidy.recent_turns("u", "s")) == len(SESSION)


async def test_an_event_consolidates_once(tidy: Keeper, clock: Any) -> None:
    doomed = await note(tidy, "1", "gone soon", expires_at=clock.now() + 1)
    await note(tidy, "2", "Same", "a")
    await note(tidy, "3", "Same", "b")
    clock.tick(2)
    first = await tidy.consolidate("u", "c")
    assert first.expired == (doomed,)
    assert len(first.merged) == 1
    await note(tidy, "4", "Same", "c")
    assert await tidy.consolidate("u", "c") == first
    assert len((await tidy.consolidate("u", "d")).merged) == 1
    assert await tidy.consolidate("nobody", "c") == Consolidated()
