from random import Random

import pytest

from serve.looping import is_degenerate, usual_length

WORDS = Random(1).choices(range(100), k=200)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([], ""),
        ([5, 6], " \n"),
        ([7] * 8, "x"),
        ([*WORDS[:40], *[1, 2, 3] * 43], "x"),
        ([*WORDS[:10] * 5], "x"),
        (WORDS, "x"),
    ],
    ids=["empty", "blank", "one word", "ends in a circle", "a sentence again and again", "very long"],
)
def test_these_are_no_answers(tokens: list[int], text: str) -> None:
    assert is_degenerate(tokens, text, usual=20)


@pytest.mark.parametrize("tokens", [[3], [7] * 7, WORDS[:90], [1, 2, 3, 4] * 2 + WORDS[:20]])
def test_these_are(tokens: list[int]) -> None:
    assert not is_degenerate(tokens, "x", usual=20)


def test_a_usual_length_is_one_that_most_keep_within() -> None:
    assert usual_length([10] * 95 + [500] * 5) == 10
    assert not is_degenerate(WORDS, "x", usual=None)
