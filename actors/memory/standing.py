"""What the facts of found memories are at the moment asked about: what holds, what ended. Ranks nothing."""

import json
import sqlite3
from collections.abc import Sequence

from actors.memory.asking import Asked
from actors.memory.currency import State
from actors.memory.facts import Slot

MOST = 500
"""Facts of one slot that are read, newest first: what it was before these is no answer to what it is."""


def states(
    connection: sqlite3.Connection,
    user: int,
    numbers: Sequence[int],
    questions: Sequence[Asked],
    as_of: float | None,
) -> list[State]:
    """The facts, known at `as_of`, of every slot that these memories state something of or that is asked."""
    found = []
    for subject, slot in sorted(_slots(connection, user, numbers) | {(q.subject, q.slot) for q in questions}):
        rows = connection.execute(
            "SELECT memory, value, holds, valid_from, valid_to, ended_by FROM memory_facts "
            "WHERE user = ? AND subject = ? AND slot = ? AND valid_from <= ? "
            "ORDER BY valid_from DESC LIMIT ?",
            (user, subject, slot, float("inf") if as_of is None else as_of, MOST),
        )
        found += [
            State(
                memory=row["memory"],
                subject=subject,
                slot=slot,
                value=row["value"],
                says=bool(row["holds"]),
                valid_from=row["valid_from"],
                ended_by=row["ended_by"] if _ended(row["valid_to"], as_of) else None,
            )
            for row in rows
        ]
    return found


def _slots(connection: sqlite3.Connection, user: int, numbers: Sequence[int]) -> set[Slot]:
    rows = connection.execute(
        "SELECT DISTINCT subject, slot FROM memory_facts WHERE user = ? "
        "AND memory IN (SELECT value FROM json_each(?))",
        (user, json.dumps(list(numbers))),
    )
    return {(row["subject"], row["slot"]) for row in rows}


def _ended(valid_to: float | None, as_of: float | None) -> bool:
    return valid_to is not None and (as_of is None or valid_to <= as_of)
