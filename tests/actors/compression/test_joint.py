"""What several texts give to one room."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.compression.counting import ModelCounter
from actors.compression.joint import Part, gather
from actors.compression.policy import Policy
from actors.compression.protect import protect
from actors.compression.shortening import Shortener
from configs.schema import CompressionSettings

FILLER = (
    "The harbour was rebuilt in 1815 by people who came from other towns. The ships that carried grain did "
    "not have to wait outside any more when the wind was strong. Its light can be seen over 22 km. "
)
ASKED = "Who wrote the book of the keepers?"
TOLD = "The book of the keepers was written by Ann Lee and her two sons."
SENTENCES = st.sampled_from(
    [
        "It took 45 minutes, and no dog was let in.",
        'He said "the sea is calm" and left at 7:30.',
        "The market of the old town stayed open for most of that long winter.",
        "Write to a.lee@example.org about the boats.",
        "Rooms | Price\n1 | $20.50\n",
        "Nothing happened.",
    ]
)


@pytest.fixture(scope="module")
def shortener(byte_counter: ModelCounter) -> Shortener:
    return Shortener(Policy.default(), byte_counter, CompressionSettings())


def check(shortener: Shortener, texts: list[str], room: int, between: int = 0) -> list[Part]:
    """All that is promised of any texts."""
    parts = gather(shortener, texts, [None] * len(texts), ASKED, room, between)
    assert sum(one.tokens_after + between * bool(one.text) for one in parts) <= room
    for text, part in zip(texts, parts, strict=True):
        assert part.tokens_before == shortener.counter.count(text)
        assert part.tokens_after == shortener.counter.count(part.text)
        place = 0
        for start, end in part.kept:
            place = part.text.index(text[start:end], place) + end - start
        for span in protect(text):
            inside = [start < span.end and span.start < end for start, end in part.kept]
            whole = [start <= span.start and span.end <= end for start, end in part.kept]
            assert inside == whole, span
    return parts


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(SENTENCES, min_size=1, max_size=9).map(" ".join), min_size=1, max_size=5),
    room=st.integers(0, 400),
    between=st.integers(0, 3),
)
def test_a_room_is_never_exceeded_and_facts_stay_whole(
    shortener: Shortener, texts: list[str], room: int, between: int
) -> None:
    check(shortener, texts, room, between)


def test_the_likeliest_sentences_get_the_room(shortener: Shortener) -> None:
    texts = [FILLER * 2, FILLER * 3, FILLER * 2 + TOLD + " " + FILLER]
    whole = [shortener.counter.count(text) for text in texts]
    room = sum(whole) // 3
    parts = check(shortener, texts, room)
    assert TOLD in parts[2].text
    assert parts[2].text != texts[2]
    assert parts[0].tokens_after / whole[0] > parts[1].tokens_after / whole[1]
    assert sum(one.tokens_after for one in parts) > room - 0.02 * sum(whole)
    again = gather(shortener, texts, [None] * 3, ASKED, room)
    assert [one.text for one in again] == [one.text for one in parts]


def test_scores_beside_a_text_stand_for_the_policy(shortener: Shortener) -> None:
    texts = [FILLER * 2 + TOLD, FILLER * 3]
    stored = [shortener.stored_scores(text) for text in texts]
    room = shortener.counter.count(texts[0]) // 2
    mine = gather(shortener, texts, stored, ASKED, room)
    assert sum(one.tokens_after for one in mine) <= room
    assert TOLD in mine[0].text


def test_a_short_text_stands_or_falls_whole(shortener: Shortener) -> None:
    settings = CompressionSettings(least_tokens=10_000)
    whole = Shortener(Policy.default(), shortener.counter, settings)
    texts = [FILLER, TOLD, FILLER]
    room = shortener.counter.count(TOLD) + 4
    parts = gather(whole, texts, [None] * 3, ASKED, room)
    assert [one.text for one in parts] == ["", TOLD, ""]
    assert [one.text for one in gather(whole, texts, [None] * 3, ASKED, 10**6)] == texts
    assert gather(whole, [], [], ASKED, 9) == []
