import math

import pytest

from benchmarks.sinks import chart, perplexity, segments, verdict


def test_perplexity_is_that_of_the_mean() -> None:
    assert perplexity([-math.log(2), -math.log(8)]) == pytest.approx(4)
    assert perplexity([-1e6]) == math.inf


def test_a_short_last_segment_is_left_out() -> None:
    assert segments([-math.log(3)] * 25, 10) == pytest.approx([3, 3, 3])
    assert segments([-math.log(3)] * 24, 10) == pytest.approx([3, 3])


def test_the_bar_asks_for_both_arms() -> None:
    stays, risen, like_it = (
        {"rise": rise, "rest": rest} for rise, rest in ((1.05, 10), (1.2, 11), (1.0, 10.5))
    )
    worse = {"rise": 1.0, "rest": 30}
    assert verdict({"sinks": stays, "window": worse}) is True
    assert verdict({"sinks": risen, "window": worse}) is False
    assert verdict({"sinks": stays, "window": like_it}) is False
    assert verdict({"sinks": stays}) is None


def test_the_chart_rises_with_the_values() -> None:
    assert chart([10, 12, 14.4, 1e9, math.inf], 10) == "▁▂▃██"
