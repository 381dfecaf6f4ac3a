"""`pal jobs`: the fine-tuning jobs of a server, or of the state directory while none runs."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from actors.messages import InvalidRequest, Json
from cluster.context import JsonFlag, KeyOption, UrlOption, emit, settings_of, show_table

if TYPE_CHECKING:
    from actors.training.records import Job
    from cluster.client import Client
    from configs.schema import Settings

PATH = "/v1/fine_tuning/jobs"
SHOWN = 10
"""Events that `pal jobs show` prints."""
JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of a job, e.g. ftjob-1f0c….")]

app = typer.Typer(no_args_is_help=True, help="List, show, follow and stop fine-tuning jobs.")


class Place(Protocol):
    """Where jobs are asked for; objects are OpenAI's."""

    def jobs(self) -> list[Json]: ...
    def job(self, id: str) -> Json: ...
    def events(self, id: str) -> list[Json]: ...
    def follow(self, id: str) -> Iterator[Json]: ...
    def log(self, id: str) -> str: ...
    def stop(self, id: str) -> Json: ...


@app.command("list")
def list_jobs(
    ctx: typer.Context, url: UrlOption = None, api_key: KeyOption = None, as_json: JsonFlag = False
) -> None:
    """List jobs, newest first."""
    with _place(ctx, url, api_key) as place:
        found = place.jobs()
    if as_json:
        for one in found:
            emit(one)
        return
    rows = ([one["id"], one["status"], one["model"], _when(one), one["fine_tuned_model"]] for one in found)
    show_table(["Job", "Status", "Model", "Created", "Result"], rows)


@app.command()
def show(
    ctx: typer.Context,
    job: JobId,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a job and what happened to it last."""
    with _place(ctx, url, api_key) as place:
        found, events = place.job(job), place.events(job)
    if as_json:
        emit({**found, "events": events[-SHOWN:]})
        return
    for name in ("id", "status", "model", "fine_tuned_model", "training_file", "hyperparameters", "seed"):
        typer.echo(f"{name:16} {found[name]}")
    if found["error"]:
        typer.echo(f"{'error':16} {found['error']['message']}")
    for event in events[-SHOWN:]:
        _say(event)


@app.command()
def logs(
    ctx: typer.Context,
    job: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print events as they come, until the job ends.")
    ] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print what the process that trains has printed, or with --follow each event as it comes."""
    with _place(ctx, url, api_key) as place:
        if not follow:
            text = place.log(job)
            emit({"id": job, "log": text}) if as_json else typer.echo(text, nl=False)
            return
        for event in place.follow(job):
            emit(event) if as_json else _say(event)


@app.command()
def stop(
    ctx: typer.Context,
    job: JobId,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Cancel a job for good."""
    with _place(ctx, url, api_key) as place:
        found = place.stop(job)
    emit(found) if as_json else typer.echo(f"{found['status']} {found['id']}")


@contextmanager
def _place(ctx: typer.Context, url: str | None, api_key: str | None) -> Iterator[Place]:
    """The server that is named or runs, else the state directory."""
    from cluster.client import connect
    from cluster.running import read_note

    settings = settings_of(ctx).settings
    if url is None and read_note(settings.home) is None:
        yield _Home(settings)
        return
    with connect(settings, url, api_key) as client:
        yield _Server(client)


class _Server:
    """Over the API: the jobs of the key's user."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def jobs(self) -> list[Json]:
        return list(self._client.pages(PATH))

    def job(self, id: str) -> Json:
        return self._client.get(f"{PATH}/{id}")

    def events(self, id: str) -> list[Json]:
        newest: list[Json] = self._client.get(f"{PATH}/{id}/events", limit=SHOWN)["data"]
        return newest[::-1]

    def follow(self, id: str) -> Iterator[Json]:
        for line in self._client.lines(f"{PATH}/{id}/events", stream="true"):
            if line.startswith(b"data: {"):
                yield json.loads(line.removeprefix(b"data: "))

    def log(self, id: str) -> str:
        return "\n".join(line.decode() for line in self._client.lines(f"{PATH}/{id}/log")) + "\n"

    def stop(self, id: str) -> Json:
        return self._client.post(f"{PATH}/{id}/cancel", {})


class _Home:
    """From the files: the jobs of all users."""

    def __init__(self, settings: "Settings") -> None:
        from actors.training.shelf import Shelf

        self._shelf = Shelf(settings.home)

    def jobs(self) -> list[Json]:
        found = [self._shelf.read(id) for id in self._shelf.ids()]
        return [_object(job) for job in sorted(found, key=lambda job: job.created_at, reverse=True)]

    def job(self, id: str) -> Json:
        return _object(self._shelf.read(id))

    def events(self, id: str) -> list[Json]:
        from serve.routes.fine_tuning import event_object

        job = self._shelf.read(id)
        return [event_object(job, event).model_dump() for event in self._shelf.events(id)]

    def follow(self, id: str) -> Iterator[Json]:
        return iter(self.events(id))

    def log(self, id: str) -> str:
        self._shelf.read(id)
        return self._shelf.log(id)

    def stop(self, id: str) -> Json:
        from actors.training.launch import Processes
        from actors.training.records import ENDED, JobEvent

        lock = self._shelf.open()
        try:
            job = self._shelf.read(id)
            if job.status in ENDED:
                raise InvalidRequest(f"job {id} is {job.status} already")
            if job.process is not None:
                Processes(0).stop(job.process)
            now = time.time()
            job = replace(job, status="cancelled", process=None, finished_at=now)
            number = len(self._shelf.events(id))
            told = JobEvent(number=number, created_at=now, message="Fine-tuning job cancelled")
            self._shelf.append(id, told)
            self._shelf.write(job)
            self._shelf.tidy(id)
        finally:
            lock.release()
        return _object(job)


def _object(job: "Job") -> Json:
    from serve.routes.fine_tuning import job_object

    return job_object(job).model_dump()


def _when(job: Json) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(job["created_at"]))


def _say(event: Json) -> None:
    when = time.strftime("%H:%M:%S", time.localtime(event["created_at"]))
    typer.echo(f"{when}  {event['message']}")
