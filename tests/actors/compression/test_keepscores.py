import numpy as np
import pytest

from actors.compression.keepscores import check_length, decode, encode, nearest_tier
from actors.messages import InvalidRequest


def test_a_byte_for_each_word_in_the_order_of_the_scores() -> None:
    scores = np.linspace(-7.9, 7.9, 100).astype(np.float32)
    stored = encode(scores)
    assert len(stored) == 100
    assert list(stored) == sorted(set(stored))


def test_decoding_is_off_by_half_a_step_at_most() -> None:
    scores = np.random.default_rng(1).normal(0, 3, 1000).astype(np.float32).clip(-8, 8)
    assert np.abs(decode(encode(scores)) - scores).max() <= 8 / 255 + 1e-5


def test_scores_beyond_all_measure_have_a_byte_too() -> None:
    assert list(encode(np.array([-np.inf, np.nan, -99, 0, 99, np.inf], np.float32))) == [
        0,
        0,
        0,
        128,
        255,
        255,
    ]


def test_what_was_decoded_is_encoded_to_the_same_bytes() -> None:
    stored = bytes(range(256))
    assert encode(decode(stored)) == stored


def test_scores_of_another_text_are_refused() -> None:
    check_length(b"abc", 3)
    with pytest.raises(InvalidRequest, match="3 keep-scores for 4 words"):
        check_length(b"abc", 4)


@pytest.mark.parametrize(("budget", "tier"), [(0.1, 0.3), (0.39, 0.3), (0.4, 0.5), (0.55, 0.5), (1, 0.7)])
def test_the_nearest_tier(budget: float, tier: float) -> None:
    assert nearest_tier(budget, (0.3, 0.5, 0.7)) == tier
