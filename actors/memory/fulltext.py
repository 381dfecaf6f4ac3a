"""One user's full-text indexes: FTS5 over the rows of a space. Knows no vector and no ranking.

Each user has index tables of their own, so that one user's words neither slow nor sway another's search. All
are external-content tables over a view, so text is stored once, and SQLite can compare index and truth.
"""

import json
import sqlite3
import threading
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from actors.memory.spaces import PASSAGES, Space
from actors.memory.vectors import among

Numbers = NDArray[np.int64]
TOKENIZER = "porter unicode61 remove_diacritics 2"
_STRUCTURE = 10
"""Row of an FTS5 data table that describes the index's levels and segments."""
SECURE_DELETE = sqlite3.sqlite_version_info >= (3, 42)
"""Older FTS5 keeps deleted words in old segments until these are merged; `scrub` then merges them all."""
WORN_BYTES = 1000
"""Length of FTS5's own description of an index from which `scrub` builds it anew: before 3.42 every merge of
all segments adds two levels to it, and from 2,000 levels on FTS5 takes the index for corrupt."""


KNOWN_TERMS = 10_000
"""Terms whose spelling is kept at hand."""


def exists(connection: sqlite3.Connection, user: int, space: Space = PASSAGES) -> bool:
    """Whether the user has an index of that space (one with nothing in it has none)."""
    name = f"{space.texts[0].name}{int(user)}"
    row = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    return row is not None


def create(connection: sqlite3.Connection, user: int, space: Space = PASSAGES) -> None:
    """Make the user's index tables, empty."""
    view = f"{space.view}{int(user)}"
    connection.execute(f"CREATE VIEW {view} AS {space.select.format(user=int(user))}")
    for table, column in _tables(user, space):
        connection.execute(
            f"CREATE VIRTUAL TABLE {table} USING fts5({column}, content='{view}', "
            f"content_rowid='id', tokenize='{TOKENIZER}')"
        )
        if SECURE_DELETE:
            connection.execute(f"INSERT INTO {table}({table}, rank) VALUES ('secure-delete', 1)")
    if space.vocabulary:
        table = f"{space.vocabulary}{int(user)}"
        connection.execute(
            f"CREATE VIRTUAL TABLE {table} USING fts5vocab({space.texts[0].name}{int(user)}, instance)"
        )


def drop(connection: sqlite3.Connection, user: int, space: Space = PASSAGES) -> None:
    """Remove the user's index."""
    if space.vocabulary:
        connection.execute(f"DROP TABLE {space.vocabulary}{int(user)}")
    for table, _ in _tables(user, space):
        connection.execute(f"DROP TABLE {table}")
    connection.execute(f"DROP VIEW {space.view}{int(user)}")


def add(connection: sqlite3.Connection, user: int, numbers: Sequence[int], space: Space = PASSAGES) -> None:
    """Index rows that were just inserted."""
    for table, column in _tables(user, space):
        connection.execute(
            f"INSERT INTO {table}(rowid, {column}) SELECT v.id, v.{column} {_rows(user, space)}",
            (json.dumps(list(numbers)),),
        )


def remove(
    connection: sqlite3.Connection, user: int, numbers: Sequence[int], space: Space = PASSAGES
) -> None:
    """Take rows out of the index; call before they are deleted or changed."""
    for table, column in _tables(user, space):
        connection.execute(
            f"INSERT INTO {table}({table}, rowid, {column}) SELECT 'delete', v.id, v.{column} "
            f"{_rows(user, space)}",
            (json.dumps(list(numbers)),),
        )


def scrub(connection: sqlite3.Connection, user: int, space: Space = PASSAGES) -> None:
    """Leave no removed word in the index's pages: call after `remove`, in the same transaction."""
    if SECURE_DELETE:
        return
    for table, _ in _tables(user, space):
        (worn,) = connection.execute(
            f"SELECT length(block) > {WORN_BYTES} FROM {table}_data WHERE id = {_STRUCTURE}"
        ).fetchone()
        connection.execute(f"INSERT INTO {table}({table}) VALUES ('{'rebuild' if worn else 'optimize'}')")


def check(connection: sqlite3.Connection, user: int, space: Space = PASSAGES) -> bool:
    """Whether every index of the space holds exactly what its rows say."""
    try:
        for table, _ in _tables(user, space):
            connection.execute(f"INSERT INTO {table}({table}, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError:
        return False
    return True


def rebuild(connection: sqlite3.Connection, user: int, space: Space = PASSAGES) -> None:
    """Build every index of the space anew from its rows."""
    for table, _ in _tables(user, space):
        connection.execute(f"INSERT INTO {table}({table}) VALUES ('rebuild')")


def expression(terms: Sequence[str]) -> str:
    """An FTS5 query that any of the terms satisfies; each is a quoted string, whatever characters it has."""
    quoted = ('"' + _sendable(term).replace('"', '""') + '"' for term in terms)
    return " OR ".join(dict.fromkeys(quoted))


def occurrences(connection: sqlite3.Connection, user: int, term: str, space: Space) -> Numbers:
    """The row of every place where a term stands, ascending; of a term of several words, each row once.

    One text is passed on rather than a row a place: a common word stands in many thousands of rows.
    """
    words = spelt([term])[term]
    if len(words) == 1:
        query = f"SELECT group_concat(doc) FROM {space.vocabulary}{int(user)} WHERE term = ?"
        parameter = words[0]
    else:
        table = f"{space.texts[0].name}{int(user)}"
        query = f"SELECT group_concat(rowid) FROM {table} WHERE {table} MATCH ?"
        parameter = expression([term])
    (found,) = connection.execute(query, (parameter,)).fetchone() if words else (None,)
    return np.fromstring(found or "", dtype=np.int64, sep=",")


def frequency(connection: sqlite3.Connection, user: int, term: str, files: Sequence[int] | None) -> int:
    """Passages that hold the term, among the given files or all of the user's."""
    table = f"text_{int(user)}"
    joined, parameters = _within(table, files)
    (count,) = connection.execute(
        f"SELECT count(*) FROM {table} {joined} WHERE {table} MATCH ?", (*parameters, expression([term]))
    ).fetchone()
    return int(count)


def best(
    connection: sqlite3.Connection,
    user: int,
    column: str,
    terms: Sequence[str],
    files: Sequence[int] | None,
    limit: int,
) -> dict[int, float]:
    """The best passages by BM25 of "text" or "window": passage id → score, higher is better."""
    table = f"{column}_{int(user)}"
    joined, parameters = _within(table, files)
    rows = connection.execute(
        f"SELECT {table}.rowid, -bm25({table}) AS score FROM {table} {joined} "
        f"WHERE {table} MATCH ? ORDER BY score DESC, {table}.rowid LIMIT ?",
        (*parameters, expression(terms), limit),
    )
    return {row[0]: row[1] for row in rows}


def scores(
    connection: sqlite3.Connection, user: int, column: str, terms: Sequence[str], passages: Sequence[int]
) -> dict[int, float]:
    """BM25 of given passages; those that hold no term are left out.

    The plus sign keeps SQLite from running the whole query once for each passage.
    """
    if not passages:
        return {}
    table = f"{column}_{int(user)}"
    rows = connection.execute(
        f"SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ? "
        "AND +rowid IN (SELECT value FROM json_each(?))",
        (expression(terms), json.dumps(list(passages))),
    )
    return {row[0]: row[1] for row in rows}


class _Speller:
    """An index of some texts, in memory, that shows what words FTS5 makes of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, ...]] = {}
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.execute(f"CREATE VIRTUAL TABLE said USING fts5(text, tokenize='{TOKENIZER}')")
        self._connection.execute("CREATE VIRTUAL TABLE words USING fts5vocab(said, instance)")

    def words(self, terms: Sequence[str]) -> dict[str, tuple[str, ...]]:
        with self._lock:
            if len(self._known) > KNOWN_TERMS:
                self._known.clear()
            unknown = [term for term in dict.fromkeys(terms) if term not in self._known]
            if unknown:
                self._known |= self._read(unknown)
            return {term: self._known[term] for term in terms}

    def _read(self, terms: Sequence[str]) -> dict[str, tuple[str, ...]]:
        said: list[list[str]] = [[] for _ in terms]
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT INTO said (rowid, text) VALUES (?, ?)",
            [(place, _sendable(term)) for place, term in enumerate(terms)],
        )
        for place, word in self._connection.execute("SELECT doc, term FROM words ORDER BY doc, offset"):
            said[place].append(word)
        self._connection.execute("ROLLBACK")
        return {term: tuple(words) for term, words in zip(terms, said, strict=True)}


_speller = cache(_Speller)


def spelt(terms: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each term's words as the index spells them: lower case, no accents, stemmed."""
    return _speller().words(terms)


def _within(table: str, files: Sequence[int] | None) -> tuple[str, tuple[str, ...]]:
    if files is None:
        return "", ()
    condition, parameters = among(files)
    return f"CROSS JOIN chunks c ON c.id = {table}.rowid{condition}", parameters


def _tables(user: int, space: Space) -> list[tuple[str, str]]:
    return [(f"{table.name}{int(user)}", table.column) for table in space.texts]


def _rows(user: int, space: Space) -> str:
    """The numbers first, so that a view over much is asked for few."""
    return f"FROM json_each(?) wanted CROSS JOIN {space.view}{int(user)} v ON v.id = wanted.value"


def _sendable(term: str) -> str:
    return term.encode("utf-8", "replace").decode().replace("\0", " ")
