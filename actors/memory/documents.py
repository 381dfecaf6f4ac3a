"""What ranking may ask of one user's documents: words, vectors, passages. Knows no ranking and no writing."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from actors.memory import fulltext, vectors, width
from actors.memory.proposing import EXACT_LIMIT, Proposer, nearest_of_many
from actors.memory.spaces import PASSAGES
from actors.memory.vectors import Matrices, Vectors
from actors.messages import InvalidRequest, KeepScores, NotFound


class LexicalHit(NamedTuple):
    """A passage whose window holds at least one term, with BM25 of both (higher is better; 0: no term)."""

    chunk_id: int
    text: float
    window: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """A stored passage: `document_text[start:end] == text`; `ordinal` counts from 0 in its document."""

    id: int
    document_id: str
    filename: str
    media_type: str
    ordinal: int
    start: int
    end: int
    heading: str
    text: str


class DocumentStore:
    """Reads on one connection, each within one user's documents.

    Used by one thread inside one read transaction, so that all answers come from the same moment.
    `user` is never empty; `store_ids` None means all of the user's documents; stores that are not the user's
    are NotFound.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        matrices: Matrices,
        proposer: Proposer | None = None,
        exact_limit: int = EXACT_LIMIT,
    ) -> None:
        self._connection = connection
        self._matrices = matrices
        self._proposer = proposer
        self._exact_limit = exact_limit

    def lexical(
        self, user: str, terms: Sequence[str], store_ids: Sequence[str] | None, limit: int
    ) -> list[LexicalHit]:
        """Passages that hold any of the terms: the `limit` best by text and the `limit` best by window.

        Terms are plain words; whatever characters they have, none is taken for query syntax. A term of
        several words matches them as a phrase. Best window score first.
        """
        number, files = self._scope(user, store_ids)
        if number is None or not terms or files == [] or not fulltext.exists(self._connection, number):
            return []
        found = {
            column: fulltext.best(self._connection, number, column, terms, files, limit)
            for column in ("text", "window")
        }
        everything = list(found["text"].keys() | found["window"].keys())
        for column, known in found.items():
            missing = [chunk for chunk in everything if chunk not in known]
            known |= fulltext.scores(self._connection, number, column, terms, missing)
        hits = (LexicalHit(c, found["text"].get(c, 0.0), found["window"].get(c, 0.0)) for c in everything)
        return sorted(hits, key=lambda hit: (-hit.window, -hit.text, hit.chunk_id))

    def nearest(
        self, user: str, vector: Vectors, store_ids: Sequence[str] | None, limit: int
    ) -> list[tuple[int, float]]:
        """The `limit` passages of highest cosine to a unit vector (shape (dimensions,)), best first."""
        number, files = self._scope(user, store_ids)
        if number is None or files == []:
            return []
        size = self._count(number, files)
        if size == 0:
            return []
        width.check_query(self._connection, vector)
        if size > self._exact_limit:
            return nearest_of_many(self._connection, self._proposer, PASSAGES, number, vector, limit, files)
        if files is not None and self._count(number, None) > self._exact_limit:
            return vectors.nearest_streamed(self._connection, number, vector, files, limit)
        return vectors.nearest(self._matrices.of(self._connection, number), vector, files, limit)

    def cosines(self, user: str, vector: Vectors, chunk_ids: Sequence[int]) -> dict[int, float]:
        """Cosine of each given passage to a unit vector; ids that are not the user's are left out."""
        number = self._user(user)
        if number is None or not chunk_ids:
            return {}
        ids, rows = vectors.stored(self._connection, number, chunk_ids)
        if not len(ids):
            return {}
        width.check_query(self._connection, vector)
        return {int(chunk): float(cosine) for chunk, cosine in zip(ids, rows @ vector, strict=True)}

    def embeddings(self, user: str, chunk_ids: Sequence[int]) -> dict[int, Vectors]:
        """The stored vector of each given passage, shape (dimensions,)."""
        number = self._user(user)
        if number is None or not chunk_ids:
            return {}
        ids, rows = vectors.stored(self._connection, number, chunk_ids)
        return {int(chunk): row for chunk, row in zip(ids, rows, strict=True)}

    def chunks(self, user: str, chunk_ids: Sequence[int]) -> list[ChunkRow]:
        """The given passages in the order asked; ids that are not the user's are left out."""
        number = self._user(user)
        rows = self._connection.execute(
            'SELECT c.id, f.id AS document_id, f.filename, f.media_type, c.ordinal, c.start, c."end", '
            "c.heading, c.text FROM chunks c JOIN files f ON f.number = c.file "
            "WHERE c.user = ? AND c.id IN (SELECT value FROM json_each(?))",
            (number, json.dumps(list(chunk_ids))),
        )
        found = {row["id"]: ChunkRow(**dict(row)) for row in rows}
        return [found[chunk] for chunk in chunk_ids if chunk in found]

    def keep_scores(self, chunk_ids: Sequence[int]) -> dict[int, KeepScores]:
        """What is stored of each given passage; those without keep-scores are left out."""
        rows = self._connection.execute(
            "SELECT chunk, policy, scores FROM keep_scores WHERE chunk IN (SELECT value FROM json_each(?))",
            (json.dumps(list(chunk_ids)),),
        )
        return {row["chunk"]: KeepScores(row["policy"], row["scores"]) for row in rows}

    def leads(self, user: str, document_ids: Sequence[str], characters: int) -> dict[str, str]:
        """How each given document begins: the first characters of its first passage."""
        number = self._user(user)
        marks = ",".join("?" * len(document_ids))
        rows = self._connection.execute(
            "SELECT f.id, substr(c.text, 1, ?) AS lead FROM chunks c JOIN files f ON f.number = c.file "
            f"WHERE c.user = ? AND c.ordinal = 0 AND f.id IN ({marks})",
            (characters, number, *document_ids),
        )
        return {row["id"]: row["lead"] for row in rows}

    def chunk_count(self, user: str, store_ids: Sequence[str] | None) -> int:
        """How many passages there are to search in."""
        number, files = self._scope(user, store_ids)
        return 0 if number is None else self._count(number, files)

    def frequencies(self, user: str, terms: Sequence[str], store_ids: Sequence[str] | None) -> dict[str, int]:
        """For each term, how many passages' own text holds it (after stemming, as the index sees it)."""
        number, files = self._scope(user, store_ids)
        if number is None or files == [] or not fulltext.exists(self._connection, number):
            return dict.fromkeys(terms, 0)
        return {term: fulltext.frequency(self._connection, number, term, files) for term in terms}

    def _scope(self, user: str, store_ids: Sequence[str] | None) -> tuple[int | None, list[int] | None]:
        number = self._user(user)
        if store_ids is None:
            return number, None
        rows = self._connection.execute(
            "SELECT number, id FROM stores WHERE user = ? AND id IN (SELECT value FROM json_each(?))",
            (number, json.dumps(list(store_ids))),
        ).fetchall()
        known = {row["id"]: row["number"] for row in rows}
        for store_id in store_ids:
            if store_id not in known:
                raise NotFound(f"no vector store {store_id!r}", param="vector_store_ids")
        files = self._connection.execute(
            "SELECT DISTINCT file FROM store_files WHERE store IN (SELECT value FROM json_each(?))",
            (json.dumps(list(known.values())),),
        )
        return number, [row["file"] for row in files]

    def _user(self, user: str) -> int | None:
        if not user:
            raise InvalidRequest("a user is needed: documents are never read without one", param="user")
        row = self._connection.execute("SELECT id FROM users WHERE name = ?", (user,)).fetchone()
        return None if row is None else int(row["id"])

    def _count(self, user: int, files: Sequence[int] | None) -> int:
        condition, parameters = vectors.among(files)
        row = self._connection.execute(
            f"SELECT count(*) FROM chunks c WHERE c.user = ?{condition}", (user, *parameters)
        ).fetchone()
        return int(row[0])
