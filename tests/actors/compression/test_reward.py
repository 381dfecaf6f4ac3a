import numpy as np
import pytest

from actors.compression.reward import Places, Weights, achieved, find, recovered_bits, reward
from actors.compression.words import split

COSTS = np.array([1, 2, 1, 4], np.int64)
BITS = np.array([1, 1, 1, 1], np.float32)


def masks(*rows: str) -> np.ndarray:
    return np.array([[mark == "x" for mark in row] for row in rows])


def test_an_answer_is_kept_if_one_place_is_whole() -> None:
    places = Places.of([[(0, 1), (2, 4)], [], [(1, 3)]])
    assert places.questions == 2
    kept = places.kept(masks("x...", "..xx", ".xx.", "..x.", "...."))
    assert kept.tolist() == [[True, False], [True, False], [False, True], [False, False], [False, False]]


def test_answers_are_found_as_ranges_of_words() -> None:
    text = "The Broncos, not the Bronco, won 24-10."
    words = split(text)
    assert find(text, words, "Broncos") == [(1, 2)]
    assert find(text, words, "Bronco") == [(4, 5)]
    assert find(text, words, "not the Bronco") == [(2, 5)]
    assert find(text, words, "4-1") == [(6, 7)], "inside a word where it stands nowhere whole"
    assert find(text, words, "Panthers") == find(text, words, " ") == []


def test_each_term_counts_by_its_weight_and_can_be_left_out() -> None:
    places = Places.of([[(3, 4)], [(0, 2)]])
    choices = masks("...x", "xx.x")
    answers = [0.5, 1.0]
    off = [0.0, 3 / 8]
    args = (0, choices, places, COSTS, BITS, 0.5)
    np.testing.assert_allclose(reward(Weights(), *args), answers)
    np.testing.assert_allclose(reward(Weights(answers=0, budget=1), *args), np.negative(off))
    np.testing.assert_allclose(
        reward(Weights(answers=2, budget=0.5), *args), 2 * np.array(answers) - 0.5 * np.array(off)
    )
    assert reward(Weights(answers=0), *args).tolist() == [0, 0]


def test_scorers_are_used_where_given() -> None:
    args = (7, masks("x...", "...."), Places.of([]), COSTS, BITS, 0.5)

    def scorer(number: int, choices: np.ndarray) -> np.ndarray:
        return (choices.sum(axis=1) * number).astype(np.float32)

    assert reward(Weights(0, reader=1), *args, reader=scorer).tolist() == [7, 0]
    assert reward(Weights(0, reconstruction=2), *args, reconstruction=scorer).tolist() == [14, 0]
    with pytest.raises(ValueError, match="no reader"):
        reward(Weights(0, reader=1), *args)


def test_recovered_bits_count_kept_words_and_what_their_neighbours_tell() -> None:
    assert recovered_bits(masks("xxxx", "....", "x...", ".x.x"), BITS).tolist() == [1, 0, 0.3125, 0.6875]


def test_the_achieved_share_counts_tokens() -> None:
    assert achieved(masks("xxxx", "....", "...x"), COSTS).tolist() == [1, 0, 0.5]
