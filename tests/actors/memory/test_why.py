from typing import Any

import numpy as np
import pytest

from actors.memory.currency import State
from actors.memory.source import Hits
from actors.memory.why import Finding, day, reasons


class Words:
    """A source whose memories hold these words."""

    def __init__(self, rows: dict[str, list[int]]) -> None:
        self.rows = rows

    def hits(self, terms: list[str]) -> dict[str, Hits]:
        return {
            term: Hits(np.array(self.rows.get(term, []), np.int64), np.ones(len(self.rows.get(term, []))))
            for term in terms
        }


def state(says: bool = True, ended_by: int | None = None, valid_from: float = 1.7146e9) -> State:
    return State(
        memory=1,
        subject="user",
        slot="home",
        value="Porto",
        says=says,
        valid_from=valid_from,
        ended_by=ended_by,
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "says 'porto', 'tower' in the same words"),
        ({"row": 5}, ""),
        ({"row": 5, "parts": {"around": 0.1}}, "stands next to what says so"),
        ({"row": 5, "parts": {"cosine": 0.5}, "seed": "mem_12"}, "near in meaning; second hop from mem_12"),
        (
            {"row": 5, "currency": "says what home is", "states": [state()]},
            "says what home is; holds since 2024-05-01",
        ),
        ({"row": 5, "states": [state(ended_by=9)]}, "no longer holds"),
        ({"row": 5, "states": [state(says=False)]}, ""),
        ({"row": 5, "states": [state(ended_by=9), state(valid_from=0.0)]}, "holds since 1970-01-01"),
    ],
)
def test_reasons(given: dict[str, Any], reason: str) -> None:
    source: Any = Words({"porto": [0, 3], "tower": [3]})
    assert reasons(source, "Which Porto tower?", [Finding(**{"row": 3, "parts": {}, **given})]) == [reason]


@pytest.mark.parametrize("moment", [-1e11, 0.0, 1e12, 9e15])
def test_every_moment_has_a_day(moment: float) -> None:
    assert day(moment)
