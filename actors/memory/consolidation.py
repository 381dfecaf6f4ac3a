"""Tidies a user's memories in small transactions: expires, merges, archives, proposes. Deletes no turn.

Every function runs inside a write transaction, does a bounded part, and is called until nothing is left.
"""

import sqlite3
from dataclasses import asdict

from actors.identity import Identity
from actors.memory import (
    changes,
    decay,
    events,
    forgetting,
    memories,
    memory_index,
    merging,
    proposals,
    writing,
)
from actors.memory.partitions import owner_of
from actors.memory.records import Consolidated, NewMemory
from actors.memory.users import user_number

CONSOLIDATE = "consolidate"
BATCH = 500
"""Rows that one transaction changes or reads."""
CLOSED_S = 1800.0
"""Seconds after its last turn from which a session is taken as closed."""


def done_before(connection: sqlite3.Connection, user: str, event_id: str) -> Consolidated | None:
    """What the event did when it first came."""
    user_number(connection, user)
    result = events.seen(connection, owner_of(user), event_id, CONSOLIDATE)
    return None if result is None else Consolidated(**{name: tuple(ids) for name, ids in result.items()})


def expire(connection: sqlite3.Connection, user: str, now: float) -> tuple[list[str], bool]:
    """Delete what has expired; its ids, and whether the files are to be written anew."""
    number = user_number(connection, user)
    gone = forgetting.expire(connection, user, now)
    worn = forgetting.worn(connection, number)
    if worn:
        forgetting.scrub(connection, number)
    return gone, worn


def merge(connection: sqlite3.Connection, user: str, now: float) -> list[str]:
    """Merge some notes; the ids that are hidden now."""
    return merging.merge(connection, user_number(connection, user), BATCH, now)


def archive(
    connection: sqlite3.Connection, user: str, after: int, below: float, half_life_days: float, now: float
) -> tuple[int | None, list[str]]:
    """Archive the weak among the memories after a row; the row to go on after (None: the end), and the ids.

    What states a fact that still holds is not archived, however weak.
    """
    number = user_number(connection, user)
    rows = connection.execute(
        "SELECT number, id, importance, uses, coalesce(used_at, valid_from) AS since FROM memories m "
        "WHERE user = ? AND number > ? AND archived_at IS NULL AND merged_into IS NULL AND NOT pinned "
        "AND NOT EXISTS (SELECT 1 FROM memory_facts f WHERE f.memory = m.number AND f.holds "
        "AND f.change IS NULL AND f.valid_to IS NULL) ORDER BY number LIMIT ?",
        (number, after, BATCH),
    ).fetchall()
    if not rows:
        return None, []
    strengths = decay.strength(
        [row["importance"] for row in rows],
        [row["uses"] for row in rows],
        [row["since"] for row in rows],
        now,
        half_life_days,
    )
    weak = [row for row, strength in zip(rows, strengths, strict=True) if strength < below]
    for row in weak:
        connection.execute("UPDATE memories SET archived_at = ? WHERE number = ?", (now, row["number"]))
        changes.record(connection, row["number"], "ARCHIVE", now)
    if weak:
        memory_index.touched(connection, number, [row["number"] for row in weak])
    return rows[-1]["number"], [row["id"] for row in weak]


def closed_sessions(connection: sqlite3.Connection, user: str, now: float) -> list[str]:
    """Sessions that ended and have no summary yet."""
    rows = connection.execute(
        "SELECT session FROM memories m WHERE user = ? AND session <> '' GROUP BY session "
        "HAVING sum(kind = 'turn') >= ? AND max(valid_from) FILTER (WHERE kind = 'turn') < ? "
        "AND sum(kind = 'summary') = 0 ORDER BY min(number)",
        (user_number(connection, user), proposals.FEWEST_TURNS, now - CLOSED_S),
    )
    return [row["session"] for row in rows]


def propose(
    connection: sqlite3.Connection, user: str, session: str, identity: Identity, now: float
) -> list[str]:
    """Store a summary of a session made of what was said in it; its id. One that was forgotten stays so."""
    rows = connection.execute(
        "SELECT m.id, m.text, m.speaker, m.role, m.agent, m.valid_from FROM memories m WHERE user = ? "
        f"AND session = ? AND kind = 'turn' AND {memories.LIVE} ORDER BY ordinal",
        (user_number(connection, user), session, now),
    ).fetchall()
    turns = [proposals.Turn(row["id"], row["text"], row["speaker"], row["role"]) for row in rows]
    found = proposals.summary(turns)
    if found is None:
        return []
    new = NewMemory(
        text=found.text,
        kind="summary",
        role="system",
        said_at=rows[-1]["valid_from"],
        metadata={"proposed": True},
        sources=found.sources,
    )
    agents = {row["agent"] for row in rows}
    agent = agents.pop() if len(agents) == 1 else ""
    event_id = f"summary of {turns[0].id}"
    done = writing.remember(connection, user, event_id, [new], None, session, agent, identity, now)
    return [one.id for one in done.written if one.event == "ADD"]


def finish(connection: sqlite3.Connection, user: str, event_id: str, done: Consolidated) -> Consolidated:
    """Keep what the event did."""
    owner = owner_of(user)
    if events.seen(connection, owner, event_id, CONSOLIDATE) is None:
        events.record(connection, owner, event_id, CONSOLIDATE, asdict(done))
    return done
