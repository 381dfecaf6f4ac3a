from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune.spans import spans, tokens_of
from tune.wh import LONGEST, question, stem

SENTENCE = "The old lighthouse was built by Robert Hume on Islay in 1832, and it had five iron lamps."


def asked(answer: str, count: int = 60, subject: str = "Port Ellen") -> set[str]:
    tokens = tokens_of(SENTENCE)
    texts = {SENTENCE[tokens[one.first].start : tokens[one.last - 1].end]: one for one in spans(tokens)}
    return {question(tokens, texts[answer], subject, Random(seed)) for seed in range(count)}


def test_what_asks_fits_what_answers() -> None:
    assert all("when" in one.lower() or "what" in one.lower() for one in asked("1832"))
    assert any(one.startswith("How many iron lamps") for one in asked("five iron lamps"))
    assert any("Who" in one for one in asked("Robert Hume"))
    assert any("here" in one for one in asked("Islay"))


def test_a_question_is_short_has_words_of_its_sentence_and_not_the_answer() -> None:
    questions = asked("Robert Hume")
    assert len(questions) > 40
    for one in questions:
        assert one.endswith("?")
        assert "Robert" not in one
        assert len(one.split()) <= max(LONGEST) + 3
    assert any("Port Ellen" in one for one in questions)
    assert not any("Port Ellen" in one for one in asked("Robert Hume", subject=""))


@pytest.mark.parametrize(
    ("verb", "wanted"),
    [
        ("built", "build"),
        ("defeated", "defeat"),
        ("carried", "carry"),
        ("named", "name"),
        ("stopped", "stop"),
    ],
)
def test_a_verb_stands_after_did_as_it_should(verb: str, wanted: str) -> None:
    assert stem(verb) == wanted


@given(st.text(max_size=120), st.integers(0, 5))
def test_any_text_can_be_asked_about(text: str, seed: int) -> None:
    tokens = tokens_of(text)
    for span in spans(tokens):
        assert question(tokens, span, "a thing", Random(seed)).endswith("?")
