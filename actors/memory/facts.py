"""Rows of what memories state: stored, timed, asked for. Knows no grammar and no index.

A row's `change` is NULL while the memory's text says it; else it names the edit that took it out of the text,
and the row held no longer than until then.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from actors.memory.records import Fact
from actors.memory.statements import statements
from actors.memory.timeline import Assertion, ends, timed
from actors.memory.users import user_number

Slot = tuple[str, str]
"""A subject and one of its slots."""


class Said(NamedTuple):
    """The text of a memory, read for what it states from `said_at` on."""

    memory: int
    text: str
    speaker: str
    role: str
    said_at: float


def store(connection: sqlite3.Connection, user: int, said: Sequence[Said], now: float) -> set[int]:
    """Add what texts state, each in its place in time; the memories whose facts it ended or changed."""
    changed: set[int] = set()
    for one in said:
        for statement in statements(one.text, one.speaker, one.role):
            number = put_row(
                connection,
                {
                    "user": user,
                    "memory": one.memory,
                    "valid_from": one.said_at,
                    "created_at": now,
                    **asdict(statement),
                },
            )
            assertion = Assertion(
                number, statement.value, statement.holds, statement.single, one.said_at, number
            )
            changed |= _place(connection, user, (statement.subject, statement.slot), one.memory, assertion)
    return changed


def put_row(connection: sqlite3.Connection, values: Mapping[str, object]) -> int:
    """Insert a row of `memory_facts`, yet to be timed; its number."""
    columns = ", ".join(f'"{name}"' for name in values)
    cursor = connection.execute(
        f"INSERT INTO memory_facts ({columns}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    return int(cursor.lastrowid or 0)


def revise(connection: sqlite3.Connection, user: int, said: Said, change: int, now: float) -> set[int]:
    """A memory's text was changed: what it says now holds from now on, what it said held until now.

    What no longer held before the edit is replaced at its own time, so that an edit makes nothing current.
    `said.said_at` is when the memory was said. Returns the memories whose facts changed.
    """
    rows = connection.execute(
        "SELECT subject, slot, holds, valid_to FROM memory_facts WHERE memory = ? AND change IS NULL",
        (said.memory,),
    ).fetchall()
    slots = {(row["subject"], row["slot"]) for row in rows}
    ended = [row["valid_to"] is not None for row in rows if row["holds"]]
    if ended and all(ended):
        connection.execute("DELETE FROM memory_facts WHERE memory = ? AND change IS NULL", (said.memory,))
        at = said.said_at
    else:
        connection.execute(
            "UPDATE memory_facts SET change = ? WHERE memory = ? AND change IS NULL", (change, said.memory)
        )
        at = max(now, said.said_at)
    changed = retime(connection, user, slots)
    return changed | store(connection, user, [said._replace(said_at=at)], now)


def slots_of(connection: sqlite3.Connection, memories: str) -> set[Slot]:
    """What memories (numbers as JSON) say something of: to be timed anew once they are deleted."""
    rows = connection.execute(
        "SELECT DISTINCT subject, slot FROM memory_facts WHERE memory IN (SELECT value FROM json_each(?))",
        (memories,),
    )
    return {(row["subject"], row["slot"]) for row in rows}


def retime(connection: sqlite3.Connection, user: int, slots: Iterable[Slot]) -> set[int]:
    """Time every statement of slots anew from all that is there; the memories whose facts changed."""
    changed: set[int] = set()
    for slot in sorted(slots):
        rows = connection.execute(
            "SELECT f.number, f.memory, f.value, f.holds, f.single, f.valid_from, f.valid_to, f.ended_by, "
            "c.at AS until FROM memory_facts f LEFT JOIN memory_changes c ON c.number = f.change "
            "WHERE f.user = ? AND f.subject = ? AND f.slot = ?",
            (user, *slot),
        ).fetchall()
        memory_of = {row["number"]: row["memory"] for row in rows}
        for row, interval in zip(rows, timed([_assertion(row) for row in rows]), strict=True):
            until = None if row["until"] is None else max(row["until"], row["valid_from"])
            end, by = interval.valid_to, memory_of.get(interval.ended_by)
            if until is not None and (end is None or until < end):
                end, by = until, row["memory"]
            if (end, by) != (row["valid_to"], row["ended_by"]):
                _end(connection, row["number"], end, by)
                changed.add(row["memory"])
    return changed


def held(
    connection: sqlite3.Connection,
    user: str,
    now: float,
    subject: str | None = None,
    slot: str | None = None,
    as_of: float | None = None,
    history: bool = False,
) -> list[Fact]:
    """See Keeper.facts."""
    conditions = ["f.user = :user", "f.holds", "(m.expires_at IS NULL OR m.expires_at > :now)"]
    if subject is not None:
        conditions.append("f.subject = :subject")
    if slot is not None:
        conditions.append("f.slot = :slot")
    if as_of is not None:
        conditions.append("f.valid_from <= :as_of")
    if not history:
        conditions.append(
            "f.valid_to IS NULL" if as_of is None else "(f.valid_to IS NULL OR f.valid_to > :as_of)"
        )
    rows = connection.execute(
        f"{_FACT} WHERE {' AND '.join(conditions)} ORDER BY f.valid_from, f.number",
        {"user": user_number(connection, user), "now": now, "subject": subject, "slot": slot, "as_of": as_of},
    )
    found = [_fact(row) for row in rows]
    if history:
        return found
    return list({(one.memory_id, one.subject, one.slot, one.value): one for one in reversed(found)}.values())[
        ::-1
    ]


def count(connection: sqlite3.Connection, user: int, now: float) -> int:
    """How many facts hold now."""
    (found,) = connection.execute(
        "SELECT count(*) FROM (SELECT DISTINCT f.memory, f.subject, f.slot, f.value FROM memory_facts f "
        "JOIN memories m ON m.number = f.memory WHERE f.user = ? AND f.holds AND f.valid_to IS NULL "
        "AND (m.expires_at IS NULL OR m.expires_at > ?))",
        (user, now),
    ).fetchone()
    return int(found)


_FACT = """
SELECT m.id AS memory_id, f.subject, f.slot, f.value, f.start, f."end", f.valid_from, f.valid_to,
    f.created_at, s.id AS superseded_by, coalesce(c.old, m.text) AS text
FROM memory_facts f JOIN memories m ON m.number = f.memory
    LEFT JOIN memories s ON s.number = f.ended_by
    LEFT JOIN memory_changes c ON c.number = f.change
"""


def _fact(row: sqlite3.Row) -> Fact:
    return Fact(
        memory_id=row["memory_id"],
        subject=row["subject"],
        slot=row["slot"],
        value=row["value"],
        statement=row["text"][row["start"] : row["end"]],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        created_at=row["created_at"],
        superseded_by=row["superseded_by"],
    )


def _place(connection: sqlite3.Connection, user: int, slot: Slot, memory: int, new: Assertion) -> set[int]:
    """Time a new row; only what it may end is read where it is the latest of its slot."""
    there = "FROM memory_facts WHERE user = ? AND subject = ? AND slot = ?"
    later = connection.execute(
        f"SELECT 1 {there} AND valid_from > ? UNION ALL SELECT 1 {there} AND change IS NOT NULL LIMIT 1",
        (user, *slot, new.at, user, *slot),
    ).fetchone()
    if later is not None:
        return retime(connection, user, [slot])
    alone = new.holds and not new.single
    rows = connection.execute(
        f"SELECT number, memory, value, holds, single, valid_from {there} "
        f"AND valid_to IS NULL AND number < ?{' AND NOT holds' if alone else ''}",
        (user, *slot, new.key),
    ).fetchall()
    over = [row for row in rows if ends(new, _assertion(row))]
    for row in over:
        _end(connection, row["number"], new.at, memory)
    return {row["memory"] for row in over}


def _end(connection: sqlite3.Connection, number: int, end: float | None, by: int | None) -> None:
    connection.execute(
        "UPDATE memory_facts SET valid_to = ?, ended_by = ? WHERE number = ?", (end, by, number)
    )


def _assertion(row: sqlite3.Row) -> Assertion:
    return Assertion(
        row["number"],
        row["value"],
        bool(row["holds"]),
        bool(row["single"]),
        row["valid_from"],
        row["number"],
    )
