"""Memories as records for JSON lines, and back. Knows no file and no HTTP."""

import json
import sqlite3
from collections.abc import Sequence
from operator import itemgetter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from actors.identity import Identity
from actors.memory import admission, changes, events, facts, memories, memory_index, tombs, width, writing
from actors.memory.facts import Said
from actors.memory.partitions import owner_of
from actors.memory.records import MemoryKind, Written
from actors.memory.users import user_number
from actors.memory.vectors import Vectors
from actors.messages import InvalidRequest, Json, TooLarge

IMPORT = "import"
Name = Annotated[str, Field(max_length=admission.LONGEST_NAME)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Change(_Part):
    event: str
    old: str | None = None
    new: str | None = None
    at: FiniteFloat
    event_id: str = ""


class _Fact(_Part):
    row: int = 0
    """Order in which statements were recorded; it decides between equal times."""
    subject: str
    slot: str
    value: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    holds: bool
    single: bool
    valid_from: FiniteFloat
    created_at: FiniteFloat
    change: int | None = None
    """Place in `history` of the edit that took it out of the text."""


class _Record(_Part):
    """One memory. Only a text is needed; what is missing is as for a new memory."""

    row: int = 0
    id: str | None = Field(None, pattern=r"^[\x21-\x7e]{1,128}$")
    kind: MemoryKind = "turn"
    text: str
    role: Name = "user"
    speaker: Name = ""
    session: Name = ""
    agent: Name = ""
    ordinal: int | None = Field(None, ge=0)
    said_at: FiniteFloat | None = None
    created_at: FiniteFloat | None = None
    updated_at: FiniteFloat | None = None
    importance: float = Field(0.5, ge=0, le=1)
    pinned: bool = False
    expires_at: FiniteFloat | None = None
    archived_at: FiniteFloat | None = None
    merged_into: str | None = None
    uses: int = Field(0, ge=0)
    used_at: FiniteFloat | None = None
    event_id: str = ""
    metadata: dict[str, Json] = Field(default_factory=dict)
    sources: tuple[Name, ...] = ()
    training: bool | None = None
    history: tuple[_Change, ...] = ()
    facts: tuple[_Fact, ...] | None = None
    """None: read from the text."""

    @model_validator(mode="after")
    def _changes_are_there(self) -> "_Record":
        if any(fact.change is not None and fact.change >= len(self.history) for fact in self.facts or ()):
            raise ValueError("a fact names a change that is not in the history")
        return self


def exported(connection: sqlite3.Connection, user: str, after: int, limit: int, now: float) -> list[Json]:
    """See Keeper.export_memories."""
    rows = connection.execute(
        "SELECT m.*, t.id AS target FROM memories m LEFT JOIN memories t ON t.number = m.merged_into "
        f"WHERE m.user = ? AND m.number > ? AND {memories.LIVE} ORDER BY m.number LIMIT ?",
        (user_number(connection, user), after, now, limit),
    )
    return [_exported(connection, row) for row in rows.fetchall()]


def checked(records: Sequence[Json], most_characters: int) -> list[_Record]:
    """Raises InvalidRequest, naming the record."""
    found = []
    for place, record in enumerate(records, start=1):
        try:
            found.append(_Record.model_validate(record))
            admission.check_text(found[-1].text, most_characters)
            admission.check_metadata(found[-1].metadata, most_characters)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise InvalidRequest(f"record {place}: {field}: {first['msg']}", param="records") from error
        except (InvalidRequest, TooLarge) as error:
            raise InvalidRequest(f"record {place}: {error.message}", param="records") from error
    return found


def imported(
    connection: sqlite3.Connection,
    user: str,
    event_id: str,
    records: Sequence[_Record],
    vectors: Vectors | None,
    identity: Identity,
    now: float,
) -> tuple[Written, ...]:
    """See Keeper.import_memories; the records have been checked. Runs inside a write transaction."""
    number, owner = user_number(connection, user, create=True), owner_of(user)
    if vectors is not None:
        width.check(connection, vectors, len(records))
    before = events.seen(connection, owner, event_id, IMPORT)
    if before is not None:
        return writing.answered(connection, number, before)
    forgotten = tombs.among(connection, owner, [record.id for record in records if record.id is not None])
    written: list[Written] = []
    fresh: dict[int, _Record] = {}
    for place, record in enumerate(records):
        if record.id is not None and (record.id in forgotten or _there(connection, number, record.id)):
            written.append(Written(record.id, record.text, "NONE"))
            continue
        memory_id = record.id or memories.new_id(connection, identity)
        vector = None if vectors is None else vectors[place]
        fresh[_insert(connection, number, memory_id, record, vector, event_id, now)] = record
        written.append(Written(memory_id, record.text, "ADD"))
    _connect(connection, number, fresh)
    if fresh:
        memory_index.added(connection, number, list(fresh))
    changed = _state(connection, number, fresh, now).difference(fresh)
    if changed:
        memory_index.touched(connection, number, sorted(changed))
    events.record(connection, owner, event_id, IMPORT, [[one.id, one.event] for one in written])
    return tuple(written)


def _exported(connection: sqlite3.Connection, row: sqlite3.Row) -> Json:
    history = connection.execute(
        "SELECT number, event, old, new, at, event_id FROM memory_changes WHERE memory = ? ORDER BY number",
        (row["number"],),
    ).fetchall()
    place_of = {change["number"]: place for place, change in enumerate(history)}
    stated = connection.execute(
        'SELECT number AS row, subject, slot, value, start, "end", holds, single, valid_from, created_at, '
        "change FROM memory_facts WHERE memory = ? ORDER BY number",
        (row["number"],),
    )
    sources = connection.execute("SELECT source FROM memory_sources WHERE memory = ?", (row["number"],))
    return {
        "row": row["number"],
        **{name: row[name] for name in _SAME},
        "said_at": row["valid_from"],
        "pinned": bool(row["pinned"]),
        "training": None if row["training"] is None else bool(row["training"]),
        "merged_into": row["target"],
        "metadata": json.loads(row["metadata"]),
        "sources": [source["source"] for source in sources],
        "history": [{name: change[name] for name in _Change.model_fields} for change in history],
        "facts": [
            {
                **dict(fact),
                "holds": bool(fact["holds"]),
                "single": bool(fact["single"]),
                "change": place_of.get(fact["change"]),
            }
            for fact in stated
        ],
    }


_SAME = (
    "id", "kind", "text", "role", "speaker", "session", "agent", "ordinal", "created_at", "updated_at",
    "importance", "expires_at", "archived_at", "uses", "used_at", "event_id",
)  # fmt: skip


def _there(connection: sqlite3.Connection, user: int, memory_id: str) -> bool:
    row = connection.execute("SELECT 1 FROM memories WHERE user = ? AND id = ?", (user, memory_id)).fetchone()
    return row is not None


def _insert(
    connection: sqlite3.Connection,
    user: int,
    memory_id: str,
    record: _Record,
    vector: Vectors | None,
    event_id: str,
    now: float,
) -> int:
    """A row with its vector, sources and history; what it states and was merged into comes after."""
    created_at = now if record.created_at is None else record.created_at
    values = {
        **{name: getattr(record, name) for name in _SAME},
        "id": memory_id,
        "user": user,
        "ordinal": _ordinal(connection, user, record),
        "words": len(record.text.split()),
        "digest": admission.digest(record.text),
        "embedded": vector is not None,
        "valid_from": created_at if record.said_at is None else record.said_at,
        "created_at": created_at,
        "updated_at": created_at if record.updated_at is None else record.updated_at,
        "pinned": record.pinned,
        "training": record.training,
        "event_id": record.event_id or event_id,
        "metadata": admission.stored(record.metadata),
    }
    number = memories.put_row(connection, values)
    if vector is not None:
        memories.put_vector(connection, number, vector)
    memories.put_sources(connection, number, record.sources)
    return number


def _ordinal(connection: sqlite3.Connection, user: int, record: _Record) -> int:
    """The record's own place in its session where that is free, else the session's end."""
    if record.ordinal is not None:
        taken = connection.execute(
            "SELECT 1 FROM memories WHERE user = ? AND session = ? AND ordinal = ?",
            (user, record.session, record.ordinal),
        ).fetchone()
        if taken is None:
            return record.ordinal
    return memories.next_ordinal(connection, user, record.session)


def _connect(connection: sqlite3.Connection, user: int, fresh: dict[int, _Record]) -> None:
    """Merged notes point to what they were merged into, where that is there."""
    for number, record in fresh.items():
        if record.merged_into is not None:
            connection.execute(
                "UPDATE memories SET merged_into = (SELECT t.number FROM memories t WHERE t.user = ? "
                "AND t.id = ? AND t.number <> ?) WHERE number = ?",
                (user, record.merged_into, number, number),
            )


def _state(connection: sqlite3.Connection, user: int, fresh: dict[int, _Record], now: float) -> set[int]:
    """Put what the memories state in its place in time; all memories whose facts changed."""
    slots: set[facts.Slot] = set()
    said: list[Said] = []
    stated: list[tuple[int, dict[str, object]]] = []
    for number, record in fresh.items():
        edits = [changes.record(connection, number, **change.model_dump()) for change in record.history]
        if record.facts is None and record.kind != "summary":
            (moment,) = connection.execute(
                "SELECT valid_from FROM memories WHERE number = ?", (number,)
            ).fetchone()
            said.append(Said(number, record.text, record.speaker, record.role, moment))
        for fact in record.facts or ():
            values = {
                **fact.model_dump(exclude={"change", "row"}),
                "user": user,
                "memory": number,
                "change": None if fact.change is None else edits[fact.change],
            }
            stated.append((fact.row, values))
            slots.add((fact.subject, fact.slot))
    for _, values in sorted(stated, key=itemgetter(0)):
        facts.put_row(connection, values)
    return facts.retime(connection, user, slots) | facts.store(connection, user, said, now)
