import numpy as np
import pytest

from benchmarks.qa_fit import Group, auroc, best_threshold, fit_choice, fit_logistic


def test_choice_weights_find_the_feature_that_tells_the_right_one() -> None:
    rng = np.random.default_rng(0)
    groups = []
    for _ in range(80):
        values = rng.random((5, 2))
        groups.append(Group(0, values, values[:, 0] == values[:, 0].max()))
    groups.append(Group(0, rng.random((5, 2)), np.zeros(5, bool)))
    telling, idle = fit_choice(groups)
    assert telling > 5 * abs(idle)


def test_logistic_weights_part_the_kinds() -> None:
    rng = np.random.default_rng(0)
    positives, negatives = rng.normal(1, 0.5, (200, 2)), rng.normal(-1, 0.5, (200, 2))
    bias, *weights = fit_logistic(positives, negatives)
    scores = [values @ np.array(weights) + bias for values in (positives, negatives)]
    assert auroc(*scores) > 0.99
    assert abs(best_threshold(*scores)) < 3


def test_auroc_counts_ties_half() -> None:
    assert auroc(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == pytest.approx(0.875)
    assert auroc(np.array([0.0]), np.array([1.0])) == 0
