"""Says in words why a memory was found. Knows no SQL and changes no order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory.currency import State
from actors.memory.questions import content_words
from actors.memory.source import Source

Rows = NDArray[np.int64]

NEAR = 0.25
"""Cosine above the mean of all from which on a memory is said to be near in meaning."""
MOST_WORDS = 24
"""Words of a question that are looked for; as many as ranking looks up."""
NAMED = 4
"""Words that are named for one memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One memory as it was found: `row` in the columns, `currency` what the facts say of its place."""

    row: int
    parts: Mapping[str, float]
    currency: str = ""
    states: Sequence[State] = ()
    seed: str | None = None
    """The memory that led to it in the second round."""


def reasons(source: Source, query: str, findings: Sequence[Finding]) -> list[str]:
    """For each memory, such as `says 'Porto' in the same words; near in meaning; holds since 2024-05-01`."""
    words = content_words(query)[:MOST_WORDS]
    rows = np.array([one.row for one in findings], np.int64)
    holds = [(word, _hold(hits.rows, rows)) for word, hits in source.hits(words).items()]
    found = []
    for at, one in enumerate(findings):
        said = [word for word, held in holds if held[at]]
        found.append("; ".join(filter(None, (*_found(said, one), *_lasting(one)))))
    return found


def _found(said: Sequence[str], one: Finding) -> tuple[str, ...]:
    quoted = ", ".join(f"'{word}'" for word in said[:NAMED])
    beside = not said and one.parts.get("around", 0.0) > 0
    return (
        one.currency,
        f"says {quoted} in the same words" if said else "",
        "stands next to what says so" if beside else "",
        "near in meaning" if one.parts.get("cosine", 0.0) >= NEAR else "",
        f"second hop from {one.seed}" if one.seed else "",
    )


def _lasting(one: Finding) -> tuple[str, ...]:
    said = [state for state in one.states if state.says]
    holding = [state.valid_from for state in said if state.ended_by is None]
    if holding:
        return (f"holds since {day(min(holding))}",)
    return ("no longer holds",) if said else ()


def day(at: float) -> str:
    """A moment's date, such as 2024-05-01."""
    return str(np.datetime64(int(at), "s").astype("datetime64[D]"))


def _hold(held: Rows, wanted: Rows) -> list[bool]:
    """Which of the wanted rows are among those held, which ascend."""
    if not len(held):
        return [False] * len(wanted)
    at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    found: list[bool] = (held[at] == wanted).tolist()
    return found
