import pytest

from actors.memory import matching
from actors.memory.matching import read
from actors.memory.questions import analyse


def test_coverage_counts_weight_by_stem() -> None:
    question = analyse("Who founded the club?", {"founded": 3.0, "club": 1.0})
    assert matching.coverage(question, read("Its founder was Ann.").stems) == pytest.approx(0.75)
    assert matching.coverage(question, []) == 0


def test_kin_words_share_a_beginning() -> None:
    question = analyse("Belgium", {})
    assert matching.coverage(question, read("Belgian tribes").stems) == 0
    assert matching.kin_coverage(question, read("Belgian tribes").prefixes) == 1


@pytest.mark.parametrize(
    ("question", "sentence", "held"),
    [
        ("When was it built?", "It was built in 1850.", 1),
        ("When was it built?", "It was built by Ann.", 0),
        ("When in 1850 was it built?", "It was 1850.", 0),
        ("Who built it?", "It was built by Ann.", 1),
        ("Who is Ann?", "I know Ann.", 0),
        ("How many rooms has it?", "It has twelve rooms.", 1),
        ("How many rooms has it?", "It has rooms.", 0),
        ("Why was it built?", "It was built by Ann in 1850.", 0),
    ],
)
def test_an_answer_of_the_wanted_kind_is_new(question: str, sentence: str, held: int) -> None:
    assert matching.answers_kind(analyse(question, {}), read(sentence)) == held


def test_phrases_keep_the_small_words() -> None:
    question = analyse("Which is the home of the club?", {})
    near, far = read("It was the home of the club."), read("A home for each club it was.")
    assert matching.phrase_share(question, near.phrases) > matching.phrase_share(question, far.phrases)
    assert matching.phrase_share(analyse("club", {}), near.phrases) == 0


def test_shares_of_pairs_and_names() -> None:
    question = analyse("Which team did Ann Lee coach in 1990?", {})
    sentence = read("In 1990 the team of Ann Lee won.")
    assert matching.name_share(question, sentence.stems) == 1
    assert 0 < matching.pair_share(question, sentence.pairs) < 1
    assert matching.name_share(analyse("who won", {}), sentence.stems) == 1
