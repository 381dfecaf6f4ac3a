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
def test_a_population_goes_to_its_end_within_the_bounds_of_its_settings(tmp_path: Path) -> None:
    from tune.sweep import run

    (tmp_path / "program.py").write_text(PROGRAM)
    base = {"command": [sys.executable, str(tmp_path / "program.py")], "values": {"rate": 0.5}}
    sweep = {
        "space": {"values.rate": {"low": 0, "high": 1}},
        "search": {"method": "random", "default_first": False},
        "early": {"method": "pbt", "first": 1, "factor": 2},
        "budget": {"trials": 2},
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps({"name": "demo", "objective": "command", "base": base, **sweep}))
    outcome = run(Conductor(plan(path), tmp_path / "out", resume=False))
    assert outcome.states == {"complete": 2}
    folders = {folder.name: folder for folder in (tmp_path / "out" / TRIALS).iterdir()}
    kept = {name: json.loads((path / "trial.json").read_text()) for name, path in folders.items()}
    rates = {name: trial["values"]["values.rate"] for name, trial in kept.items()}
    assert all(0 <= rate <= 1 for rate in rates.values())
    assert all(trial["settings"]["values"]["rate"] == rates[name] for name, trial in kept.items())


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
