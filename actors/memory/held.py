"""Turns held in memory as ranking's Source: full text in SQLite, vectors in numpy. Knows no keeper."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory.fulltext import TOKENIZER, expression
from actors.memory.source import Columns, Hits, Vectors
from actors.memory.words import tokens


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said; `session` and `ordinal` order the turns."""

    id: str
    session: int
    ordinal: int
    speaker: str
    text: str
    said_at: float
    """Unix seconds."""


class Held:
    """A Source over some turns; `turns` are in the order of its rows.

    `vectors` are those of the turns as given, shape (len(turns), dimensions), or None without an embedder.
    """

    def __init__(self, turns: Sequence[Turn], vectors: Vectors | None) -> None:
        order = sorted(range(len(turns)), key=lambda one: (turns[one].session, turns[one].ordinal))
        self.turns = [turns[one] for one in order]
        self._vectors = None if vectors is None else vectors[order]
        self.columns = columns_of(self.turns)
        self.allowed: NDArray[np.bool_] = np.ones(len(turns), np.bool_)
        self._connection = sqlite3.connect(":memory:")
        self._connection.execute(f"CREATE VIRTUAL TABLE said USING fts5(text, tokenize='{TOKENIZER}')")
        self._connection.executemany(
            "INSERT INTO said(rowid, text) VALUES (?, ?)",
            [(place, turn.text) for place, turn in enumerate(self.turns)],
        )

    def hits(self, terms: Sequence[str]) -> Mapping[str, Hits]:
        """As in Source."""
        return {term: self._hits(term) for term in terms}

    def cosines(self, vector: Vectors) -> Vectors:
        """As in Source."""
        if self._vectors is None:
            return np.full(len(self.turns), np.nan, np.float32)
        found: Vectors = self._vectors @ vector
        return found

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """As in Source."""
        if self._vectors is None:
            return np.zeros((len(rows), 1), np.float32)
        found: Vectors = self._vectors[np.asarray(rows, np.int64)]
        return found

    def texts(self, rows: Sequence[int]) -> list[str]:
        """As in Source."""
        return [self.turns[row].text for row in rows]

    def _hits(self, term: str) -> Hits:
        found = self._connection.execute(
            "SELECT rowid, -bm25(said) FROM said WHERE said MATCH ? ORDER BY rowid", (expression([term]),)
        ).fetchall()
        return Hits(
            np.array([row for row, _ in found], np.int64), np.array([score for _, score in found], np.float32)
        )


def columns_of(turns: Sequence[Turn]) -> Columns:
    """The columns of turns that are sorted by session and ordinal."""
    speakers = tuple(dict.fromkeys(turn.speaker.lower() for turn in turns))
    names = {name: place for place, name in enumerate(speakers)}
    sessions = {session: place for place, session in enumerate(dict.fromkeys(turn.session for turn in turns))}
    return Columns(
        numbers=np.arange(1, len(turns) + 1, dtype=np.int64),
        session=np.array([sessions[turn.session] for turn in turns], np.int32),
        ordinal=np.array([turn.ordinal for turn in turns], np.int32),
        speaker=np.array([names[turn.speaker.lower()] for turn in turns], np.int32),
        speakers=speakers,
        words=np.array([len(tokens(turn.text)) for turn in turns], np.int32),
        said_at=np.array([turn.said_at for turn in turns], np.float64),
        importance=np.full(len(turns), 0.5, np.float32),
    )
