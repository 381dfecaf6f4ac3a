import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.memory.sentences import sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["It rained.", "Nobody came!", "Why?"],
        ["Dr. Smith met Mr. J. R. Jones at 3.5 p.m. in St. Mary's church.", "They left."],
        ["He was born c. 1483 in the U.S. state of Ohio.", "The rest is known."],
        ["He worked at Acme Inc.", "The firm closed."],
        ['She said "no."', "Then she left."],
        ["It is known.[12]", "It is also known.:14", "Third."],
        ["雨が降った。", "誰も来なかった。"],
        ["See fig. 3 for more, e.g. the left one.", "Done."],
        ["Wait... what was that?", "Nothing."],
    ],
)
def test_sentences_end_where_a_reader_ends_them(parts: list[str]) -> None:
    assert split(" ".join(parts)) == parts


def test_list_items_stand_alone() -> None:
    assert split("Needs:\n- one thing\n- two things\n1. a third") == [
        "Needs:",
        "- one thing",
        "- two things",
        "1. a third",
    ]


def test_a_blank_line_ends_a_sentence_before_a_lower_case_word() -> None:
    assert split("First.\n\nsecond") == ["First.", "second"]


@given(st.text(alphabet="aB1 .!?\n\"'([])。-:…", max_size=200))
def test_every_letter_is_in_exactly_one_sentence(text: str) -> None:
    spans = sentences(text)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
    assert "".join("".join(part.split()) for part in split(text)) == "".join(text.split())
    assert all(part == part.strip() and part for part in split(text))


@pytest.mark.parametrize("unit", [".", ". ", '."', "[1].", "A. ", ".:1", "\n ", "。", "…?"])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        started = time.process_time()
        sentences(unit * size)
        return time.process_time() - started

    seconds(1000)
    assert seconds(100_000) < 100 * seconds(10_000) + 1
