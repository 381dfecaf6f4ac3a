import numpy as np
import pytest

from benchmarks.qa_answers import contains, exact, f1, paired


def test_answers_are_compared_as_squad_does() -> None:
    assert exact("The Denver Broncos!", ["denver broncos"]) == 1
    assert exact("Denver", ["Denver Broncos"]) == 0
    assert contains("It was the Denver Broncos who won.", ["Denver Broncos"]) == 1
    assert contains("Goldman", ["gold"]) == 0
    assert f1("Denver", ["Denver Broncos", "x"]) == pytest.approx(2 / 3)
    assert f1("", ["x"]) == 0


def test_a_paired_difference_has_an_interval_around_it() -> None:
    rng = np.random.default_rng(1)
    hard = rng.random(200)
    found = paired(hard + 0.1 + rng.normal(0, 0.02, 200), hard)
    assert 0.08 < found["low"] < found["difference"] < found["high"] < 0.12
    same = paired(hard, hard)
    assert same == {"difference": 0, "low": 0, "high": 0}
