import numpy as np
import pytest

from actors.memory.fit import Group, choice_loss, fit
from actors.messages import InvalidRequest


def groups(weights: list[float], count: int = 200) -> list[Group]:
    chance = np.random.default_rng(0)
    made = []
    for _ in range(count):
        values = chance.normal(size=(12, len(weights))).astype(np.float32)
        scores = values @ np.array(weights) + chance.gumbel(size=12)
        made.append(Group(values, scores == scores.max()))
    return made


def test_the_weights_that_made_the_choices_are_found_again() -> None:
    assert fit(groups([2.0, 0.0, -1.0]), ridge=1e-6) == pytest.approx([2.0, 0.0, -1.0], abs=0.3)


def test_a_feature_that_never_varies_weighs_nothing() -> None:
    some = [
        Group(np.c_[one.values, np.full((12, 1), 0.1)].astype(np.float32), one.right) for one in groups([2.0])
    ]
    assert fit(some)[1] == 0


def test_groups_without_right_or_without_wrong_teach_nothing() -> None:
    right = Group(np.ones((2, 1), np.float32), np.ones(2, np.bool_))
    wrong = Group(np.ones((2, 1), np.float32), np.zeros(2, np.bool_))
    with pytest.raises(InvalidRequest, match="both right and wrong"):
        fit([right, wrong])


def test_the_slope_is_the_losss() -> None:
    chance = np.random.default_rng(1)
    scores, right = chance.normal(size=9), np.array([1, 0, 0, 0, 1, 1, 0, 0, 0], np.bool_)
    starts, number = np.array([0, 4]), np.array([0] * 4 + [1] * 5)
    _, slope = choice_loss(scores, right, starts, number)
    for place in range(9):
        step = np.zeros(9)
        step[place] = 1e-6
        above, below = (choice_loss(scores + way * step, right, starts, number)[0] for way in (1, -1))
        assert slope[place] == pytest.approx((above - below) / 2e-6, abs=1e-6)
