import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.compression.features import NAMES, WIDTH, features
from actors.compression.words import split


def column(text: str, name: str, question: str | None = None) -> list[float]:
    return [float(value) for value in features(text, split(text), question)[:, NAMES.index(name)]]


@given(st.text(max_size=400), st.none() | st.text(max_size=40))
def test_any_text_has_a_finite_row_a_word(text: str, question: str | None) -> None:
    words = split(text)
    rows = features(text, words, question)
    assert rows.shape == (len(words), WIDTH)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


def test_names_are_each_once() -> None:
    assert len(set(NAMES)) == WIDTH


def test_a_capital_at_the_start_of_a_sentence_is_no_name() -> None:
    text = "The king met Anna. She left Dr. Smith."
    assert column(text, "capital") == [1, 0, 0, 1, 1, 0, 1, 1]
    assert column(text, "name_inside_sentence") == [0, 0, 0, 1, 0, 0, 1, 1]


def test_a_line_starts_a_sentence() -> None:
    assert column("one two\nthree\n\nfour", "first_of_sentence") == [1, 0, 1, 1]
    assert column("one two\nthree\n\nfour", "first_of_line") == [1, 0, 1, 1]
    assert column("one two\nthree\n\nfour", "first_line") == [1, 1, 0, 0]


def test_kinds_of_lines_are_told_apart() -> None:
    text = "- an item\n| a | b |\nreturn f(x);\nAnn: hello"
    assert column(text, "item") == [1, 1, 1] + [0] * 9
    assert column(text, "table") == [0] * 3 + [1] * 5 + [0] * 4
    assert column(text, "code") == [0] * 8 + [1] * 2 + [0] * 2
    assert column(text, "speaker") == [0] * 10 + [1] * 2


def test_repetition_is_seen_across_endings() -> None:
    assert column("cars and a car", "first_mention") == [1, 0, 0, 0]
    counts = column("cars and a car", "count")
    assert counts[0] == counts[3] > 0 == counts[1]


def test_what_is_in_parentheses_or_quotes_is_marked() -> None:
    assert column('a (b c) d "e f" g', "parenthesis") == [0, 1, 1, 0, 0, 0, 0]
    assert column('a (b c) d "e f" g', "quotation") == [0, 0, 0, 0, 1, 1, 0]


def test_a_question_marks_the_words_it_shares() -> None:
    assert column("The dogs sleep", "in_question", "Where is the dog?") == [0, 1, 0]
    assert column("The dogs sleep", "asked", "") == [1, 1, 1]
    assert column("The dogs sleep", "asked") == [0, 0, 0]


def test_surprisal_is_taken_over_and_its_length_checked() -> None:
    text = "a b"
    words = split(text)
    rows = features(text, words, surprisal=np.array([11, 0], np.float32))
    assert rows[:, NAMES.index("surprisal")].tolist() == [0.5, 0]
    assert rows[:, NAMES.index("has_surprisal")].tolist() == [1, 1]
    with pytest.raises(ValueError, match="3 surprisals for 2 words"):
        features(text, words, surprisal=np.zeros(3, np.float32))
