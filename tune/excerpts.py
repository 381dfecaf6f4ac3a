"""The part of a long text that is read for a question: shortened, or the passages found. Knows no torch."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from actors.compression.joint import gather
from actors.compressor import load_shortener
from actors.keeper import Keeper
from actors.memory.chunking import chunk, embedding_text
from actors.messages import ParsedDocument, Passage
from actors.models.encoder import load_encoder
from configs.schema import Settings
from tune.longtexts import LongText
from tune.vectors import Vectorised

Excerpts = Callable[[LongText, Sequence[str]], list[str]]
"""What of a text is read for each question."""
NAME, USER = "text.txt", "reader"


def whole(text: LongText, questions: Sequence[str]) -> list[str]:
    """All of it."""
    return [text.text for _ in questions]


class Compressed:
    """What the configured keep policy leaves of a text: `budget` tokens, or all of it where it fits."""

    def __init__(self, settings: Settings, budget: int) -> None:
        """Raises NotReady, NotFound."""
        self._shortener = load_shortener(settings)
        self._budget = budget

    def __call__(self, text: LongText, questions: Sequence[str]) -> list[str]:
        """The same shorter text for all."""
        if text.tokens <= self._budget:
            return whole(text, questions)
        return [self._shortener.shorten(text.text, self._budget / text.tokens).text] * len(questions)


class Retrieved:
    """What the search in documents finds best, as much as fits `budget` tokens, in the text's order.

    Each text is a document in a keeper of its own.
    """

    def __init__(self, settings: Settings, budget: int, *, gathered: bool) -> None:
        """Whole passages, or `gathered` the sentences that likeliest answer. Raises NotReady, NotFound."""
        self._documents = settings.documents.model_copy(update={"vector_cache": False})
        self._encoder = Vectorised(load_encoder(settings))
        self._shortener = load_shortener(settings)
        self._budget, self._gathered = budget, gathered

    def __call__(self, text: LongText, questions: Sequence[str]) -> list[str]:
        """The passages, or sentences of them, for each question."""
        if text.tokens <= self._budget:
            return whole(text, questions)
        found = zip(questions, asyncio.run(self._found(text.text, questions)), strict=True)
        return [self._fitting(*one) for one in found]

    async def _found(self, text: str, questions: Sequence[str]) -> list[list[Passage]]:
        """All passages, the best first, for each question."""
        chunks = chunk(text, "text/plain", self._documents.chunk_words)
        content = text.encode()
        document = ParsedDocument(
            filename=NAME,
            media_type="text/plain",
            text=text,
            content=content,
            sha256=sha256(content).hexdigest(),
        )
        with tempfile.TemporaryDirectory() as directory:
            keeper = Keeper(Path(directory), self._documents)
            await keeper.start()
            try:
                vectors = self._encoder.embed([embedding_text(one, NAME) for one in chunks])
                await keeper.add_file(USER, NAME, document, "assistants", chunks, vectors)
                asked = zip(questions, self._encoder.embed(questions), strict=True)
                return [await keeper.search(USER, *one, k=len(chunks)) for one in asked]
            finally:
                await keeper.close()

    def _fitting(self, question: str, passages: Sequence[Passage]) -> str:
        if self._gathered:
            stored = [None] * len(passages)
            texts = [one.text for one in passages]
            parts = gather(self._shortener, texts, stored, question, self._budget)
            taken = [(one.start, part.text) for one, part in zip(passages, parts, strict=True) if part.text]
        else:
            taken, room = [], self._budget
            for one in passages:
                size = self._shortener.counter.count(one.text)
                if size <= room:
                    taken.append((one.start, one.text))
                    room -= size
        return "\n\n".join(text for _, text in sorted(taken))
