from random import Random

import pytest

from serve.looping import is_degenerate, usual_length

WORDS = Random(1).choices(range(100), k=200)


@pytest.mark.parametrize(
    ("tokens", "spoke"),
    [
        ([], False),
        ([5, 6], False),
        ([7] * 8, True),
        ([*WORDS[:40], *[1, 2, 3] * 43], True),
        ([*WORDS[:10] * 5], True),
        ([*WORDS[:12], *[7] * 12], True),
        (WORDS, True),
    ],
    ids=[
        "empty",
        "blank",
        "one word",
        "ends in a circle",
        "a sentence again and again",
        "short, half a loop",
        "very long",
    ],
)
def test_these_are_no_answers(tokens: list[int], spoke: bool) -> None:
    assert is_degenerate(tokens, spoke, usual=20)


@pytest.mark.parametrize("tokens", [[3], [7] * 7, WORDS[:90], [1, 2, 3, 4] * 2 + WORDS[:20]])
def test_these_are(tokens: list[int]) -> None:
    assert not is_degenerate(tokens, True, usual=20)


def test_a_usual_length_is_one_that_most_keep_within() -> None:
    assert usual_length([10] * 95 + [500] * 5) == 10
    assert not is_degenerate(WORDS, True, usual=None)
