from collections.abc import Callable, Sequence

import pytest

from benchmarks.arrivals import Tokens
from benchmarks.engine import Round, summary
from benchmarks.engine_arms import static


def _batches(count: int, tokens: int, apart: int) -> list[int]:
    sizes: list[int] = []

    def generate(batch: Sequence[Tokens], tokens: int, step: Callable[[], None]) -> None:
        sizes.append(len(batch))
        for _ in range(tokens):
            step()

    took = static(generate, [[number] for number in range(count)], tokens, apart)
    assert len(took.first_s) == count
    return sizes


def test_a_static_batch_holds_what_arrived_while_the_one_before_it_ran() -> None:
    assert _batches(8, 64, 8) == [1, 7]
    assert _batches(5, 4, 4) == [1, 1, 1, 1, 1]
    assert _batches(5, 4, 2) == [1, 2, 2]
    assert _batches(8, 64, 0) == [8]


def test_ratios_are_taken_in_each_round() -> None:
    rounds = {
        "torch": [Round(10, 5), Round(40, 6), Round(30, 7)],
        "transformers": [Round(10, 9), Round(20, 9), Round(30, 9)],
    }
    first, second = summary("8 streams", rounds)
    assert (first["tokens_s"], first["first_ms"]) == (30, 6)
    assert first["x transformers"] == pytest.approx(1)
    assert second["x torch"] == pytest.approx(1)
    assert first["x transformers-all"] is None
