"""`pal jobs`, over a server and over the files of one that is down; jobs submitted to Ray."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from actors.training.launch import Ended, Processes
from actors.training.records import Job, JobEvent
from actors.training.shelf import Shelf
from cluster.__main__ import app
from cluster.jobs import RayJobs
from cluster.runtime import Ray

pal = CliRunner()
PATH = "/v1/fine_tuning/jobs"
JOB = {
    "id": "ftjob-1",
    "status": "running",
    "model": "m",
    "created_at": 1,
    "fine_tuned_model": None,
    "training_file": "file-1",
    "hyperparameters": {"n_epochs": 1},
    "seed": 0,
    "error": {"code": "x", "message": "why", "param": None},
}
EVENT = {"id": "ftevent-1-0", "created_at": 1, "message": "Step 1/2"}


def test_jobs_of_a_server(fake: Any) -> None:
    fake.on("GET", PATH, {"data": [JOB], "has_more": False})
    fake.on("GET", f"{PATH}/ftjob-1", JOB)
    fake.on("GET", f"{PATH}/ftjob-1/log", b"loading\nerror: why\n")
    fake.on("POST", f"{PATH}/ftjob-1/cancel", {**JOB, "status": "cancelled"})
    fake.on("GET", f"{PATH}/ftjob-1/events", {"data": [EVENT], "has_more": False})

    def said(*words: str) -> str:
        result = pal.invoke(app, ["jobs", *words, "--url", fake.url])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert json.loads(said("list", "--json")) == JOB
    assert "ftjob-1   running" in said("list")
    shown = said("show", "ftjob-1")
    assert "error            why" in shown
    assert "Step 1/2" in shown
    assert said("logs", "ftjob-1") == "loading\nerror: why\n"
    assert said("stop", "ftjob-1") == "cancelled ftjob-1\n"
    fake.routes["GET", f"{PATH}/ftjob-1/events"] = lambda _: (200, [EVENT])
    assert json.loads(said("logs", "ftjob-1", "--follow", "--json")) == EVENT


def test_jobs_of_a_server_that_is_down(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shelf = Shelf(home)
    log = tmp_path / "log"
    processes = Processes(0)
    handle = processes.launch("x", [sys.executable, "-c", "import time; time.sleep(600)"], log, {})
    job = Job(
        id="ftjob-1",
        user="ann",
        model="m",
        name="ft:m::1",
        training={"steps": 2, "seed": 0, "length": 64, "batch": 1},
        training_file="file-1",
        validation_file=None,
        suffix="",
        hyperparameters={"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1.0},
        metadata=None,
        created_at=1.0,
        status="running",
        process=handle,
    )
    shelf.write(job)
    shelf.append(job.id, JobEvent(number=0, created_at=1.0, message="Created"))
    shelf.put(job.id, "training.jsonl", b"{}\n")
    listed = json.loads(pal.invoke(app, ["jobs", "list", "--json"]).stdout)
    assert (listed["id"], listed["status"], listed["organization_id"]) == ("ftjob-1", "running", "ann")
    assert "Created" in pal.invoke(app, ["jobs", "show", "ftjob-1"]).stdout
    assert pal.invoke(app, ["jobs", "stop", "ftjob-1"]).stdout == "cancelled ftjob-1\n"
    assert not psutil.pid_exists(int(handle.split()[0])) or processes.ended(handle)
    assert shelf.read(job.id).status == "cancelled"
    assert not (home / "jobs" / job.id / "training.jsonl").exists()
    again = pal.invoke(app, ["jobs", "stop", "ftjob-1"])
    assert (again.exit_code, again.stderr) == (1, "error: job ftjob-1 is cancelled already\n")
    assert "there is no job" in pal.invoke(app, ["jobs", "logs", "ftjob-none"]).stderr


@pytest.mark.ray
def test_a_job_is_submitted_to_ray_watched_and_stopped(ray_runtime: Ray, tmp_path: Path) -> None:
    assert ray_runtime.dashboard is not None
    launcher = RayJobs(ray_runtime.dashboard, niceness=3)
    log = tmp_path / "log.txt"
    script = "import os, time; print('nice', os.nice(0), os.environ['MARK'], flush=True); time.sleep(600)"
    handle = launcher.launch("ftjob-1", [sys.executable, "-c", script], log, {"MARK": "set"})
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert log.read_text() == "nice 3 set\n"
    assert launcher.ended(handle) is None
    launcher.stop(handle)
    assert launcher.ended(handle) is not None
    assert launcher.ended("ftjob-unknown") == Ended(None)
