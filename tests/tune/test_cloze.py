from hypothesis import given
from hypothesis import strategies as st

from tune.cloze import BLANK, marked, names, noun_groups, numbers, questions

TEXT = (
    "The tower was built by Gustave Eiffel in March 1889 for the World Fair. It weighs 10,100 tonnes. "
    'Critics called it a "useless monster" at first, but the city of Paris kept it. '
) * 3


def texts(spans: list, text: str) -> list[str]:
    return [text[span.start : span.end] for span in spans]


def test_each_kind_of_span_is_found() -> None:
    text = "Yesterday the old lighthouse of Port Ellen lost 12 km of cable, said Mary."
    assert texts(names(text), text) == ["Port Ellen", "Mary"]
    assert texts(numbers(text), text) == ["12 km"]
    assert "old lighthouse" in texts(noun_groups(text), text)
    assert texts(
        marked('call `set_budget` with "a share" | a cell | b |'),
        'call `set_budget` with "a share" | a cell | b |',
    )[:2] == ["set_budget", "a share"]


def test_a_question_is_its_sentence_with_the_answer_blanked_out() -> None:
    asked = questions(TEXT, "seed")
    assert len(asked) >= 3
    for one in asked:
        (answer,) = one.answers
        assert answer in TEXT
        assert BLANK in one.question


def test_the_same_seed_asks_the_same() -> None:
    assert questions(TEXT, "a") == questions(TEXT, "a") != questions(TEXT, "b")


@given(st.text(max_size=300))
def test_any_text_is_survived(text: str) -> None:
    assert all(one.answers[0] in text for one in questions(text, "seed"))
