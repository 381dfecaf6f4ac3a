"""A real keeper and embedder with articles in them, for measuring. Knows no score and no weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from actors.embedder import Embedder
from actors.keeper import Keeper
from actors.memory.chunking import chunk, embedding_text
from actors.memory.database import connect
from actors.memory.documents import DocumentStore
from actors.memory.vectors import Matrices
from actors.messages import ChunkText, ParsedDocument
from benchmarks.qa_data import Article
from configs.schema import Settings

Vectors = NDArray[np.float32]
USER = "bench"


class Remembering:
    """An embedder that computes each text once; `path` keeps the vectors for the next run."""

    def __init__(self, embedder: Embedder, path: Path | None = None) -> None:
        self._embedder = embedder
        self._path = path
        self._known: dict[str, Vectors] = {}
        if path is not None and path.exists():
            with np.load(path) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As Embedder.embed."""
        keys = [sha256(text.encode()).hexdigest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            vectors = await self._embedder.embed(list(new.values()))
            self._known |= dict(zip(new, vectors, strict=True))
        if not keys:
            return np.zeros((0, 0), np.float32)
        return np.stack([self._known[key] for key in keys])

    @property
    def typed(self) -> Embedder:
        """Itself, where an embedder is asked for."""
        return cast(Embedder, self)

    def save(self) -> None:
        """Write the vectors where they are kept."""
        if self._path is not None and self._known:
            np.savez(
                self._path, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values()))
            )


@dataclass
class Corpus:
    """Articles in a keeper, ready to be taken out and put back."""

    articles: list[Article]
    keeper: Keeper
    embedder: Remembering
    directory: Path
    chunks: list[list[ChunkText]]
    ids: list[str]

    def reader(self) -> DocumentStore:
        """The store's reads, for rankings that the keeper does not offer."""
        return DocumentStore(connect(self.directory), Matrices(1 << 30))

    async def put(self, number: int) -> None:
        """Add one article."""
        article, chunks = self.articles[number], self.chunks[number]
        content = article.text.encode()
        document = ParsedDocument(
            filename=article.filename,
            media_type="text/plain",
            text=article.text,
            content=content,
            sha256=sha256(content).hexdigest(),
        )
        vectors = await self.embedder.embed([embedding_text(one, article.filename) for one in chunks])
        stored = await self.keeper.add_file(USER, uuid4().hex, document, "assistants", chunks, vectors)
        self.ids[number] = stored.id

    async def take_out(self, number: int) -> None:
        """Delete one article."""
        await self.keeper.delete_file(USER, self.ids[number])


async def build(
    articles: list[Article], settings: Settings, embedder: Remembering, directory: Path
) -> Corpus:
    """A started keeper in `directory` that holds all articles; close `corpus.keeper` at the end."""
    keeper = Keeper(directory, settings.documents)
    await keeper.start()
    words = settings.documents.chunk_words
    chunks = [chunk(article.text, "text/plain", words) for article in articles]
    corpus = Corpus(articles, keeper, embedder, directory, chunks, [""] * len(articles))
    for number in range(len(articles)):
        await corpus.put(number)
    return corpus
