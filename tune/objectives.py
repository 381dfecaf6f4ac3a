"""What trials run, by name: each takes its settings and a seed, and tells its figures as they come."""

import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from actors.messages import InvalidRequest, PalError
from configs.objectives import Branin, CommandObjective, FunctionSettings, Hartmann6
from tune.objective_compression import compression
from tune.objective_learning import learning
from tune.objective_long import long
from tune.objective_ranker import ranker
from tune.trials import LOG, Reporter

Objective = Callable[[Any, Reporter], None]
"""Takes the trial's settings, and where figures go, which has the seed and the checkpoint's directory too."""
HARTMANN_ALPHA = (1.0, 1.2, 3.0, 3.2)
HARTMANN_A = (
    (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
    (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
    (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
    (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
)
HARTMANN_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def hartmann6(settings: Hartmann6, report: Reporter) -> None:
    """Four bumps over six settings."""
    x = np.array([getattr(settings, f"x{place}") for place in range(1, 7)])
    parts = ((x - np.array(HARTMANN_P)) ** 2 * np.array(HARTMANN_A)).sum(axis=1)
    _seen(float(np.array(HARTMANN_ALPHA) @ np.exp(-parts)), -1.0, settings, report)


def branin(settings: Branin, report: Reporter) -> None:
    """Three valleys over two settings."""
    x, y = settings.x1, settings.x2
    bend = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    true = bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    _seen(true, 1.0, settings, report)


def command(settings: CommandObjective, report: Reporter) -> None:
    """A program: each line of JSON that it prints is a step; it is ended when the trial is."""
    if not settings.command:
        raise InvalidRequest("objective command needs base.command, the program to run")
    environ = {**os.environ, "PAL_TRIAL": str(report.folder), "PAL_TRIAL_SEED": str(report.seed)}
    with (
        (report.folder / LOG).open("ab") as log,
        subprocess.Popen(
            settings.command,
            cwd=report.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            pass_fds=(report.lock,),
        ) as program,
    ):
        try:
            for number, line in enumerate(program.stdout or (), 1):
                figures = json.loads(line)
                report(int(figures.pop("step", number)), figures, int(figures.pop("tokens", 0)))
        finally:
            if program.poll() is None:
                _end(program)
    if program.returncode:
        raise PalError(f"{settings.command[0]} ended with {program.returncode}: see {LOG}", code="failed")


def _end(program: "subprocess.Popen[str]") -> None:
    """By itself where it has closed its output, else by force."""
    try:
        program.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _seen(true: float, worse: float, settings: FunctionSettings, report: Reporter) -> None:
    """A value with noise, in steps that come nearer to it; goes on after the last step that was seen."""
    draw = np.random.default_rng([report.seed, *np.frombuffer(np.float64(true).tobytes(), np.uint32)])
    noise = settings.noise * draw.standard_normal(settings.steps)
    path = report.checkpoint / "step"
    done = int(path.read_text()) if path.is_file() else 0
    for step in range(done + 1, settings.steps + 1):
        time.sleep(settings.seconds)
        path.write_text(str(step))
        seen = true + worse * (settings.steps / step - 1) + float(noise[step - 1])
        report(step, {"value": seen, "true": true}, tokens=1)


FUNCTIONS: Mapping[str, Objective] = {
    "hartmann6": hartmann6,
    "branin": branin,
    "learning": learning,
    "compression": compression,
    "ranker": ranker,
    "long": long,
    "command": command,
}
