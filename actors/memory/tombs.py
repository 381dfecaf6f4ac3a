"""All that stays of what was forgotten: ids by owner, and no word. Knows no memory."""

import json
import sqlite3
from collections.abc import Iterable

from actors.memory.partitions import owner_of
from actors.memory.records import Tombstone


def put(connection: sqlite3.Connection, owner: str, gone: Iterable[tuple[str, str]], now: float) -> None:
    """Memories (id, id of an event that wrote or said it again) are being forgotten."""
    connection.executemany(
        "INSERT OR IGNORE INTO tombstones (owner, memory_id, event_id, forgotten_at) VALUES (?, ?, ?, ?)",
        ((owner, memory_id, event_id, now) for memory_id, event_id in gone),
    )


def since(connection: sqlite3.Connection, user: str, after: float) -> list[Tombstone]:
    """See Keeper.tombstones."""
    rows = connection.execute(
        "SELECT memory_id, event_id, forgotten_at FROM tombstones WHERE owner = ? AND forgotten_at > ? "
        "ORDER BY forgotten_at, number",
        (owner_of(user), after),
    )
    return [Tombstone(row["memory_id"], row["event_id"], row["forgotten_at"]) for row in rows]


def count(connection: sqlite3.Connection, user: str) -> int:
    """How many of the user's memories were forgotten."""
    (found,) = connection.execute(
        "SELECT count(DISTINCT memory_id) FROM tombstones WHERE owner = ?", (owner_of(user),)
    ).fetchone()
    return int(found)


def of_event(connection: sqlite3.Connection, owner: str, event_id: str) -> list[str]:
    """The memories that an event wrote and that were forgotten."""
    rows = connection.execute(
        "SELECT DISTINCT memory_id FROM tombstones WHERE owner = ? AND event_id = ? ORDER BY number",
        (owner, event_id),
    )
    return [row["memory_id"] for row in rows]


def among(connection: sqlite3.Connection, owner: str, ids: Iterable[str]) -> frozenset[str]:
    """Those of some memory ids and event ids that were forgotten."""
    wanted = json.dumps(list(ids))
    rows = connection.execute(
        "SELECT memory_id AS id FROM tombstones WHERE owner = ? "
        "AND memory_id IN (SELECT value FROM json_each(?)) UNION "
        "SELECT event_id FROM tombstones WHERE owner = ? AND event_id IN (SELECT value FROM json_each(?))",
        (owner, wanted, owner, wanted),
    )
    return frozenset(row["id"] for row in rows)
