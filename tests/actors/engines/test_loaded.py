import asyncio
from pathlib import Path

import pytest

from actors.engines.loaded import Loaded
from actors.engines.scripted import ScriptedEngine
from actors.messages import NotFound, Sampling, TokenDelta


async def test_the_adapter_unused_for_longest_makes_room_but_not_one_in_use() -> None:
    engine = ScriptedEngine()
    loaded = Loaded(engine, most=2)
    await loaded.load("a", Path("a"))
    await loaded.load("b", Path("b"))
    await loaded.load("a", Path("a"))
    await loaded.load("c", Path("c"))
    assert sorted(engine._adapters) == ["a", "c"]
    stream = loaded.watched(engine.generate("r", [104], Sampling(max_tokens=4), "a"), "a")
    first = await anext(stream)
    assert isinstance(first, TokenDelta)
    await asyncio.gather(loaded.load("d", Path("d")), loaded.load("d", Path("d")))
    assert sorted(engine._adapters) == ["a", "d"]
    await stream.aclose()
    await loaded.load("e", Path("e"))
    assert sorted(engine._adapters) == ["d", "e"]
    await loaded.unload("e")
    with pytest.raises(NotFound):
        await loaded.unload("e")
