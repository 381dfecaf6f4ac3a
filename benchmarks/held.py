"""Turns held in memory as ranking's Source: full text in SQLite, vectors in numpy. Knows no keeper."""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.memory.fulltext import TOKENIZER, expression
from actors.memory.source import Columns, Hits, Vectors
from actors.memory.words import tokens
from actors.models.encoder import Encoder
from benchmarks.locomo import Turn

BATCH = 8


class Vectorised:
    """An encoder that keeps what it computed, in a file too when one is given."""

    def __init__(self, encoder: Encoder, cache: Path | None = None) -> None:
        self._encoder = encoder
        self._cache = cache
        self._known: dict[str, Vectors] = {}
        if cache is not None and cache.is_file():
            with np.load(cache) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit-length vectors, shape (len(texts), dimensions)."""
        keys = [hashlib.sha256(text.encode()).hexdigest()[:24] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        by_length = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(by_length), BATCH):
            some = by_length[start : start + BATCH]
            found = self._encoder.vectors(self._encoder.tokens([missing[key] for key in some]))
            self._known |= dict(zip(some, found, strict=True))
        return np.array([self._known[key] for key in keys], np.float32)

    def save(self) -> None:
        """Write all to the file, if there is one."""
        if self._cache is not None:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            np.savez(
                self._cache, keys=np.array(list(self._known)), vectors=np.array(list(self._known.values()))
            )


class Held:
    """A Source over some turns. `vectors` is None for a memory without an embedder."""

    def __init__(self, turns: Sequence[Turn], vectors: Vectors | None) -> None:
        self.turns = sorted(turns, key=lambda turn: (turn.session, turn.ordinal))
        order = {id(turn): place for place, turn in enumerate(turns)}
        self._vectors = None if vectors is None else vectors[[order[id(turn)] for turn in self.turns]]
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
        return self._vectors[np.asarray(rows, np.int64)]

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
    sessions = list(dict.fromkeys(turn.session for turn in turns))
    return Columns(
        numbers=np.arange(1, len(turns) + 1, dtype=np.int64),
        session=np.array([sessions.index(turn.session) for turn in turns], np.int32),
        ordinal=np.array([turn.ordinal for turn in turns], np.int32),
        speaker=np.array([speakers.index(turn.speaker.lower()) for turn in turns], np.int32),
        speakers=speakers,
        words=np.array([len(tokens(turn.text)) for turn in turns], np.int32),
        said_at=np.array([turn.said_at for turn in turns], np.float64),
        importance=np.full(len(turns), 0.5, np.float32),
    )
