"""Chroma alone, in a process of its own: a collection for each user, in a directory. Knows no words.

python -m benchmarks.bare_chroma DIRECTORY
"""

import sys
from collections.abc import Sequence
from itertools import count
from typing import Any

import chromadb
from chromadb.config import Settings

from benchmarks.peers import Vectors, answer

BATCH = 5000
"""Chroma takes no more at once."""


class ChromaStore:
    """Texts with their vectors, found by cosine."""

    def __init__(self, directory: str) -> None:
        self._client = chromadb.PersistentClient(directory, Settings(anonymized_telemetry=False))
        self._collections: dict[str, Any] = {}
        self._numbers = count()

    def add(self, user: str, text: str, vector: list[float]) -> str:
        """As Store.add."""
        (added,) = self._put(user, [text], [vector])
        return added

    def fill(self, user: str, texts: Sequence[str], vectors: Vectors) -> list[str]:
        """As Store.fill."""
        return [
            one
            for start in range(0, len(texts), BATCH)
            for one in self._put(user, texts[start : start + BATCH], vectors[start : start + BATCH])
        ]

    def search(self, user: str, query: str, vector: list[float], limit: int) -> list[str]:
        """As Store.search."""
        found = self._collection(user).query(query_embeddings=[vector], n_results=limit, include=[])
        ids: list[str] = found["ids"][0]
        return ids

    def _put(self, user: str, texts: Sequence[str], vectors: Any) -> list[str]:
        ids = [str(next(self._numbers)) for _ in texts]
        self._collection(user).add(ids=ids, embeddings=vectors, documents=list(texts))
        return ids

    def _collection(self, user: str) -> Any:
        if user not in self._collections:
            self._collections[user] = self._client.create_collection(
                f"user-{user}", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
        return self._collections[user]


if __name__ == "__main__":
    answer(ChromaStore(sys.argv[1]), {"version": chromadb.__version__})
