"""What is put first where no rule read the change: the newest on the same matter, and nothing else."""

import numpy as np
import pytest

from actors.memory.asking import Asked
from actors.memory.currency import Placed, State, moved_up
from actors.memory.doubt import newest_first, present, sure
from actors.memory.matter import Told
from actors.memory.vectors import Vectors

QUESTION = "Where do I work out?"


def told(number: int, text: str, at: float, **other: object) -> Told:
    facts: dict[str, object] = {"speaker": "user ", "score": 5.0, "near": 0.6, **other}
    return Told(number=number, text=text, at=at, **facts)  # type: ignore[arg-type]


def close(count: int, cosine: float = 0.7) -> Vectors:
    """Unit vectors of which every two have one cosine."""
    gram = np.full((count, count), cosine) + np.eye(count) * (1 - cosine)
    return np.asarray(np.linalg.cholesky(gram), np.float32)


OLD = told(1, "I work out at Ironworks.", 1.0)
NEW = told(2, "I train over at FitBarn these days.", 2.0)


def test_the_newer_of_two_on_one_matter_goes_first() -> None:
    assert newest_first(QUESTION, [OLD, NEW], close(2)) == [2, 1]


def test_what_is_right_already_stays() -> None:
    assert newest_first(QUESTION, [NEW, OLD], close(2)) == []
    assert newest_first(QUESTION, [OLD], close(1)) == []


@pytest.mark.parametrize(
    "other",
    [
        told(2, "The train was late again.", 2.0, near=0.1, score=0.5),
        told(2, "I wish I could train at FitBarn now.", 2.0),
        told(2, "Should I train at FitBarn now?", 2.0),
        told(2, "I train at FitBarn now.", 2.0, speaker="assistant "),
        told(2, "I train at FitBarn now. " + "It rained all day and we told each other stories. " * 6, 2.0),
    ],
)
def test_another_matter_a_wish_a_question_another_speaker_what_ended_and_stories_stay(other: Told) -> None:
    vectors = close(2, 0.05) if other.near < 0.5 else close(2)
    assert newest_first(QUESTION, [OLD, other], vectors) == []


def test_an_unreal_leader_gives_way_where_nothing_is_settled() -> None:
    wish = told(3, "I wish I could work out at the Ritz.", 9.0, score=6.0)
    assert newest_first(QUESTION, [wish, OLD], close(2)) == [1]


@pytest.mark.parametrize(
    ("question", "now"),
    [
        ("Where do I work out?", True),
        ("What did I say my gym was?", True),
        ("My gym - what was it again?", True),
        ("When did I join the gym?", False),
        ("Where was I born?", False),
        ("How many gyms do I know?", False),
        ("What languages do I speak?", False),
        ("Which bus do I take?", True),
        ("Where was it that I live again?", True),
        ("Which shoes do I run in?", True),
        ("How much do we spend on rent?", True),
        ("How long have I played?", False),
    ],
)
def test_questions_of_how_things_are(question: str, now: bool) -> None:
    assert present(question) is now
    if not now:
        assert newest_first(question, [OLD, NEW], close(2)) == []


def test_values_side_by_side_and_the_past_are_no_matter_of_the_newest() -> None:
    facts = [
        State(memory=one, subject="user", slot="pet", value=value, says=True, valid_from=one)
        for one, value in ((1, "a cat"), (2, "a dog"))
    ]
    assert sure(facts, [Asked("user", "pet")])
    assert sure([], [Asked("user", "pet", past=True)])
    assert not sure(facts[:1], [Asked("user", "pet")])


def test_moving_up_keeps_all_and_scores_never_rise() -> None:
    placed = [Placed(1, 3.0, "says what gym is", answers=True), Placed(2, 2.0), Placed(3, 1.0)]
    moved = moved_up(placed, [3, 1], "is the newest")
    assert [(one.number, one.score, one.why, one.answers) for one in moved] == [
        (3, 3.0, "is the newest", False),
        (1, 3.0, "says what gym is", True),
        (2, 2.0, "", False),
    ]
    assert moved_up(placed, [], "") == placed
