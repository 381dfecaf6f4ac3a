"""What of a text's wording is compared."""

import pytest

from actors.memory.aspects import fitting, unreal, worded


def test_the_words_of_a_text() -> None:
    said = worded("My mum sold the Volvo in May, she no longer drives.")
    assert said.kin == {"mother"}
    assert said.names == {"volvo"}
    assert said.of_me
    assert said.dated
    assert said.changes
    assert said.denies
    assert not said.unreal
    assert not said.numbered
    assert "car" in said.topics


def test_the_first_word_of_a_question_is_no_name() -> None:
    assert worded("Where does Ana live?", question=True).names == {"ana"}


@pytest.mark.parametrize(
    ("question", "text", "fits"),
    [
        ("When is the launch?", "It is on 4 May.", True),
        ("When is the launch?", "It went well.", False),
        ("Who is my boss?", "I report to Farah.", True),
        ("Where do I live?", "I moved to Ghent.", True),
        ("How much is the rent?", "It is high.", False),
    ],
)
def test_whether_a_text_can_hold_the_kind_of_answer(question: str, text: str, fits: bool) -> None:
    kind = fitting(question)
    assert kind is not None
    assert kind(worded(text)) is fits


def test_any_text_can_answer_a_question_of_no_kind() -> None:
    assert fitting("What am I learning?") is None


def test_unreal() -> None:
    assert unreal("If I were rich I would live in Monaco.")
    assert unreal("My sister said it is Ironworks.")
    assert not unreal("I live in Ghent.")
