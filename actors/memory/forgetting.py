"""Deletes memories for good: what is chosen, what goes with it, and what stays of it. Knows no search.

Every function runs inside a write transaction.
"""

import json
import sqlite3
from collections.abc import Sequence

from actors.memory import facts, memory_index, tombs
from actors.memory.partitions import owner_of
from actors.memory.users import user_number


def expire(connection: sqlite3.Connection, user: str, now: float) -> list[str]:
    """Delete what has expired by now; its ids. Index pages keep worn words until the next scrub."""
    number = user_number(connection, user)
    rows = connection.execute("SELECT number FROM memories WHERE user = ? AND expires_at <= ?", (number, now))
    return erase(connection, user, number, [row["number"] for row in rows.fetchall()], now)


def erase(
    connection: sqlite3.Connection, user: str, number: int, memories: Sequence[int], now: float
) -> list[str]:
    """Delete rows with all that hangs on them, and time the facts of the rest anew; the ids that went."""
    if not memories:
        return []
    chosen = json.dumps(list(memories))
    within = "WHERE number IN (SELECT value FROM json_each(?))"
    gone = connection.execute(
        f"SELECT id, event_id FROM memories {within} ORDER BY number", (chosen,)
    ).fetchall()
    slots = facts.slots_of(connection, chosen)
    memory_index.removed(connection, number, memories)
    connection.execute(f"DELETE FROM memories {within}", (chosen,))
    changed = facts.retime(connection, number, slots)
    if changed:
        memory_index.touched(connection, number, sorted(changed))
    tombs.put(connection, owner_of(user), ((row["id"], row["event_id"]) for row in gone), now)
    return [row["id"] for row in gone]
