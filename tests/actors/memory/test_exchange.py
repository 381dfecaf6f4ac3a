import json
from pathlib import Path
from typing import Any

import pytest

from actors.keeper import Keeper
from actors.memory.records import Forgetting, NewMemory
from actors.messages import InvalidRequest
from configs.schema import DocumentSettings


@pytest.fixture
async def other(tmp_path: Path, clock: Any) -> Any:
    """A second store."""
    opened = Keeper(tmp_path / "other", DocumentSettings(vector_cache=False), clock)
    await opened.start()
    yield opened
    await opened.close()


async def lived_in(keeper: Keeper, clock: Any) -> list[str]:
    """Memories with every trait there is; their ids."""
    new = [
        NewMemory(text="I live in Porto.", said_at=clock.now() - 50, metadata={"a": {"b": [1]}}),
        NewMemory(text="Ü 🙂", role="assistant", speaker="Ada", importance=0.9, pinned=True),
        NewMemory(text="I like tea.", kind="note", expires_at=clock.now() + 99),
    ]
    first = await keeper.remember("u", "e1", new, session="s", agent="bot")
    clock.tick()
    await keeper.remember("u", "e2", [NewMemory(text="I moved to Faro.")], session="s")
    await keeper.remember(
        "u", "e3", [NewMemory(text="i like tea", kind="note", expires_at=1.8e9)], session="s"
    )
    ids = [one.id for one in first]
    await keeper.remember("u", "e4", [NewMemory(text="sum", kind="summary", sources=tuple(ids[:2]))])
    clock.tick()
    await keeper.update_memory("u", "e5", ids[1], text="My dog is called Rex.")
    await keeper.update_memory("u", "e6", ids[1], archived=True)
    await keeper.used("u", ids[:1])
    for session in "ab":
        await keeper.remember("u", f"n{session}", [NewMemory(text="I ski", kind="note")], session=session)
    assert len((await keeper.consolidate("u", "c")).merged) == 1
    return ids


def without_rows(record: Any) -> Any:
    """A record less the numbers of its rows."""
    return {**record, "row": 0, "facts": [{**fact, "row": 0} for fact in record["facts"]]}


async def everything(keeper: Keeper, user: str = "u") -> dict[str, Any]:
    records = await keeper.export_memories(user)
    return {
        "records": [without_rows(record) for record in records],
        "list": await keeper.list_memories(user),
        "facts": await keeper.facts(user, history=True),
        "histories": [await keeper.memory_history(user, record["id"]) for record in records],
        "recent": await keeper.recent_turns(user, "s"),
        "stats": await keeper.memory_stats(user),
    }


async def test_another_store_makes_the_same_of_the_records(timed: Keeper, other: Keeper, clock: Any) -> None:
    await lived_in(timed, clock)
    lines = [json.dumps(record) for record in await timed.export_memories("u")]
    clock.tick(5)
    written = await other.import_memories("u", "i", [json.loads(line) for line in lines])
    assert [one.event for one in written] == ["ADD"] * len(lines)
    assert await everything(other) == await everything(timed)
    (found, *_) = await other.search_memories("u", "dog Rex", archived=True)
    assert found.memory.text == "My dog is called Rex."
    assert len(await other.unembedded()) == len(lines)


async def test_pages_of_records_go_on_after_a_row(timed: Keeper, clock: Any) -> None:
    await lived_in(timed, clock)
    whole = await timed.export_memories("u")
    first = await timed.export_memories("u", limit=3)
    assert first + await timed.export_memories("u", after=first[-1]["row"]) == whole
    assert await timed.export_memories("u", after=whole[-1]["row"]) == []


async def test_what_is_there_or_was_forgotten_is_not_taken_in(timed: Keeper, clock: Any) -> None:
    ids = await lived_in(timed, clock)
    records = await timed.export_memories("u")
    before = await everything(timed)
    assert {one.event for one in await timed.import_memories("u", "i", records)} == {"NONE"}
    assert await everything(timed) == before
    await timed.forget("u", "f", Forgetting(ids=(ids[0],)))
    left = await everything(timed)
    written = await timed.import_memories("u", "j", records)
    assert {one.event for one in written} == {"NONE"}
    assert await everything(timed) == left


async def test_an_import_is_one_event(timed: Keeper) -> None:
    first = await timed.import_memories("u", "i", [{"text": "one"}, {"text": "two"}])
    assert await timed.import_memories("u", "i", [{"text": "one"}, {"text": "two"}]) == first
    assert (await timed.list_memories("u")).total == 2


async def test_a_text_is_enough(timed: Keeper, clock: Any, vectors_of: Any) -> None:
    await timed.import_memories("u", "i", [{"text": "I live in Porto.", "session": "s"}], vectors_of(1))
    (memory,) = (await timed.list_memories("u")).memories
    assert (memory.kind, memory.role, memory.valid_from, memory.event_id) == (
        "turn",
        "user",
        clock.now(),
        "i",
    )
    assert [fact.value for fact in await timed.facts("u")] == ["Porto"]
    assert await timed.unembedded() == []
    await timed.import_memories("u", "j", [{"text": "late", "session": "s", "ordinal": 0}])
    assert [turn.ordinal for turn in await timed.recent_turns("u", "s")] == [0, 1]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "text"),
        ("x", "record 2"),
        ({"text": " "}, "needs a text"),
        ({"text": "x" * 20_001}, "max_characters"),
        ({"text": "x", "kind": "thought"}, "kind"),
        ({"text": "x", "importance": 2}, "importance"),
        ({"text": "x", "said_at": "soon"}, "said_at"),
        ({"text": "x", "said_at": float("nan")}, "said_at"),
        ({"text": "x", "id": ""}, "id"),
        ({"text": "x", "id": "ü"}, "id"),
        ({"text": "x", "metadata": [1]}, "metadata"),
        ({"text": "x", "colour": "red"}, "colour"),
        ({"text": "x", "session": "s" * 513}, "session"),
        ({"text": "x", "facts": [{"slot": "home"}]}, "facts.0"),
        ({"text": "\ud800"}, "record 2"),
    ],
)
async def test_a_wrong_record_is_named_and_none_stored(timed: Keeper, record: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match="record 2") as raised:
        await timed.import_memories("u", "i", [{"text": "fine"}, record])
    assert message in raised.value.message
    assert (await timed.list_memories("u")).total == 0


async def test_a_fact_of_a_change_that_is_not_there_is_refused(timed: Keeper, clock: Any) -> None:
    await lived_in(timed, clock)
    record = next(one for one in await timed.export_memories("u") if one["facts"])
    record["facts"][0]["change"] = 7
    with pytest.raises(InvalidRequest, match="change"):
        await timed.import_memories("v", "i", [record])


async def test_the_same_ids_may_be_two_users(timed: Keeper, clock: Any) -> None:
    await lived_in(timed, clock)
    await timed.import_memories("v", "i", await timed.export_memories("u"))
    mine, theirs = await everything(timed), await everything(timed, "v")
    assert mine == theirs
    await timed.forget("v", "f", Forgetting(everything=True))
    assert await everything(timed) == mine
