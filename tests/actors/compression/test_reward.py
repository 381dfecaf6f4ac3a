import numpy as np
import pytest

from actors.compression.reward import (
    Places,
    Weights,
    achieved,
    better,
    credit,
    find,
    recovered_bits,
    reward,
)
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


def test_each_word_is_credited_with_its_own_answers_and_the_rest_of_the_worth() -> None:
    places = Places.of([[(0, 1)], [(2, 4)]])
    choices = masks("x...", "..xx")
    weights = Weights(answers=1)
    worth = reward(weights, 0, choices, places, COSTS, BITS, 0.5)
    assert worth.tolist() == [0.5, 0.5]
    own = credit(weights, choices, places, worth)
    assert own.tolist() == [[0.5, 0, -0.5, -0.5], [-0.5, 0, 0.5, 0.5]]
    more = credit(weights, choices, places, worth + np.array([1, 0], np.float32))
    np.testing.assert_allclose(more - own, [[1] * 4, [-1] * 4])
    only = credit(Weights(answers=0), choices, places, np.array([1, 0], np.float32))
    assert only.tolist() == [[1] * 4, [-1] * 4]


def test_credit_is_an_unbiased_view_of_the_worth() -> None:
    chance = np.random.default_rng(5)
    places = Places.of([[(0, 2)], [(1, 3), (4, 5)], [(5, 6)]])
    kept = chance.random((40_000, 6)) < 0.5
    costs, bits = np.ones(6, np.int64), np.ones(6, np.float32)
    weights = Weights(budget=0.3)
    worth = reward(weights, 0, kept, places, costs, bits, 0.5)
    by_choice = (better(worth)[:, None] * (kept - 0.5)).mean(axis=0)
    own = credit(weights, kept, places, worth) * (kept - 0.5)
    np.testing.assert_allclose(own.mean(axis=0), by_choice, atol=0.01)
    assert (own.var(axis=0) <= (better(worth)[:, None] * (kept - 0.5)).var(axis=0)).all()
