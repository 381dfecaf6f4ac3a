import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("optuna")

from configs.sweep import plan
from tune.conductor import TRIALS, Conductor, Event
from tune.trials import lines_of, result_of

if TYPE_CHECKING:
    from cluster.runtime import Ray

SWEEP = """name: demo
objective: branin
base: {steps: 4, noise: 0.1, seconds: 0.02}
space:
  x1: {low: -5, high: 10}
  x2: {low: 0, high: 15}
search: {method: random}
early: {method: asha, factor: 2}
budget: {trials: 6}
resources: {cpus: 1, concurrent: 2}
retries: 1
"""
PROGRAM = """
import json, os, sys
trial = json.load(open("trial.json"))
seen = os.path.join("checkpoint", "seen")
done = int(open(seen).read()) if os.path.exists(seen) else 0
for step in range(done + 1, 4):
    open(seen, "w").write(str(step))
    print(json.dumps({"step": step, "value": trial["settings"]["values"]["rate"] * step}), flush=True)
if trial["settings"]["values"].get("breaks"):
    sys.exit("it broke")
"""
GROWING = """
import glob, json, os, time
trial, path = json.load(open("trial.json")), os.path.join("checkpoint", "grown")
parent = os.getppid()
open("begun", "w").close()
while len(glob.glob("../*/begun")) < 2:
    time.sleep(0.01)
grown = json.load(open(path)) if os.path.exists(path) else {"size": 0, "by": []}
for step in range(len(grown["by"]) + 1, 11):
    grown["size"] += trial["settings"]["values"]["rate"]
    grown["by"].append(os.path.basename(os.getcwd()))
    with open("draft", "w") as file:
        json.dump(grown, file)
    os.replace("draft", path)
    print(json.dumps({"step": step, "value": grown["size"]}), flush=True)
    told = 0
    while told < step and os.getppid() == parent:
        time.sleep(0.01)
        lines = open("metrics.jsonl").read().split("\\n") if os.path.exists("metrics.jsonl") else []
        told = max((json.loads(line)["step"] for line in lines[:-1]), default=0)
"""


@pytest.mark.ray
def test_ray_ends_what_is_behind_and_goes_on_where_a_process_died(tmp_path: Path, ray_runtime: "Ray") -> None:
    from tune.sweep import machine, run

    assert machine().cpus == 4
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    killed: list[str] = []
    terminal = threading.Lock()

    def watch(event: Event) -> None:
        with terminal:
            assert event.run.folder.is_dir()
        if event.kind == "step" and event.step == 3 and not killed:
            killed.append(event.run.name)
            os.kill(int((event.run.folder / "lock").read_text()), signal.SIGKILL)

    outcome = run(Conductor(plan(path), tmp_path / "out", resume=False, watch=watch))
    assert len(killed) == 1
    assert set(outcome.states) == {"complete", "pruned"}
    assert sum(outcome.states.values()) == 6
    folder = tmp_path / "out" / TRIALS / killed[0]
    assert [line["step"] for line in lines_of(folder)] == [1, 2, 3, 4]
    assert not (tmp_path / "out" / "ray").exists()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("ray_runtime")
def test_of_a_population_the_worse_go_on_from_the_better_ones_checkpoint(tmp_path: Path) -> None:
    from tune.sweep import run

    (tmp_path / "program.py").write_text(GROWING)
    base = {"command": [sys.executable, str(tmp_path / "program.py")], "values": {"rate": 0.5}}
    sweep = {
        "space": {"values.rate": {"low": 0, "high": 1}},
        "search": {"method": "random", "seed": 4, "default_first": False},
        "early": {"method": "pbt", "first": 4, "factor": 2},
        "budget": {"trials": 2},
        "confirm": [7],
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps({"name": "demo", "objective": "command", "base": base, **sweep}))
    begun: dict[str, float] = {}

    def watch(event: Event) -> None:
        if event.kind == "begin" and event.run.role == "search":
            begun[event.run.name] = event.run.values["values.rate"]

    outcome = run(Conductor(plan(path), tmp_path / "out", resume=False, watch=watch))
    assert outcome.states == {"complete": 4}
    worse, better = sorted(begun, key=lambda name: begun[name])
    folder = tmp_path / "out" / TRIALS / worse
    grown = json.loads((folder / "checkpoint" / "grown").read_text())
    assert better in grown["by"]
    assert grown["by"][-1] == worse
    assert grown["size"] > 10 * begun[worse]
    assert lines_of(folder)[-1]["step"] == 10
    kept = json.loads((folder / "trial.json").read_text())
    assert 0 <= kept["values"]["values.rate"] <= 1
    assert kept["values"]["values.rate"] == kept["settings"]["values"]["rate"] != begun[worse]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("ray_runtime")
def test_a_trial_that_breaks_ends_alone_with_what_it_said(tmp_path: Path) -> None:
    from tune.sweep import run

    (tmp_path / "program.py").write_text(PROGRAM)
    base = {"command": [sys.executable, str(tmp_path / "program.py")], "values": {"rate": 1, "breaks": False}}
    parts = {"ablate": {"parts": {"broken": {"values.breaks": True}}}, "retries": 1}
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps({"name": "demo", "objective": "command", "base": base, **parts}))
    outcome = run(Conductor(plan(path), tmp_path / "out", resume=False))
    assert outcome.states == {"complete": 1, "failed": 1}
    result = result_of(tmp_path / "out" / TRIALS / "demo-0001-s0")
    assert result is not None
    assert "ended with 1: see log.txt" in result.said
