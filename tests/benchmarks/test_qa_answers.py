import pytest

from benchmarks.qa_answers import contains, exact, f1


def test_answers_are_compared_as_squad_does() -> None:
    assert exact("The Denver Broncos!", ["denver broncos"]) == 1
    assert exact("Denver", ["Denver Broncos"]) == 0
    assert contains("It was the Denver Broncos who won.", ["Denver Broncos"]) == 1
    assert contains("Goldman", ["gold"]) == 0
    assert f1("Denver", ["Denver Broncos", "x"]) == pytest.approx(2 / 3)
    assert f1("", ["x"]) == 0
