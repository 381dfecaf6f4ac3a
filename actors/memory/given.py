"""Rows that users gave to be learned from: erased, with what stays of them. Knows none of their columns."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Literal

from actors.memory import tombs, unlearning
from actors.memory.database import to_rewrite


def erase(
    connection: sqlite3.Connection,
    table: Literal["feedback", "comparisons"],
    owner: str,
    user: int,
    numbers: Sequence[int],
    now: float,
) -> list[tuple[str, str]]:
    """Delete rows; the id and the event of each, which stay as tombstones. Inside a write transaction."""
    within = "WHERE number IN (SELECT value FROM json_each(?))"
    chosen = (json.dumps(list(numbers)),)
    rows = connection.execute(f"SELECT id, event_id FROM {table} {within}", chosen)
    gone = [(row["id"], row["event_id"]) for row in rows]
    if gone:
        connection.execute(f"DELETE FROM {table} {within}", chosen)
        tombs.put(connection, owner, gone, now)
        unlearning.put(connection, owner, user, (part for pair in gone for part in pair))
        to_rewrite(connection)
    return gone
