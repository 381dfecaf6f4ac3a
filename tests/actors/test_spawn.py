import asyncio
import os
import pickle
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors import spawn
from actors.messages import NotFound, NotReady


class Counter:
    """Counts; `directory` is where it leaves traces that other processes can see."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.value = 0
        self.started = False

    async def start(self) -> None:
        with (self.directory / "starts").open("a") as traces:
            traces.write("x")
        self.started = True

    async def add(self, amount: int = 1) -> int:
        assert self.started
        self.value += amount
        return self.value

    async def pid(self) -> int:
        return os.getpid()

    async def fail(self) -> None:
        raise NotFound("no such thing", param="thing", code="gone")

    async def count_up(self, *, fail_at: int | None = None, forever: bool = False) -> AsyncIterator[int]:
        try:
            number = 0
            while forever or number < 3:
                if number == fail_at:
                    raise NotFound("lost on the way")
                yield number
                number += 1
                await asyncio.sleep(0.01)
        finally:
            (self.directory / "closed").touch()

    async def close(self) -> None:
        (self.directory / "stopped").touch()


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared counters leave their traces."""
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(params=["here", "ray"], scope="module")
async def counter(request: pytest.FixtureRequest, traces: Path) -> AsyncIterator[Counter]:
    if request.param == "here":
        handle = spawn.here(Counter, traces)
    else:
        request.getfixturevalue("ray_runtime")
        handle = spawn.on_ray(Counter, traces, placement=spawn.Placement(num_cpus=0))
    await handle.start()
    yield handle
    (traces / "stopped").unlink(missing_ok=True)
    await spawn.stop(handle)
    assert (traces / "stopped").exists()


async def _appears(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.ray
class TestEitherSideOfTheBorder:
    async def test_calls_share_state(self, counter: Counter) -> None:
        before = await counter.add()
        assert await counter.add(amount=2) == before + 2

    async def test_errors_come_out_as_themselves(self, counter: Counter) -> None:
        with pytest.raises(NotFound) as caught:
            await counter.fail()
        assert (caught.value.message, caught.value.param, caught.value.code) == (
            "no such thing",
            "thing",
            "gone",
        )

    async def test_streams(self, counter: Counter) -> None:
        assert [number async for number in counter.count_up()] == [0, 1, 2]

    async def test_a_stream_fails_after_what_it_gave(self, counter: Counter) -> None:
        stream = counter.count_up(fail_at=2)
        assert [await anext(stream), await anext(stream)] == [0, 1]
        with pytest.raises(NotFound, match="lost on the way"):
            await anext(stream)

    async def test_closing_a_stream_early_stops_the_work(self, counter: Counter, traces: Path) -> None:
        (traces / "closed").unlink(missing_ok=True)
        stream = counter.count_up(forever=True)
        assert await anext(stream) == 0
        await stream.aclose()
        await _appears(traces / "closed")

    async def test_cancelling_the_reader_stops_the_work(self, counter: Counter, traces: Path) -> None:
        (traces / "closed").unlink(missing_ok=True)

        async def read() -> None:
            async for _ in counter.count_up(forever=True):
                first.set()

        first = asyncio.Event()
        reader = asyncio.create_task(read())
        await first.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await _appears(traces / "closed")

    async def test_no_private_way_in(self, counter: Counter) -> None:
        with pytest.raises(AttributeError):
            counter._no_such_thing  # noqa: B018


@pytest.mark.ray
@pytest.mark.usefixtures("ray_runtime")
class TestOnRay:
    async def test_start_runs_once_however_often_it_is_called(self, tmp_path: Path) -> None:
        handle = spawn.on_ray(Counter, tmp_path, placement=spawn.Placement(num_cpus=0))
        await asyncio.gather(*(handle.start() for _ in range(3)))
        assert (tmp_path / "starts").read_text() == "x"
        await spawn.stop(handle)

    async def test_a_name_finds_the_same_actor(self, tmp_path: Path) -> None:
        placement = spawn.Placement(num_cpus=0, name="counter")
        first = spawn.on_ray(Counter, tmp_path, placement=placement)
        await first.start()
        second = spawn.on_ray(Counter, tmp_path, placement=placement)
        assert await first.pid() == await second.pid()
        await spawn.stop(first)

    async def test_a_proxy_survives_pickling(self, tmp_path: Path) -> None:
        handle = spawn.on_ray(Counter, tmp_path, placement=spawn.Placement(num_cpus=0))
        await handle.start()
        copy = pickle.loads(pickle.dumps(handle))
        assert await handle.add() == 1
        assert await copy.add() == 2
        await spawn.stop(handle)

    async def test_a_killed_actor_comes_back_started(self, tmp_path: Path) -> None:
        handle = spawn.on_ray(Counter, tmp_path, placement=spawn.Placement(num_cpus=0))
        await handle.start()
        await handle.add()
        before = await handle.pid()
        os.kill(before, signal.SIGKILL)
        assert await handle.add() == 1
        assert await handle.pid() != before
        assert (tmp_path / "starts").read_text() == "xx"
        await spawn.stop(handle)

    async def test_a_stream_is_not_repeated_when_its_actor_dies(self, tmp_path: Path) -> None:
        handle = spawn.on_ray(Counter, tmp_path, placement=spawn.Placement(num_cpus=0))
        await handle.start()
        pid = await handle.pid()
        stream = handle.count_up(forever=True)
        assert await anext(stream) == 0
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(NotReady, match="Counter"):
            async for _ in stream:
                pass
        await spawn.stop(handle)

    async def test_an_actor_that_is_gone_for_good_says_so(self, tmp_path: Path) -> None:
        handle = spawn.on_ray(Counter, tmp_path, placement=spawn.Placement(num_cpus=0))
        await handle.start()
        await spawn.stop(handle)

        async def call_until_it_is_dead() -> None:
            """Ray kills without waiting, so a few calls may still be answered."""
            for _ in range(1000):
                await handle.add()

        with pytest.raises(NotReady, match="Counter"):
            await call_until_it_is_dead()
