"""Steps of the same loop on the same two ranks: as our Ray actors, and under DeepSpeed's own launcher.

python -m benchmarks.train_launch PLAN     is what DeepSpeed's launcher starts, once a rank
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from configs.training import LongContextTraining
from tune.train import Plan

SKIPPED = 2
"""First steps of a launch that are not counted."""


def compare(model: Path, length: int, steps: int, rounds: int, zero: int) -> dict[str, Any]:
    """Median seconds of a step each way, launches taking turns, and the ratio of ours to the other."""
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory(prefix="palimpsest-launch-") as folder:
        for number in range(rounds):
            told = plan(model, Path(folder) / f"ours-{number}", length, steps, zero)
            ours += _seconds(run(ours_of(told)))
            told = plan(model, Path(folder) / f"theirs-{number}", length, steps, zero)
            theirs += _seconds(run(theirs_of(told, Path(folder) / f"plan-{number}")))
    return {
        "length": length,
        "counted_steps": len(ours),
        "ray_actors_step_s": round(median(ours), 3),
        "deepspeed_launcher_step_s": round(median(theirs), 3),
        "ratio": round(median(ours) / median(theirs), 3),
    }


def plan(model: Path, folder: Path, length: int, steps: int, zero: int, **given: Any) -> Plan:
    """A training on two ranks that share each sequence, on made-up tasks."""
    tree = {
        "model": str(model),
        "data": [{"kind": "synthetic", "name": "needle", "count": 64}],
        "length": length,
        "steps": steps,
        "ranks": 2,
        "sequence_parallel": 2,
        "zero": zero,
        "device": "cpu",
        "threads": 1,
        "checkpoint_every": steps,
    }
    settings = LongContextTraining.model_validate(tree | given)
    return Plan(settings=settings, model=model, folder=folder, home=folder.parent)


def ours_of(told: Plan, *more: str) -> list[str]:
    """The command that trains on Ray actors."""
    settings = told.folder.with_suffix(".json")
    settings.write_text(told.settings.model_dump_json())
    command = [sys.executable, "-m", "cluster", "--set", f"home={told.home}", "train", "long-context"]
    return [*command, str(settings), "--out", str(told.folder), "--json", *more]


def theirs_of(told: Plan, file: Path) -> list[str]:
    """The command that starts the same loop by DeepSpeed's launcher."""
    told.folder.mkdir(parents=True)
    file.write_bytes(pickle.dumps(told))
    command = [sys.executable, "-m", "deepspeed.launcher.runner", "--num_gpus", "2", "--master_port", "29617"]
    return [*command, "--module", "benchmarks.train_launch", str(file)]


def run(command: list[str]) -> Iterable[dict[str, Any]]:
    """The JSON lines that a program prints. Raises RuntimeError if it fails."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "DS_ACCELERATOR": "cpu"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed: {done.stderr[-2000:]}")
    return [json.loads(line[line.index("{") :]) for line in done.stdout.splitlines() if '"step_s"' in line]


def _seconds(figures: Iterable[dict[str, Any]]) -> list[float]:
    return [float(one["step_s"]) for one in figures][SKIPPED:]


def main() -> int:
    """One rank, as it was launched."""
    import torch

    from tune.group import Group
    from tune.train import train

    told: Plan = pickle.loads(Path(sys.argv[-1]).read_bytes())
    torch.set_num_threads(1)
    device = torch.device("cpu")
    group = Group(told.settings, device)
    for figures in train(told, group, device, None):
        if group.first:
            print(json.dumps(figures), flush=True)
    group.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
