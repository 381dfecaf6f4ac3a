from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.memory import exchanges
from actors.memory.records import Forgetting, Judged, NewMemory
from actors.messages import InvalidRequest, NotFound, TooLarge
from actors.training.unlearning import tell


async def told(keeper: Keeper, event: str, *texts: str, user: str = "ann", **more: Any) -> list[str]:
    session, role = more.pop("session", ""), more.pop("role", "user")
    new = [NewMemory(text=text, role=role, **more) for text in texts]
    return [one.id for one in await keeper.remember(user, event, new, session=session)]


async def answered(keeper: Keeper, id: str, question: str, answer: str, **more: Any) -> None:
    await told(keeper, exchanges.asked(id), question, session="s", **more)
    await told(keeper, exchanges.answered(id), answer, session="s", role="assistant", **more)


async def kinds(keeper: Keeper, user: str = "ann") -> list[tuple[str, str | None]]:
    return [(one["kind"], one["refused"]) for one in await keeper.learnable(user)]


class Book:
    """Notes what it is told to forget; fails first where it shall."""

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing
        self.ids: list[str] = []

    async def forget(self, events: Sequence[str]) -> None:
        if self.failing:
            self.failing = False
            raise RuntimeError
        self.ids += events


async def test_nothing_is_learned_unless_it_was_switched_on(keeper: Keeper) -> None:
    await told(keeper, "e1", "My dog is called Biscuit.")
    await told(keeper, "e2", "I live in Porto.", training=True)
    await told(keeper, "e3", "I work at Acme.", training=False)
    assert [why for _, why in await kinds(keeper)] == [
        "the user has not switched training on",
        None,
        "its request said that it may not be trained on",
    ]
    assert await keeper.learners() == ["ann"]
    refused = (await keeper.learnable("ann"))[0]
    assert "Biscuit" not in str(refused)
    await keeper.set_consent("ann", "c1", training=True, shared=True)
    assert [why is None for _, why in await kinds(keeper)] == [True, True, False]
    consent = await keeper.consent("ann")
    assert consent.training
    assert consent.shared


async def test_withdrawal_acts_on_what_was_said_before_and_names_it_to_whoever_learned(
    keeper: Keeper,
) -> None:
    (memory,) = await told(keeper, "e1", "My dog is called Biscuit.", training=True)
    await keeper.set_consent("ann", "c1", training=True)
    (record,) = await keeper.learnable("ann")
    assert record["events"] == [memory, "e1"]
    await keeper.set_consent("ann", "c2", training=False)
    await keeper.set_consent("ann", "c1", training=True)
    assert await kinds(keeper) == [("fact", "the user switched training off")]
    assert await keeper.learners() == []
    assert sorted(await keeper.untold()) == sorted([memory, "e1"])
    await keeper.set_consent("ann", "c3", training=True)
    (record,) = await keeper.learnable("ann")
    assert record["events"] == [f"{memory}~1", "e1~1"]
    await keeper.forget("ann", "f", Forgetting(ids=(memory,)))
    assert {f"{memory}~1", "e1~1"} <= set(await keeper.untold())
    with pytest.raises(InvalidRequest):
        await keeper.set_consent("ann", "c4", training=False, shared=True)


async def test_forgetting_is_told_until_it_was_heard(keeper: Keeper) -> None:
    one, two = await told(keeper, "e1", "My dog is called Biscuit.", "I live in Porto.")
    await keeper.forget("ann", "f1", Forgetting(ids=(one,)))
    assert await keeper.untold() == [one]
    book = Book(failing=True)
    with pytest.raises(RuntimeError):
        await tell(keeper, book)
    assert await tell(keeper, book) == 1
    assert book.ids == [one]
    await keeper.forget("ann", "f2", Forgetting(ids=(two,)))
    assert await keeper.untold() == [two, "e1"]
    assert await tell(keeper, book) == 2
    assert await keeper.untold() == []


async def test_all_of_a_user_goes_with_consent_and_feedback(keeper: Keeper, add: Any) -> None:
    await answered(keeper, "c", "Who are you?", "A model.")
    await keeper.put_feedback("ann", "f1", "c", correction="A palimpsest.")
    await keeper.set_consent("ann", "c1", training=True)
    file = await add("a.txt", "A line of a document.", user="ann")
    await keeper.forget("ann", "forget", Forgetting(everything=True))
    assert (await keeper.consent("ann")).training is None
    assert await kinds(keeper) == [("passage", "the user has not switched training on")]
    assert {"c/asked", "c/answered", "f1", file.id} <= set(await keeper.untold())
    assert b"palimpsest" not in b"".join(path.read_bytes() for path in keeper._directory.glob("store*"))
    with pytest.raises(NotFound):
        await keeper.put_feedback("ann", "f1", "c", correction="A palimpsest.", known=True)


async def test_feedback_is_of_the_users_own_answers_and_the_last_word_counts(keeper: Keeper) -> None:
    await answered(keeper, "c", "Who are you?", "A model.")
    with pytest.raises(NotFound):
        await keeper.put_feedback("bob", "f0", "c", rating=1)
    with pytest.raises(InvalidRequest):
        await keeper.put_feedback("ann", "f0", "c")
    first = await keeper.put_feedback("ann", "f1", "c", rating=1)
    assert first.first
    assert await keeper.put_feedback("ann", "f2", "c", rating=1) == replace(first, first=False)
    second = await keeper.put_feedback("ann", "f3", "c", rating=-1, correction="A palimpsest.")
    assert await keeper.put_feedback("ann", "f1", "c", rating=1) == second
    assert (second.rating, second.correction) == (-1, "A palimpsest.")
    assert await keeper.untold() == [first.id, "f1"]


@pytest.mark.parametrize(
    "what",
    [
        Forgetting(session="s"),
        Forgetting(matching="palimpsest"),
        Forgetting(matching="who"),
        Forgetting(before=9e9),
    ],
)
async def test_feedback_is_forgotten_by_what_it_is_about_and_by_its_own_words(
    keeper: Keeper, what: Forgetting
) -> None:
    await answered(keeper, "c", "Who are you?", "A model.")
    given = await keeper.put_feedback("ann", "f1", "c", correction="A palimpsest.")
    assert (
        "A palimpsest." in (await keeper.forget("ann", "f", what, dry_run=True)).texts
        or what.matching == "who"
    )
    await keeper.forget("ann", "f", what)
    assert await keeper.learnable("ann") == []
    assert {given.id, "f1"} <= set(await keeper.untold())


async def test_an_exchange_comes_with_what_was_said_before_it(keeper: Keeper) -> None:
    await keeper.set_consent("ann", "on", training=True)
    await answered(keeper, "c0", "A secret.", "Noted.", training=False)
    await answered(keeper, "c1", "I keep bees.", "How many?")
    await answered(keeper, "c2", "Twelve. Is that a lot?", "No.")
    await keeper.put_feedback("ann", "f", "c2", rating=1)
    record = (await keeper.learnable("ann"))[-1]
    assert [one["content"] for one in record["messages"]] == [
        "I keep bees.",
        "How many?",
        "Twelve. Is that a lot?",
    ]
    assert record["answer"] == "No."
    assert {"c1/asked", "c2/answered", "f"} <= set(record["events"])
    await answered(keeper, "c3", "And this?", "Yes.", training=False)
    await keeper.put_feedback("ann", "g", "c3", rating=1)
    assert (await keeper.learnable("ann"))[-1]["refused"]


async def test_records_come_page_by_page_and_only_what_holds(keeper: Keeper, add: Any) -> None:
    await keeper.set_consent("ann", "on", training=True)
    await told(keeper, "e1", "I live in Porto. My dog is called Biscuit.", said_at=1.0)
    await told(keeper, "e2", "I moved to Rome.", said_at=2.0)
    file = await add("a.txt", "One line.\nAnother line.", user="ann")
    await answered(keeper, "c", "Hm?", "Hm.")
    await keeper.put_feedback("ann", "f", "c", rating=1)
    pages, after = [], ""
    while page := await keeper.learnable("ann", after=after, limit=2):
        pages += page
        after = page[-1]["cursor"]
    assert pages == await keeper.learnable("ann")
    assert [one.get("value") or one["kind"] for one in pages] == [
        "Biscuit",
        "Rome",
        "exchange",
        "passage",
        "passage",
    ]
    assert pages[-1]["events"][0] == file.id
    await keeper.delete_file("ann", file.id)
    assert file.id in await keeper.untold()
    with pytest.raises(InvalidRequest):
        await keeper.learnable("ann", after="nowhere")


async def test_the_mark_of_a_request_survives_export_and_import(keeper: Keeper) -> None:
    (memory,) = await told(keeper, "e1", "I live in Porto.", training=False)
    records = await keeper.export_memories("ann")
    await keeper.import_memories("bob", "i", records, np.zeros((1, 4), np.float32))
    assert (await keeper.get_memory("bob", memory)).training is False


ASKED = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What do bees make?"})
BOTH = (Judged("Honey."), Judged("Wool."))
SCORED = (Judged("Honey.", 1.0), Judged("Wax.", 0.5), Judged("Wool.", -2.0))


async def test_compared_answers_are_kept_once_and_obey_consent(keeper: Keeper) -> None:
    first = await keeper.put_comparison("ann", "p1", ASKED, BOTH)
    assert await keeper.put_comparison("ann", "p1", ASKED, BOTH) == first
    with pytest.raises(InvalidRequest, match="was another call"):
        await keeper.set_consent("ann", "p1", training=True)
    await keeper.put_comparison("ann", "r1", ASKED, SCORED, training=False)
    assert await keeper.learners() == []
    allowed = await keeper.put_comparison("ann", "r2", ASKED, SCORED, training=True)
    assert await keeper.learners() == ["ann"]
    found = await keeper.learnable("ann", limit=2)
    found += await keeper.learnable("ann", after=found[-1]["cursor"])
    assert [(one["kind"], one["refused"] is None) for one in found] == [
        ("preference", False),
        ("reward", False),
        ("reward", True),
    ]
    assert "Honey" not in str(found[:2])
    assert found[-1]["events"] == [allowed.id, "r2"]
    assert found[-1]["completions"][1] == {"text": "Wax.", "score": 0.5}
    await keeper.set_consent("ann", "c1", training=True)
    record = (await keeper.learnable("ann"))[0]
    assert (record["messages"], record["chosen"], record["rejected"]) == (list(ASKED), "Honey.", "Wool.")
    await keeper.set_consent("ann", "c2", training=False)
    assert {first.id, "p1", allowed.id, "r2"} <= set(await keeper.untold())
    assert {why is None for _, why in await kinds(keeper)} == {False}


@pytest.mark.parametrize(
    "what", [Forgetting(matching="wool"), Forgetting(before=9e9), Forgetting(everything=True)]
)
async def test_compared_answers_are_forgotten_for_good(keeper: Keeper, what: Forgetting) -> None:
    await keeper.set_consent("ann", "c1", training=True)
    given = [await keeper.put_comparison("ann", "p1", ASKED, BOTH)]
    given.append(await keeper.put_comparison("ann", "r1", ASKED, SCORED))
    await keeper.forget("ann", "f0", Forgetting(session="default"))
    assert len(await keeper.learnable("ann")) == 2
    assert (await keeper.forget("ann", "f", what, dry_run=True)).texts == ("Honey.", "Honey.")
    assert {"p1", "r1"} <= set((await keeper.forget("ann", "f", what)).events)
    assert await keeper.learnable("ann") == []
    assert {"p1", "r1", *(one.id for one in given)} <= set(await keeper.untold())
    assert b"Wool" not in b"".join(path.read_bytes() for path in keeper._directory.glob("store*"))
    with pytest.raises(NotFound, match="forgotten"):
        await keeper.put_comparison("ann", "p1", ASKED, BOTH)


@pytest.mark.parametrize(
    ("messages", "answers", "said"),
    [
        ((), BOTH, "1 to 100 messages"),
        (({"role": "tool", "content": "4"},), BOTH, "'tool' is none of"),
        ((*ASKED, {"role": "assistant", "content": "Hm."}), BOTH, "must be the user's"),
        (({"role": "user", "content": " "},), BOTH, "needs a text"),
        (ASKED, (Judged("Honey."), Judged("Honey. ")), "the same"),
        (ASKED, (Judged("Honey.", 1.0),), "2 to 16 answers"),
        (ASKED, (Judged("Honey."), Judged("Wax."), Judged("Wool.")), "needs a score"),
        (ASKED, (Judged("Honey.", 1e9), Judged("Wool.", 1e9 + 1e-7)), "all equal"),
        (ASKED, (Judged("Honey.", 1.0), Judged("Wool.", float("nan"))), "finite"),
        (ASKED, (Judged("Honey.", 1.0), Judged("\ud800")), "Unicode"),
        (ASKED, (Judged("Honey."), Judged("x" * 20_001)), "memory.max_characters"),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    keeper: Keeper, messages: Any, answers: Any, said: str
) -> None:
    with pytest.raises((InvalidRequest, TooLarge), match=said):
        await keeper.put_comparison("ann", "p1", messages, answers)
    assert await keeper.learnable("ann") == []
