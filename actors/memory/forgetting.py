"""Deletes memories for good: what is chosen, what goes with it, and what stays of it. Knows no search.

Every function runs inside a write transaction.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from actors.memory import (
    comparisons,
    consents,
    events,
    facts,
    feedback,
    fulltext,
    memory_index,
    selection,
    tombs,
    unlearning,
)
from actors.memory.database import to_rewrite
from actors.memory.partitions import owner_of
from actors.memory.records import Forgetting, Forgotten
from actors.memory.spaces import MEMORIES
from actors.memory.users import user_number

FORGET = "forget"
BEGINNING = 80
"""Characters of a text that a dry run shows."""


def forget(
    connection: sqlite3.Connection, user: str, event_id: str, what: Forgetting, now: float
) -> Forgotten:
    """See Keeper.forget; what is to go has been checked."""
    number, owner = user_number(connection, user), owner_of(user)
    before = events.seen(connection, owner, event_id, FORGET)
    if before is not None:
        return Forgotten(memory_ids=tuple(before["memories"]), events=tuple(before["events"]))
    opinions = feedback.erase(connection, owner, number, feedback.chosen(connection, number, what), now)
    compared = comparisons.chosen(connection, number, what)
    opinions += comparisons.erase(connection, owner, number, compared, now)
    gone = erase(connection, user, number, selection.chosen(connection, number, what), now)
    scrub(connection, number)
    if what.everything:
        consents.drop(connection, user)
        _drop_user(connection, number)
    found = _forgotten(gone, opinions)
    result = {"memories": found.memory_ids, "events": found.events}
    events.record(connection, owner, event_id, FORGET, result)
    return found


def preview(connection: sqlite3.Connection, user: str, what: Forgetting) -> Forgotten:
    """See Keeper.forget with a dry run."""
    number = user_number(connection, user)
    chosen = selection.chosen(connection, number, what)
    rows = connection.execute(
        "SELECT text FROM memories WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number",
        (json.dumps(chosen),),
    )
    texts = tuple(row["text"][:BEGINNING] for row in rows)
    opinions = (*feedback.texts(connection, number, what), *comparisons.texts(connection, number, what))
    texts += tuple(text[:BEGINNING] for text in opinions)
    return replace(_forgotten(_written(connection, json.dumps(chosen))), texts=texts, dry_run=True)


def expire(connection: sqlite3.Connection, user: str, now: float) -> list[str]:
    """Delete what has expired by now; its ids. Words may stay in the index's pages until the next scrub."""
    number = user_number(connection, user)
    rows = connection.execute("SELECT number FROM memories WHERE user = ? AND expires_at <= ?", (number, now))
    gone = erase(connection, user, number, [row["number"] for row in rows.fetchall()], now)
    if gone:
        connection.execute("INSERT OR REPLACE INTO facts VALUES (?, '1')", (_worn(number),))
    return list(dict.fromkeys(memory_id for memory_id, _ in gone))


def worn(connection: sqlite3.Connection, number: int) -> bool:
    """Whether pages may hold words of what expired."""
    return connection.execute("SELECT 1 FROM facts WHERE name = ?", (_worn(number),)).fetchone() is not None


def erase(
    connection: sqlite3.Connection, user: str, number: int, memories: Sequence[int], now: float
) -> list[tuple[str, str]]:
    """Delete rows with all that hangs on them, and time the facts of the rest anew.

    Returns the id of each that went, with each event that wrote it, changed it or said it again.
    """
    if not memories:
        return []
    chosen = json.dumps(list(memories))
    within = "WHERE number IN (SELECT value FROM json_each(?))"
    gone = _written(connection, chosen)
    slots = facts.slots_of(connection, chosen)
    memory_index.removed(connection, number, memories)
    connection.execute(f"DELETE FROM memories {within}", (chosen,))
    changed = facts.retime(connection, number, slots)
    if changed:
        memory_index.touched(connection, number, sorted(changed))
    owner = owner_of(user)
    tombs.put(connection, owner, gone, now)
    written_by = {event_id for _, event_id in gone}
    unlearning.put(connection, owner, number, (memory_id for memory_id, _ in gone))
    unlearning.put(
        connection, owner, number, sorted(written_by - _still_there(connection, number, written_by))
    )
    feedback.erase(connection, owner, number, feedback.about(connection, number, written_by), now)
    return gone


def scrub(connection: sqlite3.Connection, number: int) -> None:
    """Leave no word of deleted memories in the user's index; the last memory takes the index with it."""
    connection.execute("DELETE FROM facts WHERE name = ?", (_worn(number),))
    to_rewrite(connection)
    if not fulltext.exists(connection, number, MEMORIES):
        return
    if connection.execute("SELECT 1 FROM memories WHERE user = ? LIMIT 1", (number,)).fetchone() is None:
        memory_index.drop(connection, number)
    else:
        memory_index.scrub(connection, number)


def _worn(number: int) -> str:
    return f"worn-{number}"


def _still_there(connection: sqlite3.Connection, number: int, written_by: set[str]) -> set[str]:
    """Those of some events that other memories of the user come from."""
    asked = json.dumps(sorted(written_by))
    rows = connection.execute(
        "SELECT event_id FROM memories WHERE user = :user "
        "AND event_id IN (SELECT value FROM json_each(:ids)) "
        "UNION SELECT c.event_id FROM memory_changes c JOIN memories m ON m.number = c.memory "
        "WHERE m.user = :user AND c.event_id IN (SELECT value FROM json_each(:ids))",
        {"user": number, "ids": asked},
    )
    return {row["event_id"] for row in rows}


def _forgotten(gone: Sequence[tuple[str, str]], opinions: Sequence[tuple[str, str]] = ()) -> Forgotten:
    written_by = dict.fromkeys(event_id for _, event_id in (*gone, *opinions) if event_id)
    memory_ids = dict.fromkeys(memory_id for memory_id, _ in gone)
    return Forgotten(memory_ids=tuple(memory_ids), events=tuple(written_by))


def _written(connection: sqlite3.Connection, chosen: str) -> list[tuple[str, str]]:
    """The id of each memory (numbers as JSON) with each event that is about its text."""
    rows = connection.execute(
        "SELECT number, 0, id, event_id FROM memories WHERE number IN (SELECT value FROM json_each(?)) "
        "UNION ALL SELECT m.number, c.number, m.id, c.event_id FROM memories m "
        "JOIN memory_changes c ON c.memory = m.number "
        "WHERE c.event_id <> '' AND m.number IN (SELECT value FROM json_each(?)) ORDER BY 1, 2",
        (chosen, chosen),
    )
    return [(row["id"], row["event_id"]) for row in rows]


def _drop_user(connection: sqlite3.Connection, number: int) -> None:
    """Forget the user's name too, unless there are documents under it."""
    for table in ("files", "stores"):
        if connection.execute(f"SELECT 1 FROM {table} WHERE user = ? LIMIT 1", (number,)).fetchone():
            return
    connection.execute("DELETE FROM events WHERE user = ?", (number,))
    connection.execute("DELETE FROM users WHERE id = ?", (number,))
