from random import Random
from statistics import fmean

import pytest

from serve.bands import Band, widened


@pytest.mark.parametrize("tolerated", [0.02, 0.1, 0.5])
def test_alarms_of_a_rate_that_is_tolerated_are_as_rare_as_was_stated(tolerated: float) -> None:
    random, runs = Random(0), []
    for _ in range(100):
        band, count = Band(tolerated, limit=50), 1
        while not band.saw(random.random() < tolerated) and count < 5000:
            count += 1
        runs.append(count)
    assert fmean(runs) >= 50


def test_what_is_always_bad_is_seen_within_a_few_counts() -> None:
    assert [next(n for n in range(1, 100) if band.saw(True)) for band in map(_band, (0.02, 0.1, 0.5))] == [
        4,
        7,
        21,
    ]


def test_good_counts_do_not_buy_later_bad_ones() -> None:
    band = Band(0.1, 500_000)
    assert not any(band.saw(False) for _ in range(10_000))
    assert [band.saw(True) for _ in range(8)][-1]
    band.begin_again()
    assert not band.saw(True)


def test_a_rate_counted_before_widens_the_band_and_never_narrows_it() -> None:
    assert widened(0.1, bad=0, seen=1000, least=30) == 0.1
    assert widened(0.1, bad=25, seen=29, least=30) == 0.1
    assert 0.3 < widened(0.1, bad=300, seen=1000, least=30) < 0.36
    assert widened(0.1, bad=1000, seen=1000, least=30) == 0.55


def _band(tolerated: float) -> Band:
    return Band(tolerated, 500_000)
