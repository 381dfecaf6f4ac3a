import pytest

from actors.memory.questions import analyse, content_words


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Who founded the club?", "person"),
        ("When was it built?", "date"),
        ("In what year did it open?", "date"),
        ("Where is it?", "place"),
        ("Which country won?", "place"),
        ("How many points were scored?", "number"),
        ("What percentage voted?", "number"),
        ("How did it end?", "other"),
        ("Why did it end?", "other"),
        ("What is it?", "other"),
        ("Tell me about it", "other"),
    ],
)
def test_the_question_word_tells_the_kind_of_answer(text: str, kind: str) -> None:
    assert analyse(text, {}).kind == kind


def test_weights_follow_rarity_and_add_up_to_one() -> None:
    question = analyse("Who founded the Rugby club?", {"founded": 1.0, "rugby": 3.0, "club": 1.0})
    assert question.weights == pytest.approx({"found": 0.2, "rugb": 0.6, "club": 0.2})
    assert question.names == {"rugb"}
    assert ("rugb", "club") in question.pairs
    assert ("the", "rugb") in question.phrases - question.pairs


def test_only_stop_words_are_still_words() -> None:
    assert content_words("Who is it?") == ["who", "is", "it"]
    assert content_words("the the cat") == ["cat"]
    assert content_words("??") == []
    assert analyse("", {}).weights == {}
