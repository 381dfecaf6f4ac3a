"""Finds notes that say the same and hides the older behind the newest. Knows no schedule and no search.

Every function runs inside a write transaction.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from actors.memory import admission, changes, memories, memory_index
from actors.memory.timeline import value_words
from actors.memory.words import words_of

Statement = tuple[str, str, frozenset[str]]
SPARE_WORDS = 1
"""Content words of a note that the one it is merged into need not have, where both state the same facts."""


class Note(NamedTuple):
    """A note that may be merged: it holds, does not expire, and is not archived."""

    number: int
    id: str
    text: str
    agent: str
    stated: frozenset[Statement]


def merge(connection: sqlite3.Connection, user: int, most: int, now: float) -> list[str]:
    """Merge at most so many notes; the ids that are hidden now. None: there is nothing left to merge.

    The newest of those that say the same stays, since its facts hold longest; it gets the ids of the others
    and their sources, their uses, and the greatest of their weights. Texts and facts of all are kept.
    """
    merged: list[str] = []
    for kept, other in _pairs(_notes(connection, user)):
        if len(merged) == most:
            break
        _hide(connection, other, kept, now)
        memory_index.touched(connection, user, [other.number, kept.number])
        merged.append(other.id)
    return merged


def release(connection: sqlite3.Connection, user: int, kept: int) -> None:
    """Show again what was merged into a note: its text changes, and says the same no longer."""
    rows = connection.execute(
        "UPDATE memories SET merged_into = NULL WHERE merged_into = ? RETURNING number", (kept,)
    ).fetchall()
    if rows:
        memory_index.touched(connection, user, [row["number"] for row in rows])


def _pairs(notes: list[Note]) -> Iterator[tuple[Note, Note]]:
    """Each note that says what a newer one says, after the newest such; `notes` are newest first."""
    by_text: dict[tuple[str, str], Note] = {}
    by_facts: dict[tuple[str, frozenset[Statement]], list[Note]] = {}
    for note in notes:
        text = (note.agent, admission.normalised(note.text))
        alike = by_facts.setdefault((note.agent, note.stated), []) if note.stated else []
        kept = by_text.get(text) or next((one for one in alike if _says_all(one.text, note.text)), None)
        if kept is not None:
            yield kept, note
            continue
        by_text[text] = note
        alike.append(note)


def _notes(connection: sqlite3.Connection, user: int) -> list[Note]:
    stated: dict[int, set[Statement]] = {}
    ended: set[int] = set()
    for row in connection.execute(
        "SELECT f.memory, f.subject, f.slot, f.value, f.valid_to FROM memory_facts f "
        "JOIN memories m ON m.number = f.memory "
        "WHERE m.user = ? AND m.kind = 'note' AND f.holds AND f.change IS NULL",
        (user,),
    ):
        stated.setdefault(row["memory"], set()).add((row["subject"], row["slot"], value_words(row["value"])))
        if row["valid_to"] is not None:
            ended.add(row["memory"])
    rows = connection.execute(
        "SELECT number, id, text, agent FROM memories WHERE user = ? AND kind = 'note' "
        "AND merged_into IS NULL AND archived_at IS NULL AND expires_at IS NULL "
        "ORDER BY valid_from DESC, number DESC",
        (user,),
    )
    return [
        Note(row["number"], row["id"], row["text"], row["agent"], frozenset(stated.get(row["number"], ())))
        for row in rows
        if row["number"] not in ended
    ]


def _says_all(kept: str, other: str) -> bool:
    said = {word.stem for word in words_of(kept)}
    spare = {word.stem for word in words_of(other) if not word.stop} - said
    return len(spare) <= SPARE_WORDS and not any(
        word.number or word.capital for word in words_of(other) if word.stem in spare
    )


def _hide(connection: sqlite3.Connection, other: Note, kept: Note, now: float) -> None:
    sources = connection.execute("SELECT source FROM memory_sources WHERE memory = ?", (other.number,))
    memories.put_sources(connection, kept.number, [other.id, *(row["source"] for row in sources.fetchall())])
    connection.execute(
        "UPDATE memories AS kept SET importance = max(kept.importance, other.importance), "
        "pinned = max(kept.pinned, other.pinned), uses = kept.uses + other.uses, "
        "used_at = coalesce(max(kept.used_at, other.used_at), kept.used_at, other.used_at) "
        "FROM memories AS other WHERE kept.number = ? AND other.number = ?",
        (kept.number, other.number),
    )
    connection.execute(
        "UPDATE memories SET merged_into = ? WHERE number = ? OR merged_into = ?",
        (kept.number, other.number, other.number),
    )
    changes.record(connection, other.number, "MERGE", now)
