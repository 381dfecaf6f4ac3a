"""What of a user is searched: passages of documents, and memories; where their rows, words, vectors stand.

Knows no search: it is the description that the full text, the vectors and the vector cache share.
"""

from dataclasses import dataclass
from typing import NamedTuple

NEIGHBOURS = 1
"""Passages before and after that belong to a passage's window."""


class Table(NamedTuple):
    """A full-text index of each user: its name before the user's number, and the column of the view."""

    name: str
    column: str


@dataclass(frozen=True, slots=True)
class Space:
    """Names of tables and columns; none of them ever comes from outside."""

    name: str
    rows: str
    key: str
    vectors: str
    vector_key: str
    generation: str
    """Column of `users` that grows with every change."""
    collection: str
    """How the names of the vector cache's collections begin; the user's number follows."""
    view: str
    """How the names of the views that the full text is read from begin."""
    select: str
    """The view: `id`, and the columns of the tables, of the rows of `{user}`."""
    texts: tuple[Table, ...]
    vocabulary: str = ""
    """How the names of the tables that list each word's places in the first index begin; empty: none."""


PASSAGES = Space(
    *("passages", "chunks", "id", "vectors", "chunk", "generation", "user-", "passages_"),
    select=f"""
        SELECT c.id AS id, c.text AS text,
            f.filename || char(10) || c.heading || char(10) || (
                SELECT group_concat(n.text, char(10)) FROM (
                    SELECT text FROM chunks WHERE file = c.file AND ordinal
                    BETWEEN c.ordinal - {NEIGHBOURS} AND c.ordinal + {NEIGHBOURS} ORDER BY ordinal
                ) n
            ) AS window
        FROM chunks c JOIN files f ON f.number = c.file WHERE c.user = {{user}}""",
    texts=(Table("text_", "text"), Table("window_", "window")),
)
MEMORIES = Space(
    *("memories", "memories", "number", "memory_vectors", "memory", "memory_generation"),
    *("memories-", "remembered_"),
    select="SELECT number AS id, text FROM memories WHERE user = {user}",
    texts=(Table("memory_text_", "text"),),
    vocabulary="memory_words_",
)
SPACES = (PASSAGES, MEMORIES)
