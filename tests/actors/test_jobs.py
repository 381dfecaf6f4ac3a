import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.jobs import Jobs
from actors.messages import Busy, InvalidRequest, Locked, NotFound
from actors.training.launch import Processes
from actors.training.records import ENDED, Job, NewJob
from configs.schema import JobSettings, Settings

FAKE = (sys.executable, str(Path(__file__).parents[1] / "data" / "fake_trainer.py"))


def new(number: int = 1, seed: int = 0, user: str = "ann", **more: Any) -> NewJob:
    training = {"model": "tiny", "steps": 6, "length": 64, "batch": 1, "seed": seed}
    training = more.pop("training", training)
    return NewJob(
        id=f"ftjob-{number}",
        user=user,
        model="tiny",
        training=training,
        files={"training": b'{"messages": []}\n'},
        training_file="file-1",
        **more,
    )


@asynccontextmanager
async def opened(home: Path, **given: Any) -> AsyncIterator[Jobs]:
    settings = JobSettings(**{"command": FAKE, **given})
    jobs = Jobs(Settings(home=home, jobs=settings), Processes(niceness=5))
    await jobs.start()
    try:
        yield jobs
    finally:
        await jobs.close()


async def until(jobs: Jobs, id: str, is_so: Callable[[Job], bool], user: str = "ann") -> Job:
    async with asyncio.timeout(60):
        while not is_so(job := await jobs.get(user, id)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return job


async def ended(jobs: Jobs, id: str) -> Job:
    return await until(jobs, id, lambda job: job.status in ENDED)


async def said(jobs: Jobs, id: str) -> list[str]:
    events, _ = await jobs.events("ann", id, limit=100, newest_first=False)
    return [event.message for event in events]


async def test_a_job_goes_through_its_stages_and_leaves_a_model(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        made = await jobs.create(new(suffix="mine", metadata={"for": "me"}))
        assert (made.status, await jobs.create(new())) == ("queued", made)
        job = await ended(jobs, made.id)
        assert (job.status, job.error, job.step, job.trained_tokens) == ("succeeded", None, 6, 6 * 64)
        assert job.name == "ft:tiny:mine:1"
        assert [one.step for one in job.checkpoints] == [2, 4, 6]
        assert job.checkpoints[0].figures["loss"] == 1.0
        told = await said(jobs, job.id)
        assert told[:3] == [
            "Created fine-tuning job: ftjob-1",
            "Validating training file: file-1",
            "Fine-tuning job started",
        ]
        assert "Step 6/6: training loss=0.3333" in told
        assert told[-2:] == [
            "New fine-tuned model created: ft:tiny:mine:1",
            "The job has successfully completed",
        ]
        (model,) = await jobs.models("ann")
        assert sorted(path.name for path in Path(model.path).iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
            "manifest.json",
        ]
        kept = {path.name for path in (tmp_path / "jobs" / job.id).rglob("*")}
        assert not {"training.jsonl", "checkpoints"} & kept
        assert await jobs.models("bob") == []
        with pytest.raises(NotFound):
            await jobs.get("bob", job.id)
        await jobs.remove_model("ann", model.name)
        with pytest.raises(NotFound):
            await jobs.model("ann", model.name)
    async with opened(tmp_path) as jobs:
        assert (await jobs.get("ann", job.id)).removed
        assert not Path(model.path).exists()


async def test_what_goes_wrong_is_told_and_what_dies_is_resumed(tmp_path: Path) -> None:
    async with opened(tmp_path, resumes=1) as jobs:
        for seed in (13, 14, 15):
            await jobs.create(new(seed, seed))
        failed, resumed, hopeless = [await ended(jobs, f"ftjob-{seed}") for seed in (13, 14, 15)]
        assert (failed.status, failed.launches) == ("failed", 1)
        assert failed.error == "step 3: the loss is not a number; data: training.jsonl:7"
        assert "training.jsonl:7" in await jobs.log("ann", failed.id)
        assert (resumed.status, resumed.launches, resumed.lost) == ("succeeded", 2, 1)
        assert [line for line in await said(jobs, resumed.id) if "start" in line] == [
            "Fine-tuning job started",
            "The process that trains died (signal 9); it is started again",
            "Fine-tuning job started again after step 3",
        ]
        assert (hopeless.status, hopeless.launches) == ("failed", 2)
        assert "died 2 times (signal 9)" in (hopeless.error or "")


async def test_jobs_wait_are_paused_go_on_and_are_cancelled(tmp_path: Path) -> None:
    async with opened(tmp_path, max_queued=1) as jobs:
        first = await jobs.create(new(1, 16))
        running = await until(jobs, first.id, lambda job: job.step == 2)
        process = psutil.Process(int((running.process or "").split()[0]))
        assert process.nice() == 5
        session = Path(f"/proc/{process.pid}/autogroup")
        assert not session.exists() or session.read_text().endswith("nice 5\n")
        second = await jobs.create(new(2))
        with pytest.raises(Busy):
            await jobs.create(new(3))
        assert [job.id for job in (await jobs.find("ann", limit=1))[0]] == [second.id]
        older, more = await jobs.find("ann", after=second.id)
        assert ([job.id for job in older], more) == ([running.id], False)
        assert (await jobs.find("ann", metadata={"no": "such"}))[0] == []
        assert (await jobs.cancel("ann", second.id)).status == "cancelled"
        (live,) = await jobs.live()
        assert (live.id, live.figures["step"], live.figures["tokens_per_s"]) == (first.id, 2, 100.0)
        assert (await jobs.pause("ann", first.id)).status == "paused"
        assert not process.is_running()
        (tmp_path / "jobs" / first.id / "go").touch()
        assert (await jobs.resume("ann", first.id)).status in ("queued", "validating_files", "running")
        done = await ended(jobs, first.id)
        assert (done.status, done.launches, done.lost) == ("succeeded", 2, 0)
        with pytest.raises(InvalidRequest):
            await jobs.cancel("ann", first.id)


async def test_a_server_that_died_finds_its_job_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        job = await first.create(new(1, 16))
        job = await until(first, job.id, lambda job: job.step == 2)
        with pytest.raises(Locked):
            await Jobs(Settings(home=tmp_path), Processes(0)).start()
        _forget(first)
        async with opened(tmp_path) as second:
            assert (await second.get("ann", job.id)).process == job.process
            os.kill(int((job.process or "").split()[0]), signal.SIGKILL)
            (tmp_path / "jobs" / job.id / "go").touch()
            done = await ended(second, job.id)
            assert (done.status, done.launches, done.lost) == ("succeeded", 2, 1)
            steps = [line.split("/")[0] for line in await said(second, job.id) if line.startswith("Step")]
            assert steps == [f"Step {number}" for number in range(1, 7)]


def _forget(jobs: Jobs) -> None:
    """As if this process had been killed: nothing is stopped, nothing written, the lock is free."""
    assert jobs._worker is not None
    jobs._worker.cancel()
    jobs._worker = None
    jobs._lock.release()


async def test_a_stop_of_the_server_costs_no_resume(tmp_path: Path) -> None:
    async with opened(tmp_path) as jobs:
        job = await jobs.create(new(1, 16))
        await until(jobs, job.id, lambda job: job.step == 2)
    with (tmp_path / "jobs" / job.id / "events.jsonl").open("a") as events:
        events.write('{"cut sho')
    (tmp_path / "jobs" / job.id / "go").touch()
    async with opened(tmp_path) as jobs:
        done = await ended(jobs, job.id)
        assert (done.status, done.lost, done.launches) == ("succeeded", 0, 2)


@pytest.mark.model
async def test_the_real_trainer_leaves_an_adapter(tmp_path: Path, model_dir: Path) -> None:
    chat = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Varn."}]
    tree = {"model": str(model_dir), "steps": 2, "length": 64, "batch": 1, "seed": 0, "checkpoint_every": 1}
    job = replace(
        new(training=tree), files={"training": (json.dumps({"messages": chat}) + "\n").encode() * 4}
    )
    async with opened(tmp_path, command=()) as jobs:
        await jobs.create(job)
        async with asyncio.timeout(280):
            while (done := await jobs.get("ann", job.id)).status not in ENDED:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert done.status == "succeeded", await jobs.log("ann", job.id)
        assert [one.step for one in done.checkpoints] == [1, 2]
        assert done.checkpoints[1].figures["loss"] < done.checkpoints[0].figures["loss"]
        model = await jobs.model("ann", done.name)
        assert json.loads((Path(model.path) / "manifest.json").read_text())["method"]
