"""Frozen texts by which a version is measured while it serves: how likely they are, how soon it answers."""

import time
from contextlib import aclosing
from itertools import count
from math import fsum
from pathlib import Path

from actors.generator import Generator
from actors.messages import Sampling
from actors.training.notice import Placed

TEXTS = (
    "The capital of France is Paris, and the river that flows through it is the Seine.",
    "Water freezes at zero degrees Celsius and boils at one hundred degrees.",
    "To make tea, boil water, pour it over the leaves, and wait a few minutes before you drink it.",
    "Two plus two is four, four plus four is eight, and eight plus eight is sixteen.",
)
_numbers = count()


async def scores(generator: Generator, version: Placed | None) -> list[float]:
    """Mean log probability of a token of each text. Raises what the generator raises."""
    found = []
    for text in TEXTS:
        rows = await generator.score(text, *_adapter(version))
        found.append(fsum(row.logprob for row in rows) / max(len(rows), 1))
    return found


async def first_tokens(generator: Generator, version: Placed) -> list[tuple[float, float]]:
    """Seconds to the first token after each text, of the version and of the base model beside it.

    Who comes first alternates. Raises what the generator raises.
    """
    pairs = []
    for place, text in enumerate(TEXTS):
        order = (version, None) if place % 2 else (None, version)
        took = {one: await _first(generator, text, one) for one in order}
        pairs.append((took[version], took[None]))
    return pairs


async def works(generator: Generator) -> None:
    """Raises what the generator raises where not even the base model answers."""
    await _first(generator, TEXTS[0], None)


async def _first(generator: Generator, text: str, version: Placed | None) -> float:
    began = time.perf_counter()
    one = Sampling(max_tokens=1, temperature=0.0)
    source = generator.generate(f"probe-{next(_numbers)}", text, one, *_adapter(version))
    async with aclosing(source) as deltas:
        await anext(deltas, None)
    return time.perf_counter() - began


def _adapter(version: Placed | None) -> tuple[str | None, Path | None]:
    return (version.id, version.path) if version else (None, None)
