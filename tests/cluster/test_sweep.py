import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("optuna")

from cluster.__main__ import app

SWEEP = """name: demo
objective: branin
base: {steps: 3, noise: 0.1}
space:
  x1: {low: -5, high: 10}
  x2: {low: 0, high: 15}
search: {method: random}
budget: {trials: 5}
"""


def pal(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(SWEEP)
    return path


def test_a_sweep_whose_driver_was_killed_goes_on_and_repeats_nothing(tmp_path: Path, file: Path) -> None:
    out = tmp_path / "out"
    slow = ["--set", "seconds=0.1", "--out", str(out), "--local", "--json"]
    command = [sys.executable, "-m", "cluster", "sweep", "run", str(file), *slow]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        ended = [json.loads(line) for line in driver.stdout if '"end"' in line and not driver.kill()]
    assert pal("sweep", "run", file, *slow).exit_code == 1
    again = pal("sweep", "run", file, *slow, "--resume")
    assert again.exit_code == 0, again.output
    events = [json.loads(line) for line in again.stdout.splitlines()]
    ran = {event["trial"] for event in events if event["event"] == "begin"}
    assert len(ran) == 5 - len(ended)
    assert not ran & {event["trial"] for event in ended}
    assert events[-1]["states"] == {"complete": 5}
    shown = pal("analyze", out, "--json")
    assert json.loads(shown.stdout)["runs"][0]["name"] == "demo"
    assert str(out / "report.html") in pal("analyze", out).stdout


def test_an_experiment_runs_once_with_each_seed_and_is_reported(tmp_path: Path, file: Path) -> None:
    assert "describes one sweep: pal sweep run" in pal("experiment", "run", file, "--local").stderr
    file.write_text("name: demo\nobjective: branin\nseeds: [1, 2]\n")
    done = pal("experiment", "run", file, "--local", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert f"report: {tmp_path / 'out' / 'report.html'}" in done.stdout
    assert "demo-0000-s2 complete" in done.stderr


def test_what_only_ray_can_do_is_refused_without_it(tmp_path: Path, file: Path) -> None:
    file.write_text(SWEEP + "early: {method: pbt}\n")
    refused = pal("sweep", "run", file, "--local", "--out", tmp_path / "out")
    assert (refused.exit_code, "early pbt needs Ray" in refused.stderr) == (2, True)
    wrong = pal("sweep", "run", file, "--local", "--set", "noise")
    assert (wrong.exit_code, "--set takes KEY=VALUE" in wrong.stderr) == (2, True)
