"""An adapter that others pushed out of the engine between its loading and its use is loaded again."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.generator import Generator
from actors.jobs import Jobs
from actors.messages import NotFound, Sampling, TextDelta
from actors.training.records import Model
from serve.adapters import TRIES, Adapters


class Crowded:
    """Loses an adapter as often as told."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.loads: list[tuple[str, Path]] = []

    async def load_adapter(self, name: str, path: Path) -> None:
        self.loads.append((name, path))

    async def generate(self, *_: Any) -> AsyncGenerator[TextDelta, None]:
        if self.losses:
            self.losses -= 1
            raise NotFound("not loaded")
        yield TextDelta(text="hi", finish_reason="stop")


class OneModel:
    async def model(self, user: str, name: str) -> Model:
        return Model(name=name, user=user, created_at=0, path="/made/ft")


@pytest.mark.parametrize("losses", [0, TRIES - 1, TRIES])
async def test_what_was_pushed_out_is_loaded_again(losses: int) -> None:
    crowded = Crowded(losses)
    adapters = Adapters(cast(Generator, crowded), cast(Jobs, OneModel()))
    await adapters.find("ann", "ft:m::1")
    source = adapters.generate("r", "x", Sampling(), "ft:m::1")
    if losses == TRIES:
        with pytest.raises(NotFound):
            await anext(source)
    else:
        assert [delta.text async for delta in source] == ["hi"]
    assert crowded.loads == [("ft:m::1", Path("/made/ft"))] * min(losses + 1, TRIES)
