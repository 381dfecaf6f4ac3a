"""What each write of memories answered, by the event id its caller chose: so that a retry writes nothing.

Kept by owner, not by user, so that the event which forgot a user outlives the user's row. Holds no text.
"""

import json
import sqlite3

from actors.messages import InvalidRequest, Json

LONGEST_EVENT_ID = 512


def seen(connection: sqlite3.Connection, owner: str, event_id: str, call: str) -> Json:
    """The result of that event, None if it is new.

    Raises InvalidRequest without an event id, or with one that stands for another call.
    """
    if not event_id or len(event_id) > LONGEST_EVENT_ID:
        raise InvalidRequest(
            f"an event id of at most {LONGEST_EVENT_ID} characters is needed, so that a retry never writes "
            "twice",
            param="event_id",
        )
    row = connection.execute(
        "SELECT call, result FROM memory_events WHERE owner = ? AND event_id = ?", (owner, event_id)
    ).fetchone()
    if row is None:
        return None
    if row["call"] != call:
        raise InvalidRequest(
            f"event {event_id!r} was another call ({row['call']}): choose an id of its own for every write",
            param="event_id",
            code="event_id_taken",
        )
    return json.loads(row["result"])


def record(connection: sqlite3.Connection, owner: str, event_id: str, call: str, result: Json) -> None:
    """Keep what the event answered: ids, never text."""
    connection.execute(
        "INSERT INTO memory_events (owner, event_id, call, result) VALUES (?, ?, ?, ?)",
        (owner, event_id, call, json.dumps(result, separators=(",", ":"))),
    )
