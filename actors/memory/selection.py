"""Which memories a request to forget is about, and which go with them. Deletes nothing."""

import json
import sqlite3
import unicodedata
from collections.abc import Iterable

from actors.memory.records import Forgetting
from actors.memory.words import tokens
from actors.messages import InvalidRequest


def check(what: Forgetting) -> None:
    """Raises InvalidRequest without a condition, and for one that could not mean anything."""
    bounds = (what.session, what.agent, what.matching, what.before)
    conditions = bool(what.ids) or any(bound is not None for bound in bounds)
    if not conditions and not what.everything:
        raise InvalidRequest("say what is to be forgotten: ids, a session, words, a time, or everything")
    if conditions and what.everything:
        raise InvalidRequest("everything is forgotten without further conditions")
    if what.matching is not None and not _words(what.matching):
        raise InvalidRequest("`matching` has no word in it", param="matching")


def chosen(connection: sqlite3.Connection, user: int, what: Forgetting) -> list[int]:
    """The rows that are to go, ascending: all that meets every condition, and what holds the same words.

    A summary goes with each of its sources, for it says what they said; so do notes that were merged.
    """
    values = {
        "user": user,
        "session": what.session,
        "agent": what.agent,
        "before": what.before,
        "ids": json.dumps(list(what.ids)),
    }
    conditions = ["user = :user"]
    conditions += ["session = :session"] if what.session is not None else []
    conditions += ["agent = :agent"] if what.agent is not None else []
    conditions += ["valid_from < :before"] if what.before is not None else []
    conditions += ["id IN (SELECT value FROM json_each(:ids))"] if what.ids else []
    rows = connection.execute(
        f"SELECT number, text FROM memories WHERE {' AND '.join(conditions)} ORDER BY number", values
    )
    if what.matching is None:
        return _with_others(connection, user, (row["number"] for row in rows))
    wanted = _words(what.matching)
    held = (row["number"] for row in rows if _holds(connection, row, wanted))
    return _with_others(connection, user, held)


def says(text: str, matching: str) -> bool:
    """Whether a text holds all the words of `matching`, as a memory's must to be forgotten with them."""
    return _says(text, _words(matching))


def _words(text: str) -> frozenset[str]:
    return frozenset(tokens(unicodedata.normalize("NFKC", text)))


def _holds(connection: sqlite3.Connection, row: sqlite3.Row, wanted: frozenset[str]) -> bool:
    """Whether a memory's text, or one that it had before, holds all of the words."""
    if _says(row["text"], wanted):
        return True
    former = connection.execute(
        "SELECT old FROM memory_changes WHERE memory = ? AND old IS NOT NULL", (row["number"],)
    )
    return any(_says(change["old"], wanted) for change in former)


def _says(text: str, wanted: frozenset[str]) -> bool:
    """Words stand whole; those of scripts written without spaces may stand in others."""
    missing = wanted - _words(text)
    plain = unicodedata.normalize("NFKC", text).casefold()
    return not missing or all(not word.isascii() and word in plain for word in missing)


def _with_others(connection: sqlite3.Connection, user: int, chosen: Iterable[int]) -> list[int]:
    found: set[int] = set()
    fresh = set(chosen)
    while fresh:
        found |= fresh
        rows = connection.execute(_OTHERS, {"user": user, "chosen": json.dumps(sorted(fresh))})
        fresh = {row[0] for row in rows} - found
    return sorted(found)


_OTHERS = """
WITH chosen AS (SELECT number, id, merged_into FROM memories
    WHERE number IN (SELECT value FROM json_each(:chosen)))
SELECT s.memory FROM chosen c JOIN memory_sources s ON s.source = c.id
    JOIN memories m ON m.number = s.memory WHERE m.user = :user AND m.kind = 'summary'
UNION SELECT merged_into FROM chosen WHERE merged_into IS NOT NULL
UNION SELECT m.number FROM chosen c JOIN memories m ON m.merged_into = c.number
"""
