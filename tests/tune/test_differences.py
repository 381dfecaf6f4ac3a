import numpy as np
import pytest

from tune.bootstrap import Bootstrap
from tune.differences import Difference, Worth, corrected, difference, flipped


def worth(shift: float, seeds: int, questions: int, noise: int) -> Worth:
    easy = np.random.default_rng(3).normal(size=questions)
    draw = np.random.default_rng(noise)
    return {
        (seed, str(one)): (str(one), float(easy[one] + shift + 0.1 * draw.normal()), 1.0)
        for seed in range(seeds)
        for one in range(questions)
    }


def test_a_difference_on_many_questions_is_real_and_one_without_is_not() -> None:
    before = worth(0.0, 3, 40, 0)
    better = difference("b", worth(0.3, 3, 40, 1), "a", before)
    nothing = difference("c", worth(0.0, 3, 40, 2), "a", before)
    assert better is not None
    assert nothing is not None
    assert (better.questions, better.groups, better.seeds) == (120, 40, 3)
    assert better.low < better.value < better.high
    assert better.value == pytest.approx(0.3, abs=0.05)
    assert [one.real for one in corrected([better, nothing])] == [True, False]


def test_two_seeds_alone_can_show_nothing() -> None:
    now = {(seed, ""): (str(seed), 1.0, 1.0) for seed in range(2)}
    before = {(seed, ""): (str(seed), 0.0, 1.0) for seed in range(2)}
    found = difference("b", now, "a", before)
    assert found is not None
    assert (found.chance, found.real) == (0.5, False)
    assert difference("b", now, "a", {(7, ""): ("7", 0.0, 1.0)}) is None


def test_weights_make_parts_count_alike() -> None:
    now = {(0, "a"): ("a", 1.0, 1.0), (0, "b"): ("b", 0.0, 0.5), (0, "c"): ("c", 0.0, 0.5)}
    before = {key: (group, 0.0, weight) for key, (group, _, weight) in now.items()}
    found = difference("b", now, "a", before)
    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_flips_are_exact_for_few_groups_and_drawn_for_many() -> None:
    assert flipped([1.0, 1.0, 1.0, 1.0]) == pytest.approx(2 / 16)
    assert flipped([1.0] * 30) == pytest.approx(1 / 20_001)


def test_holm_multiplies_the_least_chance_by_all_and_never_falls() -> None:
    def one(chance: float) -> Difference:
        return Difference("b", "a", 1.0, 0.5, 1.5, chance, chance, 10, 10, 1)

    found = corrected([one(0.04), one(0.01), one(0.03), one(0.9)])
    assert [round(each.corrected, 6) for each in found] == [0.09, 0.04, 0.09, 0.9]


def test_seeds_that_differ_widen_the_interval() -> None:
    draw = np.random.default_rng(0)
    seeds = [str(seed) for seed in range(5) for _ in range(30)]
    questions = [str(one) for _ in range(5) for one in range(30)]
    values = np.repeat(draw.normal(size=5), 30) + 0.1 * draw.normal(size=150)
    alone = Bootstrap(questions).mean(values)
    crossed = Bootstrap(questions, crossed=seeds).mean(values)
    assert alone["value"] == crossed["value"]
    assert crossed["high"] - crossed["low"] > 3 * (alone["high"] - alone["low"])
