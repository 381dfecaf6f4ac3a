import json
import os
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from configs.sweep import plan
from tune.conductor import TRIALS, Conductor, Event
from tune.local import run
from tune.trials import lines_of, result_of

PROGRAM = """
import json, os, sys
trial = json.load(open("trial.json"))
rate = trial["settings"]["values"]["rate"]
for step in (1, 2):
    if rate == 3:
        print(json.dumps({"value": float("nan")}))
    else:
        print(json.dumps({"value": rate * step, "tokens": 5}), flush=True)
if rate == 2:
    sys.exit("it broke")
"""


def test_trials_are_carried_out_in_a_child_whose_death_costs_one_attempt(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "name: demo\nobjective: branin\nbase: {steps: 4, seconds: 0.02}\nseeds: [0, 1]\nretries: 1\n"
    )
    killed: list[int] = []

    def watch(event: Event) -> None:
        if event.kind == "step" and event.step == 3 and not killed:
            killed.append(int((event.run.folder / "lock").read_text()))
            os.kill(killed[0], signal.SIGKILL)

    outcome = run(Conductor(plan(path), tmp_path / "out", resume=False, watch=watch))
    assert killed != [os.getpid()]
    assert outcome.states == {"complete": 2}
    for folder in (tmp_path / "out" / TRIALS).iterdir():
        assert [line["step"] for line in lines_of(folder)] == [1, 2, 3, 4]


def test_a_program_of_ones_own_is_a_trial_and_its_faults_end_it_alone(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    path = tmp_path / "sweep.yaml"
    base = {"command": [sys.executable, str(tmp_path / "program.py")], "values": {"rate": 1}}
    sweep = {"space": {"values.rate": [1, 2, 3, 4]}, "search": {"method": "grid"}, "retries": 1}
    path.write_text(json.dumps({"name": "demo", "objective": "command", "base": base, **sweep}))
    outcome = run(Conductor(plan(path), tmp_path / "out", resume=False))
    assert outcome.states == {"complete": 2, "failed": 2}
    results = [result_of(tmp_path / "out" / TRIALS / f"demo-{number:04}-s0") for number in range(4)]
    said = [one.said for one in results if one is not None]
    assert [said[0], said[2], said[3]] == ["", "value is nan at step 1", ""]
    assert "ended with 1: see log.txt" in said[1]
    assert "it broke" in (tmp_path / "out" / TRIALS / "demo-0001-s0" / "log.txt").read_text()
    assert [run.values for run in outcome.best] == [{"values.rate": 4}]
    assert outcome.tokens == 20 + 10
