"""mem0 alone, in a process and an environment of its own: adds without a model, vectors that it is given.

    DIRECTORY/bin/python -m benchmarks.bare_mem0 STATE dense|hybrid DIMENSIONS

`hybrid` adds mem0's own BM25 and lemmas to its vectors; it needs fastembed, spaCy and en_core_web_sm there.
Nothing is sent anywhere: telemetry is off, and no model is asked.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.peers import Vectors, answer

BATCH = 1000
COLLECTION = "memories"


class Given:
    """mem0's embedder: the vector that came with the text; `embed` takes the text to be the one in hand."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.vector: list[float] = []

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector in hand."""
        return self.vector

    def embed_batch(self, texts: Sequence[str], memory_action: str | None = None) -> list[list[float]]:
        """As mem0 asks it for entities; there are none where nothing is inferred."""
        return [self.vector for _ in texts]


class Mem0Store:
    """mem0 over local Qdrant on disk, `infer=False`."""

    def __init__(self, directory: Path, hybrid: bool, dimensions: int) -> None:
        os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": str(directory), "HF_HUB_OFFLINE": "1"}
        warnings.filterwarnings("ignore", "Payload indexes have no effect")
        from mem0 import Memory

        unused = {"provider": "openai", "config": {"api_key": "none is called"}}
        qdrant = {
            "collection_name": COLLECTION,
            "path": str(directory / "qdrant"),
            "embedding_model_dims": dimensions,
        }
        self._memory = Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": qdrant},
                "llm": unused,
                "embedder": unused,
                "history_db_path": str(directory / "history.db"),
            }
        )
        self._given = Given(self._memory.embedding_model.config)
        self._memory.embedding_model = self._given
        self._memory.vector_store._bm25_encoder = _bm25(directory) if hybrid else False
        if not hybrid:
            _no_spacy()

    def add(self, user: str, text: str, vector: list[float]) -> str:
        """As Store.add."""
        self._given.vector = vector
        said = self._memory.add([{"role": "user", "content": text}], user_id=user, infer=False)
        added: str = said["results"][0]["id"]
        return added

    def fill(self, user: str, texts: Sequence[str], vectors: Vectors) -> list[str]:
        """As Store.fill: what `add` stores of each, in few calls, and no history."""
        from mem0.utils.lemmatization import lemmatize_for_bm25

        ids = [str(uuid4()) for _ in texts]
        for start in range(0, len(texts), BATCH):
            some = slice(start, start + BATCH)
            payloads = [
                {"user_id": user, "role": "user", "data": text, "text_lemmatized": lemmatize_for_bm25(text)}
                for text in texts[some]
            ]
            self._memory.vector_store.insert(vectors[some].tolist(), payloads, ids[some])
        return ids

    def search(self, user: str, query: str, vector: list[float], limit: int) -> list[str]:
        """As Store.search."""
        self._given.vector = vector
        found = self._memory.search(query, top_k=limit, filters={"user_id": user})
        return [one["id"] for one in found["results"]]


def _bm25(directory: Path) -> Any:
    """mem0's own encoder of words, with spaCy's stop words: its own list is on a hub."""
    from fastembed import SparseTextEmbedding
    from spacy.lang.en.stop_words import STOP_WORDS

    return SparseTextEmbedding(
        "Qdrant/bm25", specific_model_path=str(directory), stopwords=set(STOP_WORDS), local_files_only=True
    )


def _no_spacy() -> None:
    """As where spaCy is not installed: texts are not lemmatised."""
    from mem0.utils import spacy_models

    spacy_models._load_failed_full = spacy_models._load_failed_lemma = True


def _run(directory: Path, mode: str, dimensions: int) -> None:
    hybrid = mode == "hybrid"
    missing = [name for name in ("fastembed", "spacy", "en_core_web_sm") if find_spec(name) is None]
    if hybrid and missing:
        raise SystemExit(f"mem0's hybrid search needs {', '.join(missing)} in {sys.executable}'s environment")
    from importlib.metadata import version

    answer(Mem0Store(directory, hybrid, dimensions), {"version": version("mem0ai")})


if __name__ == "__main__":
    _run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
