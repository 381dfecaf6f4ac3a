"""Searches of memories: whose they are, when they were said, what holds, what faded, and why."""

from typing import Any

import numpy as np
import pytest

from actors.identity import Identity
from actors.keeper import Keeper
from actors.memory.memory_source import Limits
from actors.memory.ranker import SHIPPED, Ranker, save
from actors.memory.records import Forgetting, NewMemory, Recalled
from actors.memory.remembering import Reading, search
from actors.memory.vectors import Matrices
from actors.messages import InvalidRequest
from configs.schema import DocumentSettings, MemorySettings

DAY = 86_400.0
NOW = 1.7e9


@pytest.fixture
async def at_now(tmp_path: Any) -> Any:
    """A keeper whose clock stands still."""
    opened = Keeper(
        tmp_path / "still",
        DocumentSettings(vector_cache=False),
        Identity(fixed_clock=NOW),
        MemorySettings(decay_weight=0.5, half_life_days=30),
    )
    await opened.start()
    yield opened
    await opened.close()


class Teller:
    """`await tell("text", ...)` remembers a turn and gives its id."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.count = 0

    async def __call__(
        self,
        text: str,
        *,
        user: str = "u",
        session: str = "",
        agent: str = "",
        vector: Any = None,
        **given: Any,
    ) -> str:
        self.count += 1
        new = [NewMemory(text=text, **given)]
        vectors = None if vector is None else np.asarray(vector, np.float32)[None]
        event = f"told-{self.count}"
        written = await self.keeper.remember(user, event, new, vectors, session=session, agent=agent)
        return written[0].id


@pytest.fixture
def tell(at_now: Keeper) -> Teller:
    return Teller(at_now)


def texts(found: list[Recalled]) -> list[str]:
    return [one.memory.text for one in found]


async def test_nothing_remembered_is_nothing_found(at_now: Keeper, tell: Teller) -> None:
    assert await at_now.search_memories("u", "anything") == []
    await tell("The harbour is closed")
    assert await at_now.search_memories("u", "harbour", limit=0) == []
    assert await at_now.search_memories("stranger", "harbour") == []
    assert await at_now.search_memories("u", "zebra") == []
    with pytest.raises(InvalidRequest, match="user is needed"):
        await at_now.search_memories("", "harbour")


async def test_each_user_finds_their_own(at_now: Keeper, tell: Teller, vectors_of: Any) -> None:
    vector = vectors_of(1)[0]
    for user in ("ann", "bob"):
        for number in range(5):
            await tell(f"{user} saw harbour {number}", user=user, vector=vector)
    for user in ("ann", "bob"):
        for query, given in (("harbour", None), ("harbour", vector), ("", vector), ("", None)):
            found = await at_now.search_memories(user, query, given, limit=20)
            assert len(found) == 5
            assert all(one.memory.text.startswith(user) for one in found)


async def test_what_is_gone_is_not_found(at_now: Keeper, tell: Teller) -> None:
    await tell("harbour one", expires_at=NOW - 1)
    archived = await tell("harbour two")
    await at_now.update_memory("u", "e", archived, archived=True)
    forgotten = await tell("harbour three")
    await at_now.forget("u", "f", Forgetting(ids=(forgotten,)))
    for text in ("harbour four", "harbour  four"):
        await tell(text, kind="note", session=text)
    await at_now.consolidate("u", "c")
    found = await at_now.search_memories("u", "harbour")
    assert len(found) == 1
    assert "four" in found[0].memory.text
    assert sorted(texts(await at_now.search_memories("u", "harbour", archived=True)))[1:] == ["harbour two"]


async def test_sessions_agents_and_moments(at_now: Keeper, tell: Teller) -> None:
    await tell("harbour in May", session="a", said_at=100.0)
    await tell("harbour in June", session="b", agent="bot", said_at=200.0)

    async def found(**limits: Any) -> list[str]:
        return sorted(texts(await at_now.search_memories("u", "harbour", **limits)))

    assert await found() == ["harbour in June", "harbour in May"]
    assert await found(session="a") == await found(as_of=150.0) == ["harbour in May"]
    assert await found(agent="bot") == ["harbour in June"]
    assert await found(as_of=50.0) == await found(session="none") == []


async def test_what_holds_stands_before_what_it_superseded(at_now: Keeper, tell: Teller) -> None:
    old = await tell("I live in Porto.", session="a", said_at=NOW - 300 * DAY)
    await tell("I moved to Lisbon.", session="b", said_at=NOW - 100 * DAY)
    await tell("I lived in Faro as a child.", session="c", said_at=NOW - 50 * DAY)
    found = await at_now.search_memories("u", "Where do I live now? In Porto?")
    assert texts(found)[0] == "I moved to Lisbon."
    assert "holds since 2023-08-" in found[0].why
    (before,) = [one for one in found if one.memory.id == old]
    assert "no longer holds" in before.why
    assert before.memory.superseded_by == found[0].memory.id
    then = await at_now.search_memories("u", "Where do I live?", as_of=NOW - 200 * DAY)
    assert texts(then) == ["I live in Porto."]
    assert then[0].memory.valid_to is None
    assert "holds since" in then[0].why


async def test_the_holder_is_found_where_no_word_nor_vector_is(at_now: Keeper, tell: Teller) -> None:
    for number in range(40):
        await tell(f"Where people live is story {number}", session=f"s{number}")
    await tell("I moved to Lisbon.", session="x")
    (first,) = await at_now.search_memories("u", "Where do I live?", limit=1)
    assert first.memory.text == "I moved to Lisbon."


async def test_an_edited_memory_says_what_it_said_then(at_now: Keeper, tell: Teller) -> None:
    edited = await tell("The harbour is blue", said_at=NOW - 10 * DAY)
    await at_now.update_memory("u", "e", edited, text="The harbour is green")
    assert texts(await at_now.search_memories("u", "harbour")) == ["The harbour is green"]
    assert texts(await at_now.search_memories("u", "harbour", as_of=NOW - DAY)) == ["The harbour is blue"]


async def test_of_equals_the_stronger_comes_first(at_now: Keeper, tell: Teller) -> None:
    for name, given in {
        "old": {"said_at": NOW - 365 * DAY},
        "pinned": {"said_at": NOW - 365 * DAY, "pinned": True},
        "new": {"said_at": NOW},
    }.items():
        await tell(f"harbour {name}", session=name, **given)
    used = await tell("harbour used", session="used", said_at=NOW - 365 * DAY)
    await at_now.used("u", [used])
    by_weight = {}
    for weight in (0.0, 2.0):
        reading = Reading(matrices=Matrices(1 << 20), half_life_days=30, decay_weight=weight)
        limits = Limits(now=NOW)
        found = await at_now._open.read(search, reading, "u", "harbour", None, 10, limits)
        by_weight[weight] = {one.memory.session: one for one in found}
    assert texts(found)[-1] == "harbour old"
    for session, one in by_weight[2.0].items():
        strength = one.parts["strength"]
        assert strength < 0.1 if session == "old" else strength == 1
        assert one.score == pytest.approx(by_weight[0.0][session].score - 2 * (1 - strength))


async def test_without_words_or_vector_the_newest(at_now: Keeper, tell: Teller, vectors_of: Any) -> None:
    vectors = vectors_of(3)
    for number, said_at in enumerate((200.0, 300.0, 100.0)):
        await tell(f"text {number}", session=str(number), said_at=said_at, vector=vectors[number])
    for query in ("", "?!", " "):
        assert texts(await at_now.search_memories("u", query, limit=2)) == ["text 1", "text 0"]
        assert texts(await at_now.search_memories("u", query, vectors[2]))[0] == "text 2"


async def test_vectors_may_come_later_or_never(at_now: Keeper, tell: Teller, vectors_of: Any) -> None:
    vectors = vectors_of(2)
    written = [await tell(text, session=text) for text in ("harbour one", "something else", "a third")]
    assert texts(await at_now.search_memories("u", "harbour", vectors[0])) == ["harbour one"]
    assert await at_now.search_memories("u", "zebra", vectors[0]) == []
    await at_now.put_vectors("u", written[1:], vectors)
    assert texts(await at_now.search_memories("u", "zebra", vectors[0]))[0] == "something else"


async def test_reasons_are_told(at_now: Keeper, tell: Teller, vectors_of: Any) -> None:
    vectors = vectors_of(2)
    said = await tell("The lighthouse stands on the harbour wall", vector=vectors[0])
    await tell("It was painted white", vector=vectors[1])
    found = await at_now.search_memories("u", "Which lighthouse is at the harbours?", vectors[0])
    assert found[0].memory.id == said
    assert found[0].why == "says 'lighthouse', 'harbours' in the same words; near in meaning"
    assert found[1].why.startswith("stands next to what says so")
    assert found[0].parts["cosine"] > found[1].parts["cosine"]


async def test_long_and_odd_questions_are_answered(at_now: Keeper, tell: Teller) -> None:
    await tell("The harbour is closed")
    for query in ("harbour " * 100_000, 'harbour" OR *', "harbour\0NEAR(", "harbour \ud800", "harbour 🦊"):
        assert texts(await at_now.search_memories("u", query)) == ["The harbour is closed"]


async def test_a_vector_of_another_width_is_refused(at_now: Keeper, tell: Teller, vectors_of: Any) -> None:
    await tell("harbour", vector=vectors_of(1)[0])
    with pytest.raises(InvalidRequest, match="16 dimensions"):
        await at_now.search_memories("u", "harbour", np.ones(3, np.float32))


async def test_weights_of_ones_own_are_used(tmp_path: Any) -> None:
    path = tmp_path / "weights.json"
    save(Ranker(dict.fromkeys(SHIPPED.first, 0.0), dict.fromkeys(SHIPPED.second, 0.0)), path)
    settings = MemorySettings(ranker=path, decay_weight=0)
    keeper = Keeper(tmp_path / "own", DocumentSettings(vector_cache=False), memory=settings)
    await keeper.start()
    await Teller(keeper)("The harbour is closed")
    assert [one.score for one in await keeper.search_memories("u", "harbour")] == [0]
    await keeper.close()
    with pytest.raises(InvalidRequest, match="no file"):
        Keeper(tmp_path, DocumentSettings(), memory=MemorySettings(ranker=tmp_path / "missing"))


async def test_what_was_looked_up_changes_no_answer(at_now: Keeper, tell: Teller, vectors_of: Any) -> None:
    await at_now.look_up("stranger", "harbour")
    vectors = vectors_of(3)
    for number, text in enumerate(("The harbour is closed", "A windmill", "The harbour opens at nine")):
        await tell(text, vector=vectors[number])
    before = await at_now.search_memories("u", "harbour", vectors[1])
    await at_now.look_up("u", "harbour")
    assert await at_now.search_memories("u", "harbour", vectors[1]) == before
    await at_now.look_up("u", "harbour", session="none")
    await tell("A new harbour")
    await at_now.look_up("u", "harbour")
    assert "A new harbour" in texts(await at_now.search_memories("u", "harbour", vectors[1]))
