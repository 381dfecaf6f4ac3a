"""What became of a memory: edits and restatements as rows, the rest read from what is there. Knows no search.

That a memory was superseded is read from its facts, so no text of another memory stands in a history.
"""

import sqlite3

from actors.memory import memories
from actors.memory.records import Change
from actors.memory.users import user_number


def record(
    connection: sqlite3.Connection,
    memory: int,
    event: str,
    at: float,
    old: str | None = None,
    new: str | None = None,
    event_id: str = "",
) -> int:
    """Add an entry; its number. `event_id` is of the write that brought it, if it brought a text."""
    cursor = connection.execute(
        "INSERT INTO memory_changes (memory, event, old, new, at, event_id) VALUES (?, ?, ?, ?, ?, ?)",
        (memory, event, old, new, at, event_id),
    )
    return int(cursor.lastrowid or 0)


def history(connection: sqlite3.Connection, user: str, memory_id: str, now: float) -> list[Change]:
    """See Keeper.memory_history."""
    memory = memories.number_of(connection, user_number(connection, user), memory_id, now)
    first = connection.execute(
        "SELECT id, text, created_at FROM memories WHERE number = ?", (memory,)
    ).fetchone()
    rows = connection.execute(
        "SELECT event, old, new, at FROM memory_changes WHERE memory = ? ORDER BY number", (memory,)
    ).fetchall()
    superseded = connection.execute(
        "SELECT DISTINCT f.valid_to, s.text FROM memory_facts f JOIN memories s ON s.number = f.ended_by "
        "WHERE f.memory = ? AND f.holds AND f.change IS NULL AND f.ended_by <> f.memory ORDER BY f.valid_to",
        (memory,),
    )
    oldest = next((row["old"] for row in rows if row["event"] == "UPDATE"), first["text"])
    added = Change(first["id"], "ADD", None, oldest, first["created_at"])
    changes = [Change(first["id"], row["event"], row["old"], row["new"], row["at"]) for row in rows]
    ended = [
        Change(first["id"], "SUPERSEDE", first["text"], row["text"], row["valid_to"]) for row in superseded
    ]
    return [added, *sorted([*changes, *ended], key=lambda change: change.at)]
