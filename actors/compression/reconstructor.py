"""Writes a whole text from the words kept of it, with an adapter trained for it. Knows no policy."""

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from uuid import uuid4

from actors.compression.words import split
from actors.generator import Generator
from actors.messages import Sampling
from configs.schema import Settings

PIECE_WORDS = 45
"""Most kept words that are written out at once; it is trained on pieces of about this size."""
LONGEST = 4.0
"""Most tokens written for each kept one."""
_NAME = "reconstructor"


def prompt_of(kept: str) -> str:
    """What the model continues with the whole text."""
    return f"Kept words:\n{kept}\n\nWhole text:\n"


class Reconstructor:
    """A generator and the adapter directory that `pal train reconstructor` made for its model."""

    def __init__(self, generator: Generator, adapter: Path) -> None:
        self._generator = generator
        self._adapter = adapter

    async def start(self) -> None:
        """Load the adapter into the generator. Raises NotFound, InvalidRequest."""
        await self._generator.load_adapter(_NAME, self._adapter)

    async def restore(self, kept: str) -> str:
        """The text that the kept words were likely taken from, the same for the same words.

        What was dropped is guessed: a restored text shows what can be inferred, it is no source.
        """
        return " ".join([await self._written(piece) for piece in pieces(kept)])

    async def close(self) -> None:
        """Take the adapter out of the generator."""
        await self._generator.unload_adapter(_NAME)

    async def _written(self, piece: str) -> str:
        prompt = prompt_of(piece)
        most = int(LONGEST * await self._generator.count(piece)) + 8
        stream = self._generator.generate(
            uuid4().hex, prompt, Sampling(max_tokens=most, temperature=0.0), _NAME
        )
        async with aclosing(stream):
            return "".join([delta.text async for delta in stream]).strip()


async def restored(settings: Settings, kept: str, adapter: Path) -> str:
    """`restore` by a torch engine of its own in this process, whatever engine is served."""
    engine = settings.engine.model_copy(update={"kind": "torch", "shards": 1})
    generator = Generator(settings.model_copy(update={"engine": engine}))
    await generator.start()
    try:
        reconstructor = Reconstructor(generator, adapter)
        await reconstructor.start()
        return await reconstructor.restore(kept)
    finally:
        await generator.close()


def pieces(text: str, most: int = PIECE_WORDS) -> Iterator[str]:
    """A text cut between words into even pieces of at most `most` words."""
    words = split(text)
    count = -(-len(words) // most)
    for number in range(count):
        first, last = number * len(words) // count, (number + 1) * len(words) // count
        yield text[words[first].start : words[last - 1].end]
