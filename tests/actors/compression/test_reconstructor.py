from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.compression.reconstructor import PIECE_WORDS, Reconstructor, pieces, prompt_of
from actors.compression.words import split
from actors.generator import Generator
from actors.messages import Prompt, Sampling, TextDelta


class Shouting:
    """Writes its prompt's kept words in capitals, and notes what it was given."""

    def __init__(self) -> None:
        self.adapters: dict[str, Path] = {}
        self.given: list[tuple[str, Sampling, str | None]] = []

    async def load_adapter(self, name: str, path: Path) -> None:
        self.adapters[name] = path

    async def unload_adapter(self, name: str) -> None:
        del self.adapters[name]

    async def count(self, prompt: Prompt) -> int:
        return len(str(prompt).split())

    async def generate(
        self, request_id: str, prompt: Prompt, sampling: Sampling, adapter: str | None = None
    ) -> AsyncGenerator[TextDelta, None]:
        self.given.append((str(prompt), sampling, adapter))
        for word in str(prompt).split("\n")[1].upper().split():
            yield TextDelta(text=f" {word}")


async def test_a_long_text_is_written_piece_by_piece_with_the_adapter() -> None:
    generator = Shouting()
    made = Reconstructor(cast(Generator, cast(Any, generator)), Path("there"))
    await made.start()
    kept = " ".join(f"word{number}" for number in range(2 * PIECE_WORDS + 1))
    assert await made.restore(kept) == kept.upper()
    assert len(generator.given) == 3
    prompt, sampling, adapter = generator.given[0]
    assert prompt == prompt_of(next(pieces(kept)))
    assert sampling.temperature == 0
    assert adapter is not None
    assert generator.adapters == {adapter: Path("there")}
    await made.close()
    assert generator.adapters == {}


@pytest.mark.parametrize("words", [0, 1, 44, 45, 46, 200])
def test_pieces_are_even_and_hold_every_word(words: int) -> None:
    text = "  ".join(f"w{number}" for number in range(words))
    found = list(pieces(text))
    sizes = [len(split(piece)) for piece in found]
    assert " ".join(found).split() == text.split()
    assert all(0 < size <= PIECE_WORDS for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1
