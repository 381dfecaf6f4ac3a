"""How near the searches come to a known optimum through noise, by method, over several seeds.

    pal bench sweep [-- --functions hartmann6,branin --methods grid,random,tpe,gp --seeds 5 --out DIR]
    pal bench sweep -- --refusals      # how soon a file that cannot work is refused, and with what words

Each search is a sweep like any other: directories, child process, report. What counts is the value without
noise at the settings whose value with noise was best. 1 if Optuna's best method misses the bar.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from configs.experiment import Axis, Search
from configs.planned import Planned
from configs.sweep import plan
from tune.conductor import Conductor
from tune.local import run
from tune.trials import result_of

SWEEPS = Path(__file__).resolve().parent.parent / "configs" / "sweeps"
OPTIMA = {"hartmann6": 3.32237, "branin": 0.397887}
STEPS = {"hartmann6": (0.25, 0.75, 0.5), "branin": (0.0, 1.0, 1 / 7)}
"""Of a grid of at most 64 points: share of the range at which it begins and ends, and its step."""
BAR = 0.05
"""How far from the optimum, of its size, counts as found."""
OPTUNA = ("tpe", "gp")
SOUND = """name: demo
objective: branin
base: {noise: 0.1}
space:
  x1: {low: -5, high: 10}
search: {method: random}
early: {method: none}
budget: {trials: 5}
resources: {cpus: 1, gpus: 0}
"""
FAULTS = {
    "a key that does not exist": ("x1:", "x7:"),
    "a value out of range": ("high: 10", "high: 99"),
    "more cores than there are": ("cpus: 1", "cpus: 4096"),
    "more GPUs than there are": ("gpus: 0", "gpus: 64"),
    "an unknown searcher": ("method: random", "method: randm"),
    "an unknown scheduler": ("method: none", "method: ashaa"),
    "an unknown objective": ("objective: branin", "objective: brannin"),
    "broken YAML": ("{trials: 5}", "{trials: 5"),
}
"""What is wrong with a file: what stands there, and what stands there instead."""
SOON_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each function and method; 1 if neither of Optuna's has found an optimum."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--functions", default="hartmann6,branin")
    parser.add_argument("--methods", default="grid,random,tpe,gp")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="keep the sweeps' directories here")
    parser.add_argument("--refusals", action="store_true", help="time what is refused instead")
    options = parser.parse_args(arguments)
    if options.refusals:
        return refusals()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="palimpsest-sweep-") as name:
        folder = options.out or Path(name)
        for function in options.functions.split(","):
            misses = {}
            for method in options.methods.split(","):
                found = [away(function, method, seed, folder) for seed in range(options.seeds)]
                misses[method] = median(found)
                shares = " ".join(f"{one:.1%}" for one in found)
                print(
                    f"{function:10} {method:7} median {misses[method]:.1%} from the optimum: {shares}",
                    flush=True,
                )
            known = [misses[method] for method in OPTUNA if method in misses]
            missed += bool(known) and min(known) > BAR
    return 1 if missed else 0


def refusals() -> int:
    """A line for each fault: seconds, exit code, what is said. 1 if one is not refused, late, or unplaced."""
    missed = 0
    with tempfile.TemporaryDirectory(prefix="palimpsest-sweep-") as name:
        path = Path(name) / "sweep.yaml"
        for fault, (sound, wrong) in FAULTS.items():
            path.write_text(SOUND.replace(sound, wrong, 1), encoding="utf-8")
            command = [sys.executable, "-m", "cluster", "sweep", "run", str(path), "--out", f"{name}/out"]
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            spent = time.perf_counter() - began
            said = " ".join(done.stderr.replace(f"{name}/", "").split())
            missed += done.returncode == 0 or spent > SOON_S or "sweep.yaml:" not in said
            print(f"{fault:26} {spent:.2f} s, exit code {done.returncode}: {said}", flush=True)
    return 1 if missed else 0


def away(function: str, method: str, seed: int, folder: Path) -> float:
    """How far a search's best is from the optimum, of its size."""
    planned = searched(plan(SWEEPS / f"{function}.yaml"), function, method, seed)
    path = folder / f"{function}-{method}-{seed}"
    outcome = run(Conductor(planned, path, resume=path.is_dir()))
    result = result_of(outcome.best[0].folder)
    assert result is not None
    return abs(result.figures["true"] - OPTIMA[function]) / OPTIMA[function]


def searched(planned: Planned, function: str, method: str, seed: int) -> Planned:
    """The same sweep with another search; a grid gets steps. The noise is drawn anew with each seed."""
    experiment = planned.experiment
    search = Search.model_validate({**experiment.search.model_dump(), "method": method, "seed": seed})
    space = dict(experiment.space)
    if method == "grid":
        space = {name: _stepped(axis, *STEPS[function]) for name, axis in space.items()}
    changes = {"search": search, "space": space, "seeds": (seed,)}
    return replace(planned, experiment=experiment.model_copy(update=changes))


def _stepped(axis: Axis, begin: float, end: float, step: float) -> Axis:
    low, high = float(axis.low or 0), float(axis.high or 0)
    wide = high - low
    return Axis(low=low + begin * wide, high=low + end * wide, step=step * wide)


if __name__ == "__main__":
    raise SystemExit(main())
