import asyncio
from pathlib import Path

import pytest

from actors.engines.loaded import Loaded
from actors.engines.scripted import ScriptedEngine
from actors.messages import NotFound, Sampling


async def test_the_adapter_unused_for_longest_makes_room_but_not_one_in_use() -> None:
    engine = ScriptedEngine()
    loaded = Loaded(engine, most=2)
    await loaded.load("a", Path("a"))
    await loaded.load("b", Path("b"))
    await loaded.load("a", Path("a"))
    await loaded.load("c", Path("c"))
    assert sorted(engine._adapters) == ["a", "c"]
    async with loaded.held("a"):
        await asyncio.gather(loaded.load("d", Path("d")), loaded.load("d", Path("d")))
        assert sorted(engine._adapters) == ["a", "d"]
    await loaded.load("e", Path("e"))
    assert sorted(engine._adapters) == ["d", "e"]
    await loaded.unload("e")
    with pytest.raises(NotFound):
        await loaded.unload("e")


class Slow(ScriptedEngine):
    """Loads when told."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def load_adapter(self, name: str, path: Path) -> None:
        await self.may.wait()
        await super().load_adapter(name, path)


async def test_a_stream_loads_what_it_needs_and_keeps_it() -> None:
    engine = ScriptedEngine()
    loaded = Loaded(engine, most=1)

    async def answer(name: str) -> int:
        async with loaded.held(name, Path(name)):
            return len([1 async for _ in engine.generate("r", [104], Sampling(max_tokens=4), name)])

    assert min(await asyncio.gather(*(answer(name) for name in "abcabcabc"))) > 1
    assert len(engine._adapters) == 1


async def test_who_leaves_while_an_adapter_loads_leaves_it_whole() -> None:
    engine = Slow()
    loaded = Loaded(engine, most=1)
    leaving = asyncio.create_task(loaded.load("a", Path("a")))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    engine.may.set()
    await loaded.load("b", Path("b"))
    assert sorted(engine._adapters) == ["b"]
