"""What users thought of answers, as rows: put, found, erased with what they are about. Knows no training."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

from actors.identity import Identity
from actors.memory import admission, events, exchanges, given, selection, tombs
from actors.memory.database import next_number
from actors.memory.memories import LIVE
from actors.memory.partitions import owner_of
from actors.memory.records import Feedback, Forgetting
from actors.memory.users import user_number
from actors.messages import InvalidRequest, NotFound

FEEDBACK = "feedback"
PREFIX = "fb_"
RATINGS = (-1, 1)
_PARAM = "completion_id"


def check(rating: int | None, correction: str | None, most_characters: int) -> None:
    """Raises InvalidRequest, TooLarge."""
    if rating is None and correction is None:
        raise InvalidRequest("give a rating or a correction", param="rating")
    if rating is not None and rating not in RATINGS:
        raise InvalidRequest("a rating is -1 or 1", param="rating")
    if correction is not None:
        admission.check_text(correction, most_characters)


def put(
    connection: sqlite3.Connection,
    user: str,
    event_id: str,
    completion_id: str,
    rating: int | None,
    correction: str | None,
    identity: Identity,
    known: bool,
) -> Feedback:
    """See Keeper.put_feedback; what is given has been checked. Runs inside a write transaction."""
    number, owner = user_number(connection, user), owner_of(user)
    written = exchanges.answered(completion_id)
    answer = connection.execute(
        f"SELECT session, agent FROM memories m WHERE user = ? AND event_id = ? AND {LIVE} LIMIT 1",
        (number, written, identity.now()),
    ).fetchone()
    if answer is None and (not known or tombs.of_event(connection, owner, written)):
        raise NotFound(f"no answer {completion_id!r} was given to this user, or it was forgotten", _PARAM)
    number = user_number(connection, user, create=True)
    before = _row(connection, number, completion_id)
    if events.seen(connection, owner, event_id, FEEDBACK) is not None:
        if before is None:
            raise NotFound("this feedback was forgotten", _PARAM)
        return _feedback(before)
    said = {
        "rating": rating if rating is not None or before is None else before["rating"],
        "correction": correction if correction is not None or before is None else before["correction"],
    }
    if before is None or any(before[name] != value for name, value in said.items()):
        if before is not None:
            erase(connection, owner, number, [before["number"]], identity.now())
        values = (
            identity.stored(PREFIX, next_number(connection, "feedback")),
            *(number, completion_id, *(tuple(answer) if answer is not None else ("", ""))),
            *said.values(),
            *(event_id, identity.now()),
        )
        connection.execute(
            "INSERT INTO feedback (id, user, completion, session, agent, rating, correction, event_id, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
    events.record(connection, owner, event_id, FEEDBACK, completion_id)
    found = _row(connection, number, completion_id)
    assert found is not None
    first = rating is not None and (before is None or before["rating"] is None)
    return replace(_feedback(found), first=first)


def chosen(connection: sqlite3.Connection, user: int, what: Forgetting) -> list[int]:
    """The rows that themselves meet every condition of a request to forget."""
    rows = connection.execute("SELECT * FROM feedback WHERE user = ? ORDER BY number", (user,))
    return [row["number"] for row in rows if _meets(row, what)]


def texts(connection: sqlite3.Connection, user: int, what: Forgetting) -> list[str]:
    """The corrections among `chosen`."""
    rows = connection.execute(
        "SELECT correction FROM feedback WHERE correction IS NOT NULL "
        "AND number IN (SELECT value FROM json_each(?)) ORDER BY number",
        (json.dumps(chosen(connection, user, what)),),
    )
    return [row["correction"] for row in rows]


def about(connection: sqlite3.Connection, user: int, written_by: Iterable[str]) -> list[int]:
    """The rows about answers whose question or answer some events wrote."""
    completions = {exchanges.completion_of(event_id) for event_id in written_by} - {None}
    rows = connection.execute(
        "SELECT number FROM feedback WHERE user = ? AND completion IN (SELECT value FROM json_each(?))",
        (user, json.dumps(sorted(one for one in completions if one))),
    )
    return [row["number"] for row in rows]


def erase(
    connection: sqlite3.Connection, owner: str, user: int, numbers: Sequence[int], now: float
) -> list[tuple[str, str]]:
    """Delete rows; the id and the event of each, which stay as tombstones."""
    return given.erase(connection, "feedback", owner, user, numbers, now)


def _meets(row: sqlite3.Row, what: Forgetting) -> bool:
    return what.everything or (
        (not what.ids or row["id"] in what.ids)
        and what.session in (None, row["session"])
        and what.agent in (None, row["agent"])
        and (what.before is None or row["at"] < what.before)
        and (what.matching is None or selection.says(row["correction"] or "", what.matching))
    )


def _row(connection: sqlite3.Connection, user: int, completion_id: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM feedback WHERE user = ? AND completion = ?", (user, completion_id)
    ).fetchone()
    return found


def _feedback(row: sqlite3.Row) -> Feedback:
    return Feedback(
        id=row["id"],
        completion_id=row["completion"],
        rating=row["rating"],
        correction=row["correction"],
        at=row["at"],
    )
