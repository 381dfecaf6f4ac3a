"""What ranking asks of one user's memories: columns, words, vectors, texts. Knows no ranking and no SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Hits(NamedTuple):
    """The rows that hold one term: their places in the columns, ascending, and BM25 of that term alone."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Columns:
    """All of a user's memories by session and ordinal, so that neighbours stand together; each shape (N,).

    `session` numbers sessions from 0 by their first memory; `speaker` indexes `speakers`, lower-case names.
    """

    numbers: NDArray[np.int64]
    session: NDArray[np.int32]
    ordinal: NDArray[np.int32]
    speaker: NDArray[np.int32]
    speakers: tuple[str, ...]
    words: NDArray[np.int32]
    said_at: NDArray[np.float64]
    """Unix seconds."""
    importance: NDArray[np.float32]


class Source(Protocol):
    """Reads within one transaction; rows are places in `columns`."""

    @property
    def columns(self) -> Columns:
        """Every memory of the user, those that may not be answered with too: they are neighbours."""

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Shape (N,): which memories may be answered with (session, time, expiry, archive)."""

    def hits(self, terms: Sequence[str]) -> Mapping[str, Hits]:
        """The memories that hold each term (after stemming); a term of several words is a phrase."""

    def cosines(self, vector: Vectors) -> Vectors:
        """Cosine of every memory to a unit vector, shape (N,); NaN where it is not known."""

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """Stored vectors of rows, shape (len(rows), dimensions); zeros where there is none."""

    def texts(self, rows: Sequence[int]) -> list[str]:
        """The texts of rows."""
