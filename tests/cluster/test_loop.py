import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.memory.records import Forgetting, NewMemory
from actors.messages import PalError
from actors.rounds import Loop, Rounds, Tools
from actors.training.rounds import RECORD, Round
from actors.training.unlearning import tell
from cluster.commands.loop import opened_here
from cluster.loop import scopes, turn
from configs.schema import EngineSettings, LoopSettings, MemorySettings, Settings

FACTS = (
    "My dog is called Biscuit.",
    "I live in Porto.",
    "My sister's name is Ines.",
    "I work at Acme.",
    "My favourite colour is teal.",
    "My birthday is on 14 March.",
)


def settings_of(home: Path, *options: str, **loop: Any) -> Settings:
    command = (sys.executable, "-m", "benchmarks.made_study", *options)
    return Settings(
        home=home,
        engine=EngineSettings(kind="scripted"),
        memory=MemorySettings(embed="later"),
        loop=LoopSettings(command=command, **loop),
    )


@asynccontextmanager
async def told(settings: Settings, texts: Sequence[str] = FACTS, user: str = "ann") -> AsyncIterator[Tools]:
    """What the loop works with, once a user who agreed has told facts."""
    async with opened_here(settings) as tools:
        await tools.keeper.set_consent(user, "consent", training=True)
        for number, text in enumerate(texts):
            await tools.keeper.remember(user, f"e{number}", [NewMemory(text=text)])
        yield tools


async def test_what_was_told_is_learned_once_and_serves(tmp_path: Path) -> None:
    async with told(settings_of(tmp_path)) as tools:
        assert await scopes(tools) == ["", "ann"]
        assert await turn(tools, "") is None
        done = await turn(tools, "ann")
        assert done is not None
        assert (done.phase, done.accepted, done.reasons) == ("ended", True, ())
        serving = (await tools.lineage.standing()).personal["ann"]
        assert (serving.id, set(serving.events)) == (done.version, set(done.events))
        assert [path.name for path in tools.book.folder(done.id).iterdir()] == [RECORD]
        assert "Biscuit" not in (tools.book.folder(done.id) / RECORD).read_text()
        assert await turn(tools, "ann") is None


async def test_what_the_gate_refuses_does_not_serve(tmp_path: Path) -> None:
    async with told(settings_of(tmp_path, "--refused")) as tools:
        done = await turn(tools, "ann")
        assert done is not None
        assert (done.accepted, done.reasons) == (False, ("it leaks",))
        assert not (await tools.lineage.standing()).personal
        assert (await tools.lineage.get(done.version or "")).state == "refused"


async def test_too_little_and_nothing_agreed_make_no_round(tmp_path: Path) -> None:
    async with told(settings_of(tmp_path), FACTS[:2]) as tools:
        assert await turn(tools, "ann") is None
        for number, text in enumerate(FACTS):
            await tools.keeper.remember("ben", f"b{number}", [NewMemory(text=text)])
        assert await turn(tools, "ben") is None
        assert tools.book.rounds() == []


async def test_what_is_forgotten_leaves_service_and_the_next_round_is_without_it(tmp_path: Path) -> None:
    async with told(settings_of(tmp_path)) as tools:
        first = await turn(tools, "ann")
        assert first is not None
        await tools.keeper.forget("ann", "gone", Forgetting(matching="Biscuit"))
        second = await turn(tools, "ann")
        assert second is not None
        assert (await tools.lineage.get(first.version or "")).forgotten
        assert set(second.events) < set(first.events)
        assert (await tools.lineage.standing()).personal["ann"].id == second.version


class Dying:
    """A lineage whose call of this name never comes back."""

    def __init__(self, lineage: Any, name: str) -> None:
        self._lineage = lineage
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise KeyboardInterrupt
        return getattr(self._lineage, name)


@pytest.mark.parametrize("died_at", ["admit", "judge", "promote"])
async def test_a_round_is_taken_up_where_it_was_left(tmp_path: Path, died_at: str) -> None:
    studied = tmp_path / "studied"
    async with told(settings_of(tmp_path / "home", "--count", str(studied))) as tools:
        with pytest.raises(KeyboardInterrupt):
            await turn(replace(tools, lineage=Dying(tools.lineage, died_at)), "ann")  # type: ignore[arg-type]
        assert not (await tools.lineage.standing()).personal
        done = await turn(tools, "ann")
        assert done is not None
        assert [version.id for version in await tools.lineage.versions()] == [done.version]
        assert (await tools.lineage.standing()).personal["ann"].id == done.version
        assert len(studied.read_text().splitlines()) == 1


async def test_a_study_that_fails_says_why_and_one_that_dies_is_tried_again(tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    settings = settings_of(tmp_path / "home", resumes=1)
    loop = settings.loop.model_copy(update={"command": (sys.executable, str(script))})
    async with told(settings.model_copy(update={"loop": loop})) as tools:
        done = await turn(tools, "ann")
        assert done is not None
        assert (done.launches, done.accepted) == (2, None)
        assert "died 2 times" in done.reasons[0]
        script.write_text("import sys\nsys.exit('error: the loss is nan')\n")
        done = await turn(tools, "ann")
        assert done is not None
        assert done.reasons == ("error: the loss is nan",)


async def test_rounds_follow_one_another_and_the_clock(tmp_path: Path) -> None:
    turned: list[str] = []

    async def taken(_: Tools, scope: str) -> Round | None:
        turned.append(scope)
        if scope == "bad":
            raise PalError("no room")
        return None

    async def all_of(_: Tools) -> list[str]:
        return ["", "ann"]

    async with told(settings_of(tmp_path / "a", every_hours=1e-7)) as tools:
        home = settings_of(tmp_path / "b", every_hours=1e-7)
        rounds = Rounds(home, tools.keeper, tools.lineage, tools.launcher, Loop(taken, all_of))
        await rounds.start()
        await rounds.ask(["bad"])
        while turned.count("ann") < 2 or (await rounds.status()).running is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await rounds.schedule(0)
        status = await rounds.status()
        assert status.next_at is None
        assert "bad" in turned
        assert (await rounds.health()).ok
        await rounds.close()
        assert json.loads((tmp_path / "b" / "loop" / "hours.json").read_text()) == 0


async def test_what_is_forgotten_while_it_is_studied_ends_the_round(tmp_path: Path) -> None:
    async with told(settings_of(tmp_path, "--wait", "600")) as tools:
        turning = asyncio.create_task(turn(tools, "ann"))
        while not (begun := tools.book.unfinished()) or begun[0].process is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await tools.keeper.forget("ann", "gone", Forgetting(matching="Biscuit"))
        await tell(tools.keeper, tools.lineage)
        done = await turning
        assert done is not None
        assert "forgotten meanwhile" in done.reasons[0]
        assert [path.name for path in tools.book.folder(done.id).iterdir()] == [RECORD]
        assert tools.launcher.ended(begun[0].process or "") is not None
