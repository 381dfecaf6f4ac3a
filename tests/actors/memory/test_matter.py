"""How likely memories are to be on the matter of a question."""

import numpy as np
import pytest

from actors.memory.aspects import worded
from actors.memory.matter import FIRST, SECOND, SHIPPED, Told, first_features, likely, links_of
from actors.memory.vectors import Vectors

QUESTION = "Who do I report to?"


def told(number: int, text: str, **other: object) -> Told:
    facts: dict[str, object] = {"speaker": "user ", "score": 3.0, "near": 0.4, "at": float(number), **other}
    return Told(number=number, text=text, **facts)  # type: ignore[arg-type]


def vectors(*cosines: float) -> Vectors:
    """Unit vectors with these cosines to the first."""
    rows = [
        [one, *(np.sqrt(1 - one**2) if place == at else 0.0 for place in range(len(cosines)))]
        for at, one in enumerate(cosines)
    ]
    return np.array(rows, np.float32)


BOSS = told(1, "My boss is called Farah.", answers=True, related=True, holds=True)
GONE = told(2, "Farah left the company.", near=0.2, score=1.0)
CAT = told(3, "Our cat sleeps all day.", near=0.0, score=-2.0)


def test_what_states_the_answer_is_likelier_than_what_speaks_of_the_same_person_and_that_than_the_rest() -> (
    None
):
    boss, gone, cat = likely(QUESTION, [BOSS, GONE, CAT], vectors(1, 0.4, 0.05)).tolist()
    assert boss > 0.8
    assert boss > gone > cat
    assert cat < 0.1


def test_features_and_weights_are_of_one_width() -> None:
    said = [worded(one.text) for one in (BOSS, GONE)]
    values = first_features(QUESTION, worded(QUESTION, question=True), [BOSS, GONE], said)
    assert values.shape == (2, len(FIRST))
    assert np.isfinite(values).all()
    assert SHIPPED.mean.shape == SHIPPED.spread.shape == (len(FIRST),)
    assert SHIPPED.first.hidden.shape[0] == len(FIRST)
    assert SHIPPED.second.hidden.shape[0] == len(FIRST) + len(SECOND)


def test_a_name_that_two_memories_share_links_them() -> None:
    said = [worded(one.text) for one in (BOSS, GONE, CAT)]
    links = links_of(worded(QUESTION, question=True), [BOSS, GONE, CAT], said, vectors(1, 0.4, 0.05))
    assert links.named[0, 1] == 1
    assert links.named[0, 2] == 0
    assert links.shared[0, 1] > links.shared[0, 2]
    for matrix in (links.alike, links.shared, links.topic):
        assert np.array_equal(matrix, matrix.T)
        assert not matrix.diagonal().any()


@pytest.mark.parametrize("text", ["", "?", "…", "a" * 500])
def test_any_text_has_a_likelihood(text: str) -> None:
    (one,) = likely(QUESTION, [told(1, text)], vectors(1)).tolist()
    assert 0 <= one <= 1
