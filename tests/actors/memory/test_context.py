from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.memory.context import Context, Levels, build, estimate
from actors.memory.records import Fact, Memory, Recalled

DAY = 86400.0


def memory(text: str, at: float = 0.0, **more: Any) -> Memory:
    number = more.pop("number", abs(hash((text, at))) % 10**6)
    given: dict[str, Any] = {
        "id": f"mem_{number}", "kind": "turn", "role": "user", "speaker": "", "session": "s", "agent": "",
        "ordinal": 0, "valid_to": None, "created_at": at, "updated_at": at,
    }  # fmt: skip
    return Memory(text=text, valid_from=at, **(given | more))


def recalled(*texts: str, **more: Any) -> list[Recalled]:
    """Hits of falling score, each said a day before the one in front of it."""
    return [
        Recalled(memory=memory(text, DAY * (20 - place), number=place, **more), score=10 - place / 10)
        for place, text in enumerate(texts)
    ]


def fact(statement: str, subject: str = "user", slot: str = "name") -> Fact:
    return Fact(
        memory_id=f"mem_{slot}", subject=subject, slot=slot, value="x", statement=statement,
        valid_from=0, valid_to=None, created_at=0,
    )  # fmt: skip


def words(text: str) -> int:
    return len(text.split())


def of(question: str = "Where is it?", budget: int = 200, **levels: Any) -> Context:
    conversation = levels.pop("conversation", [("user", question)])
    return build(Levels(question=question, conversation=conversation, **levels), budget, words)


def reasons(context: Context) -> dict[str, str]:
    return {one.id: one.why for one in context.left_out}


def test_episodes_stand_by_time_under_the_day_they_were_said() -> None:
    context = of(episodes=recalled("The key is in the shed.", "The shed is green.", "It is old."))
    assert context.text == (
        "1970-01-19\nIt is old.\n1970-01-20\nThe shed is green.\n1970-01-21\nThe key is in the shed."
    )
    assert set(context.used) == {"mem_0", "mem_1", "mem_2"}
    assert context.left_out == ()


def test_neighbours_share_a_heading_and_say_who_spoke() -> None:
    hits = [
        Recalled(memory=memory("Lovely.", 61.0, role="assistant", ordinal=1, number=1), score=3),
        Recalled(memory=memory("I have a cat.", 60.0, number=0), score=2),
        Recalled(memory=memory("Me too.", 62.0, speaker="Bo", ordinal=2, number=2), score=1),
    ]
    assert of(episodes=hits).text == "1970-01-01\nI have a cat.\nYou: Lovely.\nBo: Me too."


def test_facts_asked_for_stand_last_and_are_not_said_twice() -> None:
    facts = [fact("My name is Ann."), fact("I live in Faro.", slot="home")]
    context = of("Where do I live?", facts=facts, episodes=recalled("I live in Faro.", "Faro is hot."))
    assert context.text.endswith("\n\nI live in Faro.")
    assert context.text.count("I live in Faro.") == 1
    assert ("user", "home") in Levels(question="Where do I live?").slots
    assert reasons(context) == {"mem_0": "said by another one"}


def test_what_the_conversation_holds_is_not_repeated() -> None:
    conversation = [("user", "I live  in Faro."), ("assistant", "Nice."), ("user", "Where?")]
    context = of("Where?", conversation=conversation, episodes=recalled("I live in Faro.", "Faro is hot."))
    assert "live" not in context.text
    assert reasons(context) == {"mem_0": "in the conversation already"}


def test_what_is_far_from_the_question_or_superseded_is_left_out() -> None:
    hits = [*recalled("I moved to Faro."), Recalled(memory=memory("Plums.", 5.0, number=7), score=-90)]
    hits.append(Recalled(memory=memory("I live in Bern.", 1.0, number=8, superseded_by="mem_0"), score=9.9))
    context = of(episodes=hits)
    assert context.used == ("mem_0",)
    assert reasons(context) == {"mem_7": "too far from the question", "mem_8": "superseded by mem_0"}


def turns(*texts: str) -> list[Memory]:
    """The user and the assistant in turn."""
    return [
        memory(text, float(place), ordinal=place, number=100 + place, role=("user", "assistant")[place % 2])
        for place, text in enumerate(texts)
    ]


def test_the_sessions_turns_are_messages_before_the_conversation() -> None:
    context = of("And then?", turns=turns("a", "b", "c", "d"))
    assert context.turns == (("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    assert context.used == ("mem_100", "mem_101", "mem_102", "mem_103")


def test_only_turns_before_the_clients_own_history_are_added() -> None:
    conversation = [("user", "c"), ("assistant", "d"), ("user", "And then?")]
    context = of("And then?", conversation=conversation, turns=turns("a", "b", "c", "d"))
    assert context.turns == (("user", "a"), ("assistant", "b"))


def test_a_question_asked_again_does_not_see_its_old_answer() -> None:
    assert of("c", turns=turns("a", "b", "c", "d")).turns == (("user", "a"), ("assistant", "b"))


def test_a_turn_that_was_never_answered_is_told_as_an_episode() -> None:
    context = of("And?", turns=turns("a", "b", "I moved to Faro."))
    assert context.turns == (("user", "a"), ("assistant", "b"))
    assert context.text == "1970-01-01\nI moved to Faro."


def test_two_turns_of_one_role_become_one_message() -> None:
    stored = turns("a", "b", "c", "d")
    context = of("And?", turns=[stored[0], stored[2], stored[3]])
    assert context.turns == (("user", "a\n\nc"), ("assistant", "d"))


def test_turns_take_half_of_the_budget_at_most_and_begin_with_the_user() -> None:
    context = of("And?", budget=40, turns=turns("a", "b", "c", "d"), episodes=recalled("x " * 8))
    assert context.turns == (("user", "c"), ("assistant", "d"))
    assert reasons(context)["mem_101"] == "an earlier turn of the session; no room left"
    assert "mem_0" in context.used


def test_without_memories_there_is_no_context() -> None:
    assert of() == Context()
    assert of(budget=0, episodes=recalled("x")).text == ""


def test_the_same_levels_make_the_same_text() -> None:
    episodes = recalled("The key is in the shed.", "The shed is green.")
    assert of(episodes=episodes) == of(episodes=list(episodes))


said = st.text("ab .", min_size=1, max_size=30)


@given(
    budget=st.integers(0, 60),
    episodes=st.lists(said, max_size=6),
    stored=st.lists(said, max_size=6),
    statements=st.lists(said, max_size=2),
)
def test_a_context_never_takes_more_than_its_budget(
    budget: int, episodes: list[str], stored: list[str], statements: list[str]
) -> None:
    facts = [fact(one, slot="home") for one in statements]
    levels = Levels(
        question="Where do I live?", facts=facts, episodes=recalled(*episodes), turns=turns(*stored)
    )
    context = build(levels, budget, words)
    spent = words(context.text) + sum(words(text) + 8 for _, text in context.turns)
    assert spent <= budget
    assert not {one.id for one in context.left_out} & set(context.used)
    roles = [role for role, _ in context.turns]
    assert roles == ["user", "assistant"] * (len(roles) // 2)


@pytest.mark.parametrize("text", ["", "short", "a longer one of several words", "żółw 漢字"])
def test_an_estimate_is_seldom_too_low(text: str) -> None:
    assert estimate(text) >= len(text.split())
