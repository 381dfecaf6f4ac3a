import pytest

from actors.compression.counting import ModelCounter
from actors.compression.policy import Policy
from actors.compression.shortening import Shortener, shorten
from actors.messages import InvalidRequest
from configs.schema import CompressionSettings

TEXT = (
    "The library of Ashford lent its first book in 1851, and the keeper wrote every title by hand. "
    "A fire in the roof did not reach the shelves, because the doors of iron had been closed at night. "
    "Children who lived near the market came to read there in winter, when the rooms were warm. "
)


@pytest.fixture
def shortener(byte_counter: ModelCounter) -> Shortener:
    return Shortener(Policy.default(), byte_counter, CompressionSettings())


def test_stored_scores_give_the_budget_without_a_policy(
    shortener: Shortener, byte_counter: ModelCounter
) -> None:
    stored = shortener.stored_scores(TEXT)
    found = shorten(TEXT, stored, 0.5, byte_counter)
    assert len(stored) == len(found.words)
    assert abs(found.tokens_after / found.tokens_before - 0.5) <= 0.02
    assert found.text == shortener.shorten(TEXT, 0.5, stored=stored).text
    assert "1851" in found.text
    assert "not reach" in found.text


def test_a_smaller_tier_keeps_fewer_of_the_same_words(
    shortener: Shortener, byte_counter: ModelCounter
) -> None:
    stored = shortener.stored_scores(TEXT)
    small, large = (shorten(TEXT, stored, tier, byte_counter).mask for tier in (0.3, 0.7))
    assert (small & ~large).sum() <= 2


def test_a_question_favours_what_it_asks_for(shortener: Shortener) -> None:
    plain = shortener.shorten(TEXT, 0.4)
    asked = shortener.shorten(TEXT, 0.4, question="Which doors were closed at night?")
    assert {"doors", "closed", "night."} <= set(asked.text.split())
    assert asked.text != plain.text


def test_scores_of_another_text_are_refused(shortener: Shortener, byte_counter: ModelCounter) -> None:
    with pytest.raises(InvalidRequest):
        shortener.shorten(TEXT, 0.5, stored=b"abc")
    with pytest.raises(InvalidRequest):
        shorten(TEXT, b"abc", 0.5, byte_counter)


def test_kinds_that_are_off_are_not_protected(byte_counter: ModelCounter) -> None:
    off = Shortener(Policy.default(), byte_counter, CompressionSettings(protect=("url",)))
    assert off.shorten(TEXT, 0.5).protected == ()
