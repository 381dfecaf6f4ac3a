from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import CompressionSettings
from serve.history import LEAST_WORDS, ladder, pasted_text, places, shortened
from serve.shortening import Piece, Short, Shortening

LONG = "word " * (LEAST_WORDS + 10)
QUESTION = "What is this about?"


def conversation(*contents: Any, system: str | None = None) -> tuple[dict[str, Any], ...]:
    """User and assistant in turn."""
    turns = [{"role": ("user", "assistant")[n % 2], "content": one} for n, one in enumerate(contents)]
    return (*([{"role": "system", "content": system}] if system else []), *turns)


def messages_of(found: Any) -> list[int]:
    return [place.message for place in found]


def test_the_last_messages_are_left_whole_and_older_ones_come_in_steps() -> None:
    counts = [len(places(conversation(*["Well, yes."] * number))) for number in range(1, 18, 2)]
    assert counts == [0, 0, 0, 0, 4, 4, 8, 8, 12]
    assert messages_of(places(conversation(*["Well, yes."] * 9, system="Be brief."))) == [1, 2, 3, 4]


def test_a_long_text_of_the_users_is_shortened_as_soon_as_it_is_not_the_question() -> None:
    assert places(conversation(LONG)) == []
    assert messages_of(places(conversation(LONG, LONG, QUESTION))) == [0]
    assert messages_of(places(conversation(LONG, LONG, QUESTION), everything=True)) == [0, 1]


def test_history_may_be_left_alone() -> None:
    pasted = f"{LONG}\n\n{QUESTION}"
    messages = conversation(pasted, LONG, LONG, *["Well, yes."] * 8)
    assert messages_of(places(messages)) == [0, 1, 2, 3]
    assert messages_of(places(messages, history=False)) == [0]


def test_of_a_pasted_text_neither_the_question_nor_the_opening_is_touched() -> None:
    content = f"Please read this:\n\n{LONG}\n\n{LONG}\n\n{QUESTION}\nBe brief."
    (place,) = places(conversation(content))
    assert content[place.start : place.end] == f"{LONG}\n\n{LONG}"[: place.end - place.start]
    assert content[: place.start] == "Please read this:\n\n"
    assert content[place.end :].strip() == f"{QUESTION}\nBe brief."
    assert places(conversation(content, "An answer.", "And then?"))[0] == place


@pytest.mark.parametrize(
    "content",
    [
        LONG,
        f"{QUESTION}\n\n{LONG}",
        f"{QUESTION} {LONG}",
        f"{LONG}\n{QUESTION}",
        f"A few words.\n\n{QUESTION}",
        f"{LONG}\n\nTell me what this is about.",
        f"{LONG}\n\n{LONG}?",
        "",
        "\n\n",
    ],
)
def test_where_no_question_stands_after_a_text_nothing_is_a_pasted_text(content: str) -> None:
    assert pasted_text(content) is None


@given(st.text(alphabet="ab \n?.", max_size=400), st.text(alphabet="ab ?", max_size=40))
def test_the_last_paragraph_is_never_part_of_a_pasted_text(text: str, question: str) -> None:
    content = f"{LONG}{text}\n\n{question}"
    found = pasted_text(content)
    if found is not None:
        rest = content[found[1] :].strip()
        assert "?" in rest
        assert "\n\n" not in rest
        assert len(content[found[0] : found[1]].split()) >= LEAST_WORDS


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": LONG, "tool_call_id": "1"},
        {"role": "assistant", "content": LONG, "tool_calls": [{"id": "1"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "user", "content": f'{{"text": "{LONG}"}}'},
        {"role": "user", "content": f'["{LONG}"]'},
        {"role": "system", "content": LONG},
        {"role": "developer", "content": LONG},
        {"role": "user", "content": " \n"},
    ],
)
def test_what_is_no_prose_is_never_touched(message: dict[str, Any]) -> None:
    asked = {"role": "user", "content": QUESTION}
    assert places([message, asked], everything=True) == []


def test_the_ladder_goes_down_from_what_was_asked() -> None:
    tiers = (0.3, 0.5, 0.7)
    assert ladder(0.5, tiers) == [0.5, 0.3]
    assert ladder(0.9, tiers) == [0.9, 0.7, 0.5, 0.3]
    assert ladder(0.2, tiers) == [0.2]


class Cutting:
    """Cuts a text to the share of its characters that is asked for."""

    settings = CompressionSettings()
    share = 0.5
    leaves_history = False

    def __init__(self) -> None:
        self.asked: list[tuple[float | None, bool, int]] = []
        self.counted: list[Short] = []

    def is_long(self, text: str) -> bool:
        return len(text) > 20

    async def shorten(self, pieces: list[Piece], budget: float | None = None, *, force: bool = False) -> Any:
        self.asked.append((budget, force, len(pieces)))
        share = budget or self.share
        return [
            Short(one.text[: int(len(one.text) * share)], len(one.text), int(len(one.text) * share))
            for one in pieces
        ]

    def count(self, shorts: list[Short]) -> None:
        self.counted = shorts


TALK = conversation(*[f"Number {number} is said at some length here." for number in range(11)])


async def run(room: int) -> tuple[Cutting, Any]:
    """`room` is in characters."""
    cutting = Cutting()

    async def fits(messages: Any) -> bool:
        return sum(len(one["content"]) for one in messages) <= room

    return cutting, await shortened(cast(Shortening, cutting), TALK, fits)


async def test_what_fits_is_shortened_as_asked() -> None:
    cutting, messages = await run(10**6)
    assert cutting.asked == [(None, False, 4)]
    assert [len(one["content"]) < len(two["content"]) for one, two in zip(messages, TALK, strict=True)] == [
        number < 4 for number in range(11)
    ]
    assert len(cutting.counted) == 4


async def test_what_does_not_fit_is_shortened_more_and_more() -> None:
    whole = sum(len(one["content"]) for one in TALK)
    cutting, messages = await run(int(whole * 0.62))
    assert cutting.asked == [(None, False, 4), (0.5, True, 10)]
    assert messages[-1] == TALK[-1]
    cutting, messages = await run(int(whole * 0.4))
    assert cutting.asked[1:] == [(0.5, True, 10), (0.3, True, 10)]
    cutting, messages = await run(10)
    assert cutting.asked[-1] == (0.3, True, 10)
    assert len(cutting.counted) == 10
