"""/v1/fine_tuning/jobs: models are trained on a user's own conversations. Knows no training."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from actors.jobs import Jobs
from actors.messages import InvalidRequest, NotFound
from actors.training.records import ENDED, Checkpoint, Job, JobEvent
from serve.services import ServicesDep, UserDep
from serve.streams import EventStream
from serve.tuning import jobs_of, planned
from serve.tuning_wire import (
    CheckpointPage,
    CreateJob,
    EventPage,
    FineTuningJob,
    FineTuningJobCheckpoint,
    FineTuningJobEvent,
    JobError,
    JobPage,
    TunedDpo,
    TunedDpoHyperparameters,
    TunedHyperparameters,
    TunedMethod,
    TunedSupervised,
)

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])

Limit = Annotated[int, Query(ge=1, le=100)]
POLL_S = 0.25
MANY = 1000
"""Events that are read at once for a stream."""
EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"model": EventPage, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
LEARNED = {"loss": "train_loss", "eval_loss": "valid_loss"}
"""OpenAI's names of figures."""


@router.post("")
async def create_job(
    body: CreateJob, request: Request, services: ServicesDep, user: UserDep
) -> FineTuningJob:
    """Queue a training, once all of it was checked."""
    jobs = jobs_of(services)
    return job_object(await jobs.create(await planned(services, request.app.state.catalog, user, body)))


@router.get("")
async def list_jobs(
    request: Request, services: ServicesDep, user: UserDep, limit: Limit = 20, after: str | None = None
) -> JobPage:
    """The user's jobs, newest first; `metadata[key]=value` keeps those that have it."""
    wanted = {
        name[len("metadata[") : -1]: value
        for name, value in request.query_params.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    found, more = await jobs_of(services).find(user, limit=limit, after=after, metadata=wanted)
    return JobPage(data=[job_object(job) for job in found], has_more=more)


@router.get("/{job_id}")
async def get_job(job_id: str, services: ServicesDep, user: UserDep) -> FineTuningJob:
    """One job."""
    return job_object(await jobs_of(services).get(user, job_id))


@router.post("/{job_id}/cancel")
async def cancel_job(job_id: str, services: ServicesDep, user: UserDep) -> FineTuningJob:
    """End a job for good."""
    return job_object(await jobs_of(services).cancel(user, job_id))


@router.post("/{job_id}/pause")
async def pause_job(job_id: str, services: ServicesDep, user: UserDep) -> FineTuningJob:
    """Stop a job after its last checkpoint, until it is resumed."""
    return job_object(await jobs_of(services).pause(user, job_id))


@router.post("/{job_id}/resume")
async def resume_job(job_id: str, services: ServicesDep, user: UserDep) -> FineTuningJob:
    """Queue a paused job again; it goes on after its last checkpoint."""
    return job_object(await jobs_of(services).resume(user, job_id))


@router.get("/{job_id}/events", response_model=None, responses=EVENT_STREAM)
async def list_events(
    job_id: str,
    services: ServicesDep,
    user: UserDep,
    limit: Limit = 20,
    after: str | None = None,
    stream: bool = False,
) -> EventPage | Response:
    """What happened to a job, newest first; as a stream all of it from the beginning, until the job ends."""
    jobs = jobs_of(services)
    number = None if after is None else _number(after, "ftevent", job_id)
    job = await jobs.get(user, job_id)
    if stream:
        return EventStream(_told(jobs, user, job_id, number))
    found, more = await jobs.events(user, job_id, limit=limit, after=number)
    return EventPage(data=[event_object(job, event) for event in found], has_more=more)


@router.get("/{job_id}/checkpoints")
async def list_checkpoints(
    job_id: str, services: ServicesDep, user: UserDep, limit: Limit = 10, after: str | None = None
) -> CheckpointPage:
    """States that the job could go on from, newest first."""
    job = await jobs_of(services).get(user, job_id)
    before = None if after is None else _number(after, "ftckpt", job_id)
    found = [one for one in reversed(job.checkpoints) if before is None or one.step < before]
    data = [checkpoint_object(job, one) for one in found[:limit]]
    ends = (data[0].id, data[-1].id) if data else (None, None)
    return CheckpointPage(data=data, first_id=ends[0], last_id=ends[1], has_more=len(found) > limit)


@router.get("/{job_id}/log", response_class=Response)
async def get_log(job_id: str, services: ServicesDep, user: UserDep) -> Response:
    """What the process that trains has printed."""
    text = await jobs_of(services).log(user, job_id)
    return Response(text, media_type="text/plain; charset=utf-8")


def job_object(job: Job) -> FineTuningJob:
    """OpenAI's fine_tuning.job."""
    chosen = _chosen(job)
    ended = job.status in ENDED
    failed = JobError(code="training_failed", message=job.error, param=None) if job.error else None
    return FineTuningJob(
        id=job.id,
        created_at=int(job.created_at),
        error=failed,
        fine_tuned_model=job.name if job.status == "succeeded" else None,
        finished_at=int(job.finished_at) if job.finished_at is not None else None,
        hyperparameters=chosen,
        model=job.model,
        organization_id=job.user,
        result_files=[],
        seed=job.seed,
        status=job.status,
        trained_tokens=job.trained_tokens if ended else None,
        training_file=job.training_file,
        validation_file=job.validation_file,
        estimated_finish=int(job.expected_end) if job.expected_end is not None else None,
        integrations=[],
        metadata=dict(job.metadata) if job.metadata is not None else None,
        method=_method(chosen),
    )


def _chosen(job: Job) -> TunedHyperparameters:
    kind = TunedDpoHyperparameters if "beta" in job.hyperparameters else TunedHyperparameters
    return kind(**job.hyperparameters)


def _method(chosen: TunedHyperparameters) -> TunedMethod:
    if isinstance(chosen, TunedDpoHyperparameters):
        return TunedMethod(type="dpo", dpo=TunedDpo(hyperparameters=chosen))
    return TunedMethod(supervised=TunedSupervised(hyperparameters=chosen))


def event_object(job: Job, event: JobEvent) -> FineTuningJobEvent:
    """OpenAI's fine_tuning.job.event."""
    data = {} if event.data is None else {**_figures(event.data), "total_steps": job.steps}
    return FineTuningJobEvent(
        id=f"{_stem('ftevent', job.id)}{event.number}",
        created_at=int(event.created_at),
        level=event.level,
        message=event.message,
        type="metrics" if data else "message",
        data=data,
    )


def checkpoint_object(job: Job, one: Checkpoint) -> FineTuningJobCheckpoint:
    """OpenAI's fine_tuning.job.checkpoint; the last one is what the trained model is made of."""
    last = one.step == job.steps
    return FineTuningJobCheckpoint(
        id=f"{_stem('ftckpt', job.id)}{one.step}",
        created_at=int(one.created_at),
        fine_tuned_model_checkpoint=job.name if last else f"{job.name}:ckpt-step-{one.step}",
        fine_tuning_job_id=job.id,
        metrics={**_figures(one.figures), "step": one.step},
        step_number=one.step,
    )


async def _told(jobs: Jobs, user: str, id: str, after: int | None) -> AsyncGenerator[str]:
    """Each event as JSON text once it happens, until the job has ended."""
    while True:
        job = await jobs.get(user, id)
        events, more = await jobs.events(user, id, limit=MANY, after=after, newest_first=False)
        for event in events:
            yield event_object(job, event).model_dump_json()
            after = event.number
        if job.status in ENDED and not more:
            return
        if not more:
            await asyncio.sleep(POLL_S)


def _figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {LEARNED.get(name, name): value for name, value in figures.items()}


def _stem(kind: str, job_id: str) -> str:
    return f"{kind}-{job_id.rpartition('-')[2]}-"


def _number(id: str, kind: str, job_id: str) -> int:
    """The number in the id of an event or checkpoint of that job. Raises NotFound, InvalidRequest."""
    stem = _stem(kind, job_id)
    if not id.startswith(stem):
        raise NotFound(f"there is no {id[:100]!r} in this job", "after")
    if not id[len(stem) :].isascii() or not id[len(stem) :].isdecimal():
        raise InvalidRequest(f"{id[:100]!r} is no id", "after")
    return int(id[len(stem) :])
