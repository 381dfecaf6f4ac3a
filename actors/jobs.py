"""Holds the trainings that were asked for, and carries them out one after another. Knows no training."""

import asyncio
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from actors.identity import RANDOM, Identity
from actors.messages import Busy, Health, InvalidRequest, NotFound, PalError
from actors.training.figures import RayGauges, ray_gauges
from actors.training.launch import Ended, Launcher
from actors.training.records import ENDED, Checkpoint, Job, JobEvent, Level, Live, Model, NewJob, Status
from actors.training.shelf import CONFIG, LOG, Shelf
from configs.schema import Settings

BEGUN = frozenset({"validating_files", "running"})
POLL_S = 0.3
MOST_FIGURES = 100
"""About so many steps of a training become events."""
SIGNALS = 128
"""Exit codes from here on are a shell's way to tell of a signal."""
ROOT = Path(__file__).resolve().parents[1]

log = logging.getLogger(__name__)


class Jobs:
    """Jobs of all users, each seen by its own alone; records survive any death of this process.

    A process that trains is watched, not owned: one that outlived us is found again, one that died
    without a word is resumed `jobs.resumes` times.
    """

    def __init__(self, settings: Settings, launcher: Launcher, identity: Identity = RANDOM) -> None:
        self._settings = settings
        self._launcher = launcher
        self._identity = identity
        self._shelf = Shelf(settings.home)
        self._jobs: dict[str, Job] = {}
        self._events: dict[str, list[JobEvent]] = {}
        self._live: dict[str, dict[str, Any]] = {}
        self._current: str | None = None
        """The job that is being carried out."""
        self._gauges: RayGauges | None = None
        self._begun = (0.0, 0)
        """When the process that trains was started or found, and how many steps were done then."""
        self._wishes: dict[str, Status] = {}
        """What is to become of the job that runs."""
        self._writing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read all records, and go on where things were left. Raises Locked, NotReady."""
        if self._worker is not None:
            return
        self._lock = await asyncio.to_thread(self._shelf.open)
        await asyncio.to_thread(self._recover)
        self._worker = asyncio.create_task(self._work())

    async def create(self, new: NewJob) -> Job:
        """Queue a training. Raises Busy where too many wait."""
        known = self._jobs.get(new.id)
        if known is not None:
            return known
        if sum(job.status == "queued" for job in self._jobs.values()) >= self._settings.jobs.max_queued:
            raise Busy(
                f"{self._settings.jobs.max_queued} jobs are waiting (jobs.max_queued); try again later"
            )
        job = self._drafted(new)
        async with self._writing:
            for role, content in new.files.items():
                await asyncio.to_thread(self._shelf.put, job.id, f"{role}.jsonl", content)
        await self._save(job)
        await self._tell(job.id, f"Created fine-tuning job: {job.id}")
        self._wake.set()
        return self._jobs[job.id]

    async def find(
        self, user: str, *, limit: int = 20, after: str | None = None, metadata: dict[str, str] | None = None
    ) -> tuple[list[Job], bool]:
        """A page of the user's jobs, newest first, and whether there are more. Raises NotFound (after)."""
        mine = [job for job in self._jobs.values() if job.user == user]
        mine = [job for job in mine if (metadata or {}).items() <= (job.metadata or {}).items()]
        mine.sort(key=lambda job: (job.created_at, job.id), reverse=True)
        ids = [job.id for job in mine]
        if after is not None and after not in ids:
            raise NotFound(f"there is no fine-tuning job {after[:100]!r}", "after")
        rest = mine[ids.index(after) + 1 :] if after is not None else mine
        return rest[:limit], len(rest) > limit

    async def get(self, user: str, id: str) -> Job:
        """One job. Raises NotFound."""
        job = self._jobs.get(id)
        if job is None or job.user != user:
            raise NotFound(f"there is no fine-tuning job {id[:100]!r}", "fine_tuning_job_id")
        return job

    async def cancel(self, user: str, id: str) -> Job:
        """End a job for good. Raises NotFound, InvalidRequest where it has ended."""
        return await self._wish(user, id, "cancelled")

    async def pause(self, user: str, id: str) -> Job:
        """Stop a job until it is resumed. Raises NotFound, InvalidRequest where it has ended."""
        return await self._wish(user, id, "paused")

    async def resume(self, user: str, id: str) -> Job:
        """Queue a paused job again. Raises NotFound, InvalidRequest where it is not paused."""
        job = await self.get(user, id)
        if job.status != "paused":
            raise InvalidRequest(f"job {id} is {job.status}, not paused", "fine_tuning_job_id")
        await self._save(replace(job, status="queued"))
        await self._tell(id, "Fine-tuning job queued again")
        self._wake.set()
        return self._jobs[id]

    async def events(
        self, user: str, id: str, *, limit: int = 20, after: int | None = None, newest_first: bool = True
    ) -> tuple[list[JobEvent], bool]:
        """A page of a job's events, and whether there are more; `after` is an event's number."""
        await self.get(user, id)
        found = self._events[id]
        if newest_first:
            found = [one for one in reversed(found) if after is None or one.number < after]
        else:
            found = [one for one in found if after is None or one.number > after]
        return found[:limit], len(found) > limit

    async def log(self, user: str, id: str) -> str:
        """What the process of a job printed."""
        await self.get(user, id)
        return await asyncio.to_thread(self._shelf.log, id)

    async def models(self, user: str) -> list[Model]:
        """The user's trained models, oldest first."""
        found = [job for job in self._jobs.values() if job.user == user and job.has_model]
        return [self._model(job) for job in sorted(found, key=lambda job: job.finished_at or 0)]

    async def model(self, user: str, name: str) -> Model:
        """A trained model of the user's. Raises NotFound."""
        for job in self._jobs.values():
            if job.name == name and job.user == user and job.has_model:
                return self._model(job)
        raise NotFound(f"The model '{name[:100]}' does not exist.", "model", "model_not_found")

    async def remove_model(self, user: str, name: str) -> None:
        """Delete a trained model; its files go once nobody can have them open. Raises NotFound."""
        await self.model(user, name)
        job = next(job for job in self._jobs.values() if job.name == name and job.user == user)
        await self._save(replace(job, removed=True))
        await self._tell(job.id, f"Deleted the model {name}")

    async def live(self) -> list[Live]:
        """What trains now, with the figures of its last step."""
        return [Live(id=id, figures=figures) for id, figures in self._live.items()]

    async def health(self) -> Health:
        """Well while it can carry jobs out."""
        if self._worker is None:
            return Health(ok=False, detail="the jobs are not read yet")
        waiting = sum(job.status == "queued" for job in self._jobs.values())
        dead = self._worker.done()
        return Health(
            ok=not dead, detail="jobs are stuck" if dead else "", running=len(self._live), waiting=waiting
        )

    async def close(self) -> None:
        """Stop what trains, to be resumed at the next start."""
        if self._worker is None:
            return
        self._worker.cancel()
        await asyncio.wait({self._worker})
        for job in list(self._jobs.values()):
            if job.process is not None:
                await asyncio.to_thread(self._launcher.stop, job.process)
                await self._save(replace(job, process=None))
        self._worker = None
        self._lock.release()

    def _recover(self) -> None:
        """Records, and how far the events tell; models that were deleted go now that nobody has them."""
        for id in self._shelf.ids():
            job = self._shelf.read(id)
            self._events[id] = self._shelf.events(id)
            told = [event.data["step"] for event in self._events[id] if event.data]
            self._jobs[id] = replace(job, step=max([job.step, *told]))
            if job.removed:
                self._shelf.remove_adapter(id)

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            job = self._next()
            if job is None:
                await self._wake.wait()
                continue
            self._current = job.id
            try:
                await self._carry_out(job.id)
            except (PalError, OSError) as error:
                log.warning("job %s: %s", job.id, error)
                await self._end(job.id, "failed", str(error))
            self._current = None

    def _next(self) -> Job | None:
        """What was begun before, then what has waited longest."""
        begun = [job for job in self._jobs.values() if job.status in BEGUN]
        queued = [job for job in self._jobs.values() if job.status == "queued"]
        return min(begun or queued, key=lambda job: (job.created_at, job.id), default=None)

    async def _carry_out(self, id: str) -> None:
        """One process of a job, from its start, or from where it is found again, to its end."""
        if self._jobs[id].process is None:
            await self._launch(id)
        handle = self._jobs[id].process or ""
        self._begun = (self._identity.now(), self._jobs[id].step)
        self._gauges = None if self._launcher.on_ray else ray_gauges(id)
        read = 0
        ended: Ended | None = None
        while ended is None:
            ended = await asyncio.to_thread(self._launcher.ended, handle)
            read = await self._progress(id, read)
            if ended is None and id in self._wishes:
                await asyncio.to_thread(self._launcher.stop, handle)
            elif ended is None:
                await asyncio.sleep(POLL_S)
        self._live.pop(id, None)
        if self._gauges is not None:
            self._gauges.show({"tokens_per_s": 0.0})
        await self._conclude(id, ended)

    async def _launch(self, id: str) -> None:
        job = self._jobs[id]
        if job.status == "queued":
            job = replace(job, status="validating_files", started_at=self._identity.now())
            await self._save(job)
            await self._tell(id, "Validating training file: " + job.training_file)
        command = await asyncio.to_thread(self._command, job)
        environ = {
            "PAL_HOME": str(self._settings.home),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }
        if self._settings.models.registry is not None:
            environ["PAL_MODELS__REGISTRY"] = str(self._settings.models.registry)
        handle = await asyncio.to_thread(
            self._launcher.launch, id, command, self._shelf.folder(id) / LOG, environ
        )
        job = replace(self._jobs[id], status="running", process=handle, launches=job.launches + 1)
        await self._save(job)
        resumed = f" again after step {job.step}" if job.launches > 1 else ""
        await self._tell(id, f"Fine-tuning job started{resumed}")

    def _command(self, job: Job) -> list[str]:
        """The command that trains, its settings written; with `--resume` where there is what to resume."""
        folder = self._shelf.folder(job.id)
        tree = {**job.training, "data": [{"kind": "chat", "path": str(folder / "training.jsonl")}]}
        if job.validation_file is not None:
            tree["eval_data"] = [{"kind": "chat", "path": str(folder / "validation.jsonl")}]
        config = self._shelf.put(job.id, CONFIG, json.dumps(tree, indent=1).encode())
        resume = ["--resume"] if self._shelf.saved(job.id) else []
        kind = "preferences" if job.training.get("method") == "dpo" else "long-context"
        program = self._settings.jobs.command or (sys.executable, "-m", "cluster", "train", kind)
        return [*program, str(config), "--out", str(self._shelf.run(job.id)), *resume, "--json"]

    async def _progress(self, id: str, read: int) -> int:
        """Tell of the steps and checkpoints since; returns up to where the figures were read."""
        lines, read = await asyncio.to_thread(self._shelf.figures, id, read)
        job = self._jobs[id]
        every = max(1, job.steps // MOST_FIGURES)
        for figures in lines:
            step = int(figures.pop("step")) + 1
            self._live[id] = {**figures, "step": step, "steps": job.steps}
            if self._gauges is not None:
                self._gauges.show(self._live[id])
            if step <= self._jobs[id].step:
                continue
            self._jobs[id] = replace(self._jobs[id], step=step, expected_end=self._expected(step, job.steps))
            if step % every == 0 or step == job.steps:
                loss = figures.get("loss")
                shown = "" if loss is None else f": training loss={loss:.4f}"
                await self._tell(id, f"Step {step}/{job.steps}{shown}", data={**figures, "step": step})
        await self._checkpoints(id)
        return read

    def _expected(self, step: int, steps: int) -> float | None:
        """When all steps will be done, as fast as they went since the process was started or found."""
        since, done = self._begun
        now = self._identity.now()
        return now + (now - since) / (step - done) * (steps - step) if step > done else None

    async def _checkpoints(self, id: str) -> None:
        job = self._jobs[id]
        known = {one.step for one in job.checkpoints}
        new = [step for step in await asyncio.to_thread(self._shelf.saved, id) if step not in known]
        for step in new:
            figures = self._live.get(id, {}) if step == job.step else self._figures_at(id, step)
            made = Checkpoint(step=step, created_at=self._identity.now(), figures=figures)
            job = replace(self._jobs[id], checkpoints=(*self._jobs[id].checkpoints, made))
            await self._save(job)
            await self._tell(id, f"Checkpoint saved at step {step}")

    def _figures_at(self, id: str, step: int) -> dict[str, Any]:
        told = [event.data for event in self._events[id] if event.data and event.data["step"] <= step]
        return dict(told[-1]) if told else {}

    async def _conclude(self, id: str, ended: Ended) -> None:
        """What the end of a job's process means."""
        await self._save(replace(self._jobs[id], process=None))
        wish = self._wishes.pop(id, None)
        adapter = await asyncio.to_thread(self._shelf.adapter, id)
        if wish is not None:
            await self._end(id, wish)
        elif ended.code in (0, None) and adapter is not None:
            await self._end(id, "succeeded")
        elif ended.code is None or ended.code < 0 or ended.code > SIGNALS:
            await self._died(id, ended)
        else:
            said = await asyncio.to_thread(self._shelf.last_words, id)
            await self._end(
                id, "failed", said or f"the training ended with code {ended.code}, without a word"
            )

    async def _died(self, id: str, ended: Ended) -> None:
        job = replace(self._jobs[id], lost=self._jobs[id].lost + 1)
        await self._save(job)
        how = "" if ended.code is None else f" (signal {-ended.code % SIGNALS})"
        if job.lost > self._settings.jobs.resumes:
            await self._end(
                id, "failed", f"the process that trains died {job.lost} times{how}; see `pal jobs logs {id}`"
            )
        else:
            await self._tell(id, f"The process that trains died{how}; it is started again", "warn")

    async def _end(self, id: str, status: Status, error: str | None = None) -> None:
        paused = status == "paused"
        job = replace(
            self._jobs[id],
            status=status,
            error=error,
            process=None,
            expected_end=None,
            finished_at=None if paused else self._identity.now(),
        )
        self._live.pop(id, None)
        self._wishes.pop(id, None)
        if status in ("succeeded", "cancelled"):
            await asyncio.to_thread(self._shelf.tidy, id)
        if status == "succeeded":
            await self._tell(id, f"New fine-tuned model created: {job.name}")
            await self._tell(id, "The job has successfully completed")
        else:
            said = f"Fine-tuning job {status}" + (f": {error}" if error else "")
            await self._tell(id, said, "error" if error else "info")
        await self._save(job)

    async def _wish(self, user: str, id: str, wish: Status) -> Job:
        job = await self.get(user, id)
        if job.status in ENDED or job.status == wish:
            raise InvalidRequest(f"job {id} is {job.status} already", "fine_tuning_job_id")
        if job.status in ("queued", "paused") and self._current != id:
            self._jobs[id] = replace(job, status=wish)
            await self._end(id, wish)
            return self._jobs[id]
        self._wishes[id] = wish
        while self._current == id or self._jobs[id].status in BEGUN:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S / 3)
        return self._jobs[id]

    async def _save(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._events.setdefault(job.id, [])
        async with self._writing:
            await asyncio.to_thread(self._shelf.write, self._jobs[job.id])

    async def _tell(
        self, id: str, message: str, level: Level = "info", data: dict[str, Any] | None = None
    ) -> None:
        async with self._writing:
            number, now = len(self._events[id]), self._identity.now()
            event = JobEvent(number=number, created_at=now, message=message, level=level, data=data)
            await asyncio.to_thread(self._shelf.append, id, event)
            self._events[id].append(event)

    def _drafted(self, new: NewJob) -> Job:
        return Job(
            id=new.id,
            user=new.user,
            model=new.model,
            name=f"ft:{new.model}:{new.suffix}:{new.id.rpartition('-')[2]}",
            training=new.training,
            training_file=new.training_file,
            validation_file=new.validation_file,
            suffix=new.suffix,
            hyperparameters=new.hyperparameters,
            metadata=new.metadata,
            created_at=self._identity.now(),
        )

    def _model(self, job: Job) -> Model:
        path = self._shelf.run(job.id) / "adapter"
        return Model(name=job.name, user=job.user, created_at=job.finished_at or 0, path=str(path))
