"""Memories as rows: inserted, read, listed, changed. Knows no search, no ranking and no forgetting."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from actors.identity import Identity
from actors.memory import admission, facts, memory_index, tombs
from actors.memory.database import next_number
from actors.memory.facts import Said
from actors.memory.records import Memory, MemoryPage, MemoryStats, NewMemory
from actors.memory.users import user_number
from actors.memory.vectors import Vectors
from actors.messages import Json, NotFound

PREFIX = "mem_"


class Place(NamedTuple):
    """Where and when memories are stored."""

    user: int
    session: str
    agent: str
    event_id: str
    now: float


class Inserted(NamedTuple):
    """Rows that were written, and the older memories that changed with them."""

    numbers: list[int]
    changed: set[int]


def insert(
    connection: sqlite3.Connection,
    place: Place,
    memories: Sequence[tuple[str, NewMemory]],
    vectors: Sequence[Vectors | None],
) -> Inserted:
    """Store memories (id, memory) at the end of their session with what they state, and index them.

    A summary states nothing: what it says was said by others, who may mean another by "I".
    """
    numbers: list[int] = []
    said: list[Said] = []
    first = next_ordinal(connection, place.user, place.session)
    for ordinal, ((memory_id, memory), vector) in enumerate(zip(memories, vectors, strict=True), start=first):
        said_at = place.now if memory.said_at is None else memory.said_at
        values = {
            "id": memory_id,
            "user": place.user,
            "kind": memory.kind,
            "session": place.session,
            "ordinal": ordinal,
            "agent": place.agent,
            "role": memory.role,
            "speaker": memory.speaker,
            "text": memory.text,
            "words": len(memory.text.split()),
            "digest": admission.digest(memory.text),
            "embedded": vector is not None,
            "valid_from": said_at,
            "created_at": place.now,
            "updated_at": place.now,
            "importance": memory.importance,
            "pinned": memory.pinned,
            "expires_at": memory.expires_at,
            "event_id": place.event_id,
            "metadata": admission.stored(memory.metadata),
            "training": memory.training,
        }
        number = put_row(connection, values)
        numbers.append(number)
        put_sources(connection, number, memory.sources)
        if vector is not None:
            put_vector(connection, number, vector)
        if memory.kind != "summary":
            said.append(Said(number, memory.text, memory.speaker, memory.role, said_at))
    memory_index.added(connection, place.user, numbers)
    return Inserted(numbers, facts.store(connection, place.user, said, place.now).difference(numbers))


def next_ordinal(connection: sqlite3.Connection, user: int, session: str) -> int:
    """The place after a session's last memory."""
    row = connection.execute(
        "SELECT max(ordinal) FROM memories WHERE user = ? AND session = ?", (user, session)
    ).fetchone()
    return 0 if row[0] is None else int(row[0]) + 1


def put_row(connection: sqlite3.Connection, values: Mapping[str, object]) -> int:
    """Insert a row of `memories`; its number."""
    cursor = connection.execute(
        f"INSERT INTO memories ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    return int(cursor.lastrowid or 0)


def put_sources(connection: sqlite3.Connection, number: int, sources: Iterable[str]) -> None:
    """Add what a memory was made from."""
    connection.executemany(
        "INSERT OR IGNORE INTO memory_sources VALUES (?, ?)", ((number, source) for source in sources)
    )


def put_vector(connection: sqlite3.Connection, number: int, vector: Vectors) -> None:
    """Give a memory its vector, or a new one; shape (dimensions,)."""
    connection.execute(
        "INSERT OR REPLACE INTO memory_vectors VALUES (?, ?)",
        (number, vector.astype("<f4", copy=False).tobytes()),
    )


def new_id(connection: sqlite3.Connection, identity: Identity, ahead: int = 0) -> str:
    """The id of the memory that is inserted next, once `ahead` others are."""
    return identity.stored(PREFIX, next_number(connection, "memories") + ahead)


def number_of(connection: sqlite3.Connection, user: int, memory_id: str, now: float) -> int:
    """The row of one of the user's memories. Raises NotFound."""
    row = None
    if memory_id.isascii():
        row = connection.execute(
            f"SELECT number FROM memories m WHERE user = ? AND id = ? AND {LIVE}", (user, memory_id, now)
        ).fetchone()
    if row is None:
        raise NotFound(f"no memory {memory_id!r}", param="memory_id")
    return int(row["number"])


def get(connection: sqlite3.Connection, user: str, memory_id: str, now: float) -> Memory:
    """See Keeper.get_memory."""
    owner = user_number(connection, user)
    number = number_of(connection, owner, memory_id, now)
    return some(connection, owner, [number], now)[number]


def some(connection: sqlite3.Connection, user: int, numbers: Sequence[int], now: float) -> dict[int, Memory]:
    """Memories by row number; those that are gone, expired or another user's are left out."""
    rows = connection.execute(
        f"{SELECT} WHERE m.user = ? AND {LIVE} AND m.number IN (SELECT value FROM json_each(?))",
        (user, now, json.dumps(list(numbers))),
    )
    return {row["number"]: memory_of(row) for row in rows}


def listed(
    connection: sqlite3.Connection,
    user: str,
    now: float,
    session: str | None,
    agent: str | None,
    page: int,
    page_size: int,
) -> MemoryPage:
    """See Keeper.list_memories."""
    where = (
        f"WHERE m.user = :user AND {LIVE.replace('?', ':now')}"
        f" AND {'m.merged_into IS NULL' if session is None else f'm.session = :session AND {_SHOWN}'}"
        f"{'' if agent is None else ' AND m.agent = :agent'}"
    )
    values = {"user": user_number(connection, user), "now": now, "session": session, "agent": agent}
    (total,) = connection.execute(f"SELECT count(*) FROM memories m {where}", values).fetchone()
    rows = connection.execute(
        f"{SELECT} {where} ORDER BY m.number DESC LIMIT :limit OFFSET :offset",
        {**values, "limit": page_size, "offset": (page - 1) * page_size},
    )
    return MemoryPage(memories=tuple(memory_of(row) for row in rows), total=total)


def recent(connection: sqlite3.Connection, user: str, session: str, most: int, now: float) -> list[Memory]:
    """See Keeper.recent_turns."""
    rows = connection.execute(
        f"{SELECT} WHERE m.user = ? AND {LIVE} AND m.session = ? AND m.kind = 'turn' "
        "ORDER BY m.ordinal DESC LIMIT ?",
        (user_number(connection, user), now, session, most),
    ).fetchall()
    return [memory_of(row) for row in reversed(rows)]


def used(connection: sqlite3.Connection, user: str, memory_ids: Sequence[str], now: float) -> None:
    """See Keeper.used."""
    connection.execute(
        "UPDATE memories SET uses = uses + 1, used_at = ? WHERE user = ? "
        "AND id IN (SELECT value FROM json_each(?))",
        (now, user_number(connection, user), json.dumps(list(memory_ids))),
    )


def stats(connection: sqlite3.Connection, user: str, now: float) -> MemoryStats:
    """See Keeper.memory_stats."""
    number = user_number(connection, user)
    seen = f"FROM memories m WHERE user = ? AND merged_into IS NULL AND {LIVE}"
    totals = connection.execute(
        "SELECT count(*) AS memories, count(DISTINCT session) AS sessions, count(archived_at) AS archived, "
        "coalesce(sum(NOT embedded), 0) AS without_vector, "
        f"coalesce(sum(length(CAST(text AS BLOB))), 0) AS bytes {seen}",
        (number, now),
    ).fetchone()
    kinds = connection.execute(f"SELECT kind, count(*) {seen} GROUP BY kind ORDER BY kind", (number, now))
    return MemoryStats(
        **dict(totals),
        by_kind={row[0]: row[1] for row in kinds},
        facts=facts.count(connection, number, now),
        forgotten=tombs.count(connection, user),
    )


def unembedded(connection: sqlite3.Connection, limit: int, now: float) -> list[tuple[str, str, str]]:
    """See Keeper.unembedded."""
    rows = connection.execute(
        "SELECT u.name, m.id, m.text FROM memories m JOIN users u ON u.id = m.user "
        f"WHERE NOT m.embedded AND {LIVE} ORDER BY m.number LIMIT ?",
        (now, limit),
    )
    return [(row["name"], row["id"], row["text"]) for row in rows]


def users(connection: sqlite3.Connection) -> list[str]:
    """See Keeper.memory_users."""
    rows = connection.execute(
        "SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM memories WHERE user = u.id) ORDER BY name"
    )
    return [row["name"] for row in rows]


def memory_of(row: sqlite3.Row) -> Memory:
    """A row of SELECT as a record."""
    values: dict[str, Json] = dict(row)
    values.pop("number")
    values["pinned"] = bool(values["pinned"])
    values["training"] = None if values["training"] is None else bool(values["training"])
    values["metadata"] = {} if values["metadata"] == "{}" else json.loads(values["metadata"])
    values["sources"] = () if values["sources"] == "[]" else tuple(json.loads(values["sources"]))
    if values["valid_to"] is None:
        values["superseded_by"] = None
    return Memory(**values)


LIVE = "(m.expires_at IS NULL OR m.expires_at > ?)"
"""Of `memories m`, those that have not expired; the parameter is the time of the call."""
_SHOWN = """(m.merged_into IS NULL
    OR m.session <> (SELECT session FROM memories t WHERE t.number = m.merged_into))"""
"""Within one session, also what was merged into a note of another."""
_FACTS = "FROM memory_facts f WHERE f.memory = m.number AND f.holds AND f.change IS NULL"
SELECT = f"""
SELECT m.number, m.id, m.kind, m.text, m.role, m.speaker, m.session, m.agent, m.ordinal, m.valid_from,
    m.created_at, m.updated_at, m.importance, m.pinned, m.expires_at, m.archived_at, m.uses, m.used_at,
    m.event_id, m.metadata, m.training,
    (SELECT iif(count(*) = count(f.valid_to), max(f.valid_to), NULL) {_FACTS}) AS valid_to,
    (SELECT s.id {_FACTS.replace("WHERE", "JOIN memories s ON s.number = f.ended_by WHERE")}
        ORDER BY f.valid_to DESC, f.number DESC LIMIT 1) AS superseded_by,
    (SELECT json_group_array(source) FROM memory_sources WHERE memory = m.number) AS sources
FROM memories m
"""
