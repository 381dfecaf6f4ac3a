import pytest

from actors.memory.questions import analyse
from actors.memory.ranking import FEATURES, Found, features, score
from actors.memory.weights import PASSAGE


def found(text: str, *, place: str = "", cosine: float = 0.5) -> Found:
    return Found(text=text, place=place, bm25_text=0.5, bm25_window=0.5, cosine=cosine)


def test_every_weight_has_its_feature_between_zero_and_one() -> None:
    values = features(
        analyse("When did Ann Lee found the club?", {}), found("Ann Lee founded it in 1850. It grew.")
    )
    assert set(values) == set(FEATURES) == set(PASSAGE)
    assert all(0 <= value <= 1 for value in values.values())


def test_the_passage_with_the_answer_comes_before_one_with_the_words() -> None:
    question = analyse("When did Ann Lee found the rugby club?", {})
    answers = score(features(question, found("Ann Lee founded the rugby club in 1850.")))
    mentions = score(features(question, found("The rugby club thanked many people. Ann Lee was ill.")))
    other = score(features(question, found("Rain fell on the hills.")))
    assert answers > mentions > other


def test_place_stands_for_words_that_the_passage_leaves_out() -> None:
    question = analyse("When was Oxygen discovered?", {})
    assert features(question, found("It was discovered in 1774.", place="oxygen.txt"))[
        "placed"
    ] == pytest.approx(1)
    assert features(question, found("It was discovered in 1774."))["placed"] == pytest.approx(0.5)


def test_an_empty_passage_or_question_scores_without_error() -> None:
    assert features(analyse("", {}), found(""))["placed"] == 0
