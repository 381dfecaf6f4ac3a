"""What was acknowledged of memories, and whether a database says the same. Knows no process and no Chroma."""

import hashlib
import random
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from actors.memory import facts
from actors.memory.records import Consolidated, Forgetting, Forgotten, Written

USERS = ("ann", "bob", "cid")
DIMENSIONS = 32
LETTERS = 20
MOST = 8
"""Memories in one write."""
Kind = Literal["remember", "update", "forget", "consolidate", "embed"]
PHRASES = (
    "I live in Varn now, {token}.",
    "My brother works as a {token}.",
    "We talked about the {token} harbour until late.",
    "I moved to Porto {token}.",
    "The {token} bridge was closed on Sunday.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One write. Its event id is its number: sent again it is the same event."""

    number: int
    kind: Kind
    user: str
    texts: tuple[str, ...] = ()
    note: bool = False
    embedded: bool = False
    session: str = ""
    memory_id: str = ""
    what: Forgetting | None = None

    @property
    def event_id(self) -> str:
        """What the keeper knows it by."""
        return f"event-{self.number}"


@dataclass(slots=True)
class Held:
    """A memory that was acknowledged: its text, those it had before, and whether it was given a vector."""

    text: str
    session: str
    note: bool
    embedded: bool
    past: list[str] = field(default_factory=list)
    merged: bool = False
    """Hidden behind another note that says the same."""


@dataclass(slots=True)
class Wrongs:
    """What differs from the ledger, counted."""

    lost: int = 0
    duplicates: int = 0
    wrong_text: int = 0
    wrong_vectors: int = 0
    wrong_facts: int = 0
    came_back: int = 0
    half_done: int = 0
    wrongly_merged: int = 0
    tombstones_lost: int = 0

    def total(self) -> int:
        """How many in all."""
        return sum(getattr(self, name) for name in type(self).__dataclass_fields__)


@dataclass(slots=True)
class Ledger:
    """Memories by user and id, and the one operation that may have been done or not."""

    held: dict[str, dict[str, Held]] = field(default_factory=lambda: {user: {} for user in USERS})
    doubtful: Operation | None = None
    done: list[Operation] = field(default_factory=list)
    forgotten: dict[str, set[str]] = field(default_factory=lambda: {user: set() for user in USERS})
    gone_texts: set[str] = field(default_factory=set)

    def acknowledge(self, operation: Operation, reply: Any) -> None:
        """The operation was done, and answered so."""
        mine = self.held[operation.user]
        if operation.kind == "remember":
            self._remembered(operation, reply)
        elif operation.kind == "update" and reply:
            held = mine[operation.memory_id]
            held.past.append(held.text)
            held.text, held.embedded = operation.texts[0], operation.embedded
        elif operation.kind == "forget":
            self._forgot(operation.user, reply)
        elif operation.kind == "consolidate":
            self._consolidated(operation.user, reply)
        elif operation.kind == "embed":
            for user, memory_id in reply:
                self.held[user][memory_id].embedded = True
        self.done.append(operation)
        self.doubtful = None

    def living(self) -> set[str]:
        """Every text that a memory has, or had before an edit."""
        return {
            text for mine in self.held.values() for one in mine.values() for text in (one.text, *one.past)
        }

    def targets(self, operation: Operation) -> set[str]:
        """Ids that a forgetting is about."""
        what, mine = operation.what, self.held[operation.user]
        if what is None or what.everything:
            return set(mine)
        if what.session is not None:
            return {memory_id for memory_id, one in mine.items() if one.session == what.session}
        if what.matching is not None:
            word = what.matching
            return {key for key, one in mine.items() if any(word in text for text in (one.text, *one.past))}
        return set(what.ids)

    def _remembered(self, operation: Operation, written: Iterable[Written]) -> None:
        for text, one in zip(operation.texts, written, strict=True):
            if one.event == "ADD":
                self.held[operation.user][one.id] = Held(
                    text, operation.session, operation.note, operation.embedded
                )

    def _forgot(self, user: str, done: Forgotten) -> None:
        for memory_id in done.memory_ids:
            self.forgotten[user].add(memory_id)
            one = self.held[user].pop(memory_id, None)
            if one is not None:
                self.gone_texts |= {one.text, *one.past}

    def _consolidated(self, user: str, done: Consolidated) -> None:
        for memory_id in done.merged:
            self.held[user][memory_id].merged = True


def operations(chance: random.Random, ledger: Ledger) -> Iterator[Operation]:
    """Endless, each made of what the ledger holds when it is asked for."""
    number = 0
    while True:
        user = chance.choice(USERS)
        kinds: list[Kind] = ["remember", "update", "forget", "consolidate", "embed"]
        (kind,) = chance.choices(kinds, (50, 18, 12, 8, 12))
        if kind in {"update", "forget"} and not ledger.held[user]:
            kind = "remember"
        yield _operation(chance, ledger, number, kind, user)
        number += 1


def _operation(chance: random.Random, ledger: Ledger, number: int, kind: Kind, user: str) -> Operation:
    if kind == "remember":
        count = chance.randint(1, MOST)
        return Operation(
            number=number,
            kind=kind,
            user=user,
            texts=tuple(_text(chance, number, part) for part in range(count)),
            note=chance.random() < 0.3,
            embedded=chance.random() < 0.6,
            session=f"session-{chance.randint(0, 5)}",
        )
    if kind == "update":
        memory_id, held = chance.choice(sorted(ledger.held[user].items()))
        notes = [one.text for one in ledger.held[user].values() if one.note and one is not held]
        same = held.note and notes and chance.random() < 0.5
        text = chance.choice(notes) if same else _text(chance, number, 0)
        return Operation(
            number=number,
            kind=kind,
            user=user,
            texts=(text,),
            memory_id=memory_id,
            embedded=chance.random() < 0.5,
        )
    if kind == "forget":
        return Operation(number=number, kind=kind, user=user, what=_what(chance, ledger, user))
    return Operation(number=number, kind=kind, user=user)


def _what(chance: random.Random, ledger: Ledger, user: str) -> Forgetting:
    memory_id, held = chance.choice(sorted(ledger.held[user].items()))
    (way,) = chance.choices(["ids", "session", "matching", "everything"], (70, 12, 14, 4))
    if way == "session":
        return Forgetting(session=held.session)
    if way == "matching":
        return Forgetting(matching=token_of(held.text))
    return Forgetting(everything=True) if way == "everything" else Forgetting(ids=(memory_id,))


def _text(chance: random.Random, number: int, part: int) -> str:
    drawn = hashlib.sha256(f"{number} {part}".encode()).digest()[:LETTERS]
    token = "tok" + "".join(chr(ord("a") + byte % 16) for byte in drawn)
    return chance.choice(PHRASES).format(token=token)


def token_of(text: str) -> str:
    """The word that no other text has, but where one was edited to say the same."""
    return next(word.strip(".") for word in text.split() if word.startswith("tok"))


def vector_of(text: str) -> NDArray[np.float32]:
    """A unit vector that only this text has, shape (DIMENSIONS,)."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def compare(connection: sqlite3.Connection, ledger: Ledger, wrongs: Wrongs) -> None:
    """Count what differs; what the doubtful operation may have changed must be changed wholly or not.

    What a doubtful forgetting took beyond what it named (notes merged with that) is known once it is
    acknowledged, and is then missing no more: a comparison without anything in doubt has to follow.
    """
    for user in USERS:
        rows = connection.execute(
            "SELECT m.id, m.text, m.event_id, m.kind, m.merged_into, v.vector FROM memories m "
            "JOIN users u ON u.id = m.user LEFT JOIN memory_vectors v ON v.memory = m.number "
            "WHERE u.name = ?",
            (user,),
        ).fetchall()
        _compare_user(user, {row["id"]: row for row in rows}, ledger, wrongs)
        _compare_tombstones(connection, user, ledger, wrongs)
    _compare_facts(connection, wrongs)


def _compare_user(user: str, stored: dict[str, sqlite3.Row], ledger: Ledger, wrongs: Wrongs) -> None:
    mine, doubtful = ledger.held[user], ledger.doubtful
    if doubtful is not None and doubtful.user != user and doubtful.kind != "embed":
        doubtful = None
    missing = mine.keys() - stored.keys()
    if doubtful is not None and doubtful.kind == "forget" and missing:
        wrongs.half_done += len(ledger.targets(doubtful) - missing)
        missing = set()
    wrongs.lost += len(missing)
    unknown = stored.keys() - mine.keys()
    wrongs.came_back += len(unknown & ledger.forgotten[user])
    if doubtful is not None and doubtful.kind == "remember":
        new = {memory_id for memory_id in unknown if stored[memory_id]["event_id"] == doubtful.event_id}
        texts = sorted(stored[memory_id]["text"] for memory_id in new)
        wrongs.half_done += bool(new) and texts != sorted(doubtful.texts)
        unknown -= new
    wrongs.duplicates += len(unknown - ledger.forgotten[user])
    for memory_id in mine.keys() & stored.keys():
        _compare_memory(memory_id, mine[memory_id], stored[memory_id], doubtful, wrongs)


def _compare_memory(
    memory_id: str, held: Held, row: sqlite3.Row, doubtful: Operation | None, wrongs: Wrongs
) -> None:
    texts, embedded = {held.text}, held.embedded
    if doubtful is not None and doubtful.kind == "update" and doubtful.memory_id == memory_id:
        texts, embedded = texts | set(doubtful.texts), False
    wrongs.wrong_text += row["text"] not in texts
    held.merged = row["merged_into"] is not None
    wrongs.wrongly_merged += held.merged and row["kind"] != "note"
    vector = row["vector"]
    wrong = embedded if vector is None else vector != vector_of(row["text"]).astype("<f4").tobytes()
    wrongs.wrong_vectors += bool(wrong)


def _compare_tombstones(connection: sqlite3.Connection, user: str, ledger: Ledger, wrongs: Wrongs) -> None:
    from actors.memory.partitions import owner_of

    rows = connection.execute(
        "SELECT memory_id FROM tombstones WHERE owner = ?", (owner_of(user),)
    ).fetchall()
    wrongs.tombstones_lost += len(ledger.forgotten[user] - {row["memory_id"] for row in rows})


def _compare_facts(connection: sqlite3.Connection, wrongs: Wrongs) -> None:
    """Timing every fact anew changes none; done in a transaction that is undone."""
    connection.execute("BEGIN")
    for row in connection.execute("SELECT id FROM users").fetchall():
        slots = connection.execute(
            "SELECT DISTINCT subject, slot FROM memory_facts WHERE user = ?", (row["id"],)
        )
        wanted = [(one["subject"], one["slot"]) for one in slots.fetchall()]
        wrongs.wrong_facts += len(facts.retime(connection, row["id"], wanted))
    connection.execute("ROLLBACK")
    wrongs.wrong_facts += len(connection.execute("PRAGMA foreign_key_check").fetchall())
