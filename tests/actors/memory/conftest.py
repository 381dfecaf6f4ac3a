"""Documents made of lines, and an open keeper."""

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.identity import Identity
from actors.keeper import Keeper
from actors.messages import ChunkText, ParsedDocument
from configs.schema import DocumentSettings

DIMENSIONS = 16


def parsed(name: str, text: str) -> ParsedDocument:
    """A document as a reader gives it."""
    content = text.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    return ParsedDocument(filename=name, media_type="text/plain", text=text, content=content, sha256=sha256)


def by_line(text: str) -> list[ChunkText]:
    """A passage a line."""
    chunks, start = [], 0
    for line in text.split("\n"):
        chunks.append(ChunkText(start, start + len(line), line))
        start += len(line) + 1
    return chunks


def unit(count: int, seed: int = 0) -> Any:
    """Random unit vectors."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Adder:
    """Adds texts to a keeper, a passage a line: `await add("a.txt", "one\\ntwo")`."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.count = 0

    async def __call__(self, name: str, text: str, user: str = "u", event: str | None = None) -> Any:
        self.count += 1
        chunks = by_line(text)
        vectors = unit(len(chunks), self.count)
        event = event or f"event-{self.count}"
        return await self.keeper.add_file(user, event, parsed(name, text), "assistants", chunks, vectors)


@pytest.fixture
def adder() -> type[Adder]:
    """The class, for keepers of a test's own."""
    return Adder


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeper]:
    """A keeper without a vector cache."""
    opened = Keeper(tmp_path / "keeper", DocumentSettings(vector_cache=False))
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
def add(keeper: Keeper) -> Adder:
    """Adds to `keeper`."""
    return Adder(keeper)


@pytest.fixture
def vectors_of() -> Callable[..., Any]:
    """`unit`."""
    return unit


class Clock(Identity):
    """Random ids, and a time that only tests move."""

    moment = 1.7e9

    def now(self) -> float:
        return self.moment

    def tick(self, seconds: float = 1.0) -> float:
        """Time goes on; what it is then."""
        object.__setattr__(self, "moment", self.moment + seconds)
        return self.moment


@pytest.fixture
def clock() -> Clock:
    """The time of `timed`."""
    return Clock()


@pytest.fixture
async def timed(tmp_path: Path, clock: Clock) -> AsyncIterator[Keeper]:
    """A keeper without a vector cache, whose time only `clock` moves."""
    opened = Keeper(tmp_path / "timed", DocumentSettings(vector_cache=False), clock)
    await opened.start()
    yield opened
    await opened.close()
