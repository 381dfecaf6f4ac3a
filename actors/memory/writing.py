"""One write of memories as one event: new, said again, forgotten since, or edited. Knows no search.

Every function runs inside a write transaction.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.identity import Identity
from actors.memory import admission, changes, events, facts, memories, memory_index, merging, tombs, width
from actors.memory.facts import Said
from actors.memory.memories import Place
from actors.memory.partitions import owner_of
from actors.memory.records import Memory, NewMemory, Written
from actors.memory.users import user_number
from actors.memory.vectors import Vectors
from actors.messages import Json

REMEMBER = "remember"
UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a write answered, the memories it made, and whether older ones changed with it."""

    written: tuple[Written, ...]
    made: tuple[Memory, ...] = ()
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What an update changes; None leaves a value as it is. `vector` has shape (dimensions,)."""

    text: str | None = None
    vector: Vectors | None = None
    metadata: Mapping[str, Json] | None = None
    importance: float | None = None
    pinned: bool | None = None
    archived: bool | None = None

    def check(self, most_characters: int) -> None:
        """Raises InvalidRequest, TooLarge."""
        if self.text is not None:
            admission.check_text(self.text, most_characters)
        if self.importance is not None:
            admission.check_importance(self.importance)
        if self.metadata is not None:
            admission.check_metadata(self.metadata, most_characters)


def remember(
    connection: sqlite3.Connection,
    user: str,
    event_id: str,
    new: Sequence[NewMemory],
    vectors: Vectors | None,
    session: str,
    agent: str,
    identity: Identity,
    now: float,
    wanted: bool = False,
) -> Remembered:
    """See Keeper.remember; the memories have been checked. What was made is read back where it is wanted."""
    number = user_number(connection, user, create=True)
    if vectors is not None:
        width.check(connection, vectors, len(new))
    owner = owner_of(user)
    before = events.seen(connection, owner, event_id, REMEMBER)
    if before is not None:
        return Remembered(answered(connection, number, before))
    gone = tombs.of_event(connection, owner, event_id)
    if gone:
        return Remembered(tuple(Written(memory_id, "", "NONE") for memory_id in gone))
    batch = _Batch(connection, Place(number, session, agent, event_id, now), owner, identity)
    for row, memory in enumerate(new):
        batch.take(memory, None if vectors is None else vectors[row])
    batch.flush()
    written = tuple(batch.written)
    events.record(connection, owner, event_id, REMEMBER, [[one.id, one.event] for one in written])
    made = memories.some(connection, number, batch.made, now) if wanted else {}
    return Remembered(written, tuple(made[one] for one in batch.made if one in made), bool(batch.changed))


def answered(connection: sqlite3.Connection, user: int, result: Json) -> tuple[Written, ...]:
    """The answer of an earlier event; what was forgotten since has lost its text."""
    rows = connection.execute(
        "SELECT id, text FROM memories WHERE user = ? AND id IN (SELECT value FROM json_each(?))",
        (user, json.dumps([memory_id for memory_id, _ in result])),
    )
    texts = {row["id"]: row["text"] for row in rows}
    return tuple(
        Written(memory_id, texts[memory_id], event) if memory_id in texts else Written(memory_id, "", "NONE")
        for memory_id, event in result
    )


def update(
    connection: sqlite3.Connection, user: str, event_id: str, memory_id: str, edit: Edit, now: float
) -> Memory:
    """See Keeper.update_memory; the edit has been checked."""
    number, owner = user_number(connection, user), owner_of(user)
    memory = memories.number_of(connection, number, memory_id, now)
    if events.seen(connection, owner, event_id, UPDATE) is not None:
        return memories.get(connection, user, memory_id, now)
    if edit.vector is not None:
        width.check(connection, edit.vector[None], 1)
    row = connection.execute("SELECT * FROM memories WHERE number = ?", (memory,)).fetchone()
    if edit.text is not None and edit.text != row["text"]:
        _rewrite(connection, row, event_id, edit.text, edit.vector, now)
    elif edit.vector is not None:
        memories.put_vector(connection, memory, edit.vector)
        connection.execute("UPDATE memories SET embedded = 1 WHERE number = ?", (memory,))
        memory_index.embedded(connection, number, [memory])
    _set_columns(connection, row, edit, now)
    memory_index.touched(connection, number, [memory])
    events.record(connection, owner, event_id, UPDATE, memory_id)
    return memories.get(connection, user, memory_id, now)


def put_vectors(
    connection: sqlite3.Connection,
    user: str,
    memory_ids: Sequence[str],
    vectors: Vectors,
    handed: Mapping[str, str],
) -> None:
    """See Keeper.put_vectors; `handed` are the texts, by id, that were embedded, where that is known."""
    number = user_number(connection, user)
    width.check(connection, vectors, len(memory_ids))
    rows = connection.execute(
        "SELECT number, id, text FROM memories WHERE user = ? AND NOT embedded "
        "AND id IN (SELECT value FROM json_each(?))",
        (number, json.dumps(list(memory_ids))),
    )
    vector_of = dict(zip(memory_ids, vectors, strict=True))
    waiting = {
        row["number"]: vector_of[row["id"]]
        for row in rows.fetchall()
        if handed.get(row["id"], row["text"]) == row["text"]
    }
    for memory, vector in waiting.items():
        memories.put_vector(connection, memory, vector)
        connection.execute("UPDATE memories SET embedded = 1 WHERE number = ?", (memory,))
    if waiting:
        memory_index.embedded(connection, number, list(waiting))


class _Batch:
    """Memories of one write, put in rows together; a note waits until the notes before it are rows."""

    def __init__(self, connection: sqlite3.Connection, place: Place, owner: str, identity: Identity) -> None:
        self._connection = connection
        self._place = place
        self._owner = owner
        self._identity = identity
        self._waiting: list[tuple[str, NewMemory]] = []
        self._vectors: list[Vectors | None] = []
        self.written: list[Written] = []
        self.made: list[int] = []
        self.changed: set[int] = set()

    def take(self, memory: NewMemory, vector: Vectors | None) -> None:
        if memory.sources and tombs.among(self._connection, self._owner, memory.sources):
            self.written.append(Written("", "", "NONE"))
            return
        if memory.kind == "note":
            self.flush()
            held = _same_note(self._connection, self._place, memory.text)
            if held is not None:
                self.changed |= _say_again(self._connection, self._place, held, memory, vector)
                self.written.append(Written(held["id"], memory.text, "NONE"))
                return
        memory_id = memories.new_id(self._connection, self._identity, len(self._waiting))
        self._waiting.append((memory_id, memory))
        self._vectors.append(vector)
        self.written.append(Written(memory_id, memory.text, "ADD"))

    def flush(self) -> None:
        if self._waiting:
            done = memories.insert(self._connection, self._place, self._waiting, self._vectors)
            self.made += done.numbers
            self.changed |= done.changed.difference(self.made)
            self._waiting, self._vectors = [], []


def _same_note(connection: sqlite3.Connection, place: Place, text: str) -> sqlite3.Row | None:
    rows = connection.execute(
        "SELECT m.number, m.id, m.text, m.embedded FROM memories m WHERE user = ? AND digest = ? "
        "AND kind = 'note' AND session = ? AND archived_at IS NULL AND merged_into IS NULL "
        f"AND {memories.LIVE} ORDER BY number",
        (place.user, admission.digest(text), place.session, place.now),
    )
    same = admission.normalised(text)
    return next((row for row in rows if admission.normalised(row["text"]) == same), None)


def _say_again(
    connection: sqlite3.Connection, place: Place, held: sqlite3.Row, memory: NewMemory, vector: Vectors | None
) -> set[int]:
    """A note was restated: what it states holds from then on too, and it weighs and lasts as the stronger."""
    number = held["number"]
    said_at = place.now if memory.said_at is None else memory.said_at
    connection.execute(
        "UPDATE memories SET importance = max(importance, ?), pinned = max(pinned, ?), "
        "expires_at = max(expires_at, ?) WHERE number = ?",
        (memory.importance, memory.pinned, memory.expires_at, number),
    )
    changes.record(connection, number, "RESTATE", said_at, event_id=place.event_id)
    said = Said(number, held["text"], memory.speaker, memory.role, said_at)
    changed = facts.store(connection, place.user, [said], place.now)
    if vector is not None and not held["embedded"]:
        memories.put_vector(connection, number, vector)
        connection.execute("UPDATE memories SET embedded = 1 WHERE number = ?", (number,))
        memory_index.embedded(connection, place.user, [number])
    memory_index.touched(connection, place.user, [number])
    return changed | {number}


def _rewrite(
    connection: sqlite3.Connection,
    row: sqlite3.Row,
    event_id: str,
    text: str,
    vector: Vectors | None,
    now: float,
) -> None:
    user, memory = row["user"], row["number"]
    memory_index.removed(connection, user, [memory])
    merging.release(connection, user, memory)
    connection.execute("DELETE FROM memory_vectors WHERE memory = ?", (memory,))
    change = changes.record(connection, memory, "UPDATE", now, row["text"], text, event_id)
    connection.execute(
        "UPDATE memories SET text = ?, words = ?, digest = ?, embedded = ? WHERE number = ?",
        (text, len(text.split()), admission.digest(text), vector is not None, memory),
    )
    if vector is not None:
        memories.put_vector(connection, memory, vector)
    said = Said(memory, text, row["speaker"], row["role"], row["valid_from"])
    if row["kind"] != "summary":
        facts.revise(connection, user, said, change, now)
    memory_index.added(connection, user, [memory])


def _set_columns(connection: sqlite3.Connection, row: sqlite3.Row, edit: Edit, now: float) -> None:
    columns: dict[str, object] = {"updated_at": now}
    if edit.metadata is not None:
        columns["metadata"] = admission.stored(edit.metadata)
    if edit.importance is not None:
        columns["importance"] = edit.importance
    if edit.pinned is not None:
        columns["pinned"] = edit.pinned
    if edit.archived is not None and edit.archived != (row["archived_at"] is not None):
        columns["archived_at"] = now if edit.archived else None
        if edit.archived:
            changes.record(connection, row["number"], "ARCHIVE", now)
    connection.execute(
        f"UPDATE memories SET {', '.join(f'{name} = ?' for name in columns)} WHERE number = ?",
        (*columns.values(), row["number"]),
    )
