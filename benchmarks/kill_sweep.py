"""Kill -9 of a sweep's driver, of its trials and of a node, at random moments: the sweep must not show it.

    pal bench kill-sweep [-- --kills 10 --trials 16 --nodes 2]

The same sweep runs in peace first. After each kill what had ended must stand as it stood, to the byte, and in
the end every trial must have each of its steps once, and the best must be the same. 1 if anything differs.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from configs.sweep import plan
from tune.conductor import TRIALS, Conductor, Event
from tune.trials import RESULT, lines_of, result_of

STEPS = 6
BETWEEN = 12
"""Steps of all trials between two losses of a node."""
SWEEP: dict[str, Any] = {
    "name": "kills",
    "objective": "hartmann6",
    "base": {"noise": 0.05, "steps": STEPS, "seconds": 0.3},
    "space": {f"x{place}": {"low": 0, "high": 1} for place in range(1, 7)},
    "search": {"method": "random"},
    "retries": 20,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was killed and found, as one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10, help="of drivers and trials")
    parser.add_argument("--nodes", type=int, default=2, help="kills of a node, of a cluster of two")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="palimpsest-kill-sweep-") as name:
        file = Path(name) / "kills.yaml"
        file.write_text(yaml.safe_dump({**SWEEP, "budget": {"trials": options.trials}}))
        peace = Path(name) / "peace"
        subprocess.run(_driver(file, peace), check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = {"best": _best(peace)}
        found |= suffer(file, Path(name) / "war", options.kills, random.Random(options.seed))
        if options.nodes:
            found |= lose_nodes(file, Path(name) / "nodes", options.nodes)
    same = [found["best"] == found[key] for key in ("best_after_kills", "best_after_nodes") if key in found]
    passed = all(same) and not found["repeated"] and not found["wrong"] and not found.get("nodes_wrong")
    print(json.dumps({**found, "passed": passed}))
    return 0 if passed else 1


def suffer(file: Path, folder: Path, kills: int, drawn: random.Random) -> dict[str, Any]:
    """Run a sweep to its end, killing its driver or one of its trials now and then."""
    told = {"driver": 0, "trial": 0}
    ended: dict[str, bytes] = {}
    repeated: set[str] = set()
    left = kills
    while True:
        resume = ["--resume"] if folder.is_dir() else []
        with subprocess.Popen(_driver(file, folder, *resume), stdout=subprocess.PIPE, text=True) as driver:
            left = _strike(driver, folder, left, drawn, told)
        repeated |= {name for name, text in ended.items() if _result(folder, name) != text}
        ended |= {path.parent.name: path.read_bytes() for path in (folder / TRIALS).glob(f"*/{RESULT}")}
        if driver.returncode == 0:
            break
        _orphans_end(folder)
    return {
        "kills": told,
        "trials": len(ended),
        "repeated": len(repeated),
        "wrong": _wrong(folder),
        "best_after_kills": _best(folder),
    }


def _strike(
    driver: "subprocess.Popen[str]", folder: Path, left: int, drawn: random.Random, told: dict[str, int]
) -> int:
    """Follow a driver's events and kill after some of them; returns the kills that are left."""
    wait = drawn.randint(4, 24)
    for line in driver.stdout or ():
        event = json.loads(line)
        wait -= event["event"] == "step"
        if not left or wait > 0 or event["event"] != "step":
            continue
        left -= 1
        wait = drawn.randint(4, 24)
        if drawn.random() < 0.5:
            told["driver"] += 1
            driver.kill()
            break
        told["trial"] += _kill_trial(folder / TRIALS / event["trial"])
    return left


def _kill_trial(folder: Path) -> int:
    """Kill the process that works in a trial's directory, as its lock names it."""
    text = (folder / "lock").read_text()
    if not text or result_of(folder) is not None:
        return 0
    try:
        psutil.Process(int(text)).kill()
    except psutil.NoSuchProcess:
        return 0
    return 1


def _orphans_end(folder: Path) -> None:
    """Processes that a killed driver leaves are Ray's to end: wait for those that are named in locks."""
    named = [path.read_text() for path in (folder / TRIALS).glob("*/lock")]
    known = [psutil.Process(int(pid)) for pid in named if pid and psutil.pid_exists(int(pid))]
    psutil.wait_procs(known, timeout=30)


def lose_nodes(file: Path, folder: Path, kills: int) -> dict[str, Any]:
    """The sweep over a cluster of two nodes, one of which is lost now and then and replaced."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray
    from ray.cluster_utils import Cluster

    from tune.sweep import run

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    workers = [cluster.add_node(num_cpus=1)]
    ray.init(address=cluster.address, log_to_driver=False)
    steps = threading.Semaphore(0)

    def watch(event: Event) -> None:
        if event.kind == "step":
            steps.release()

    conductor = Conductor(plan(file), folder, resume=False, watch=watch)
    sweep = threading.Thread(target=run, args=(conductor,))
    sweep.start()
    lost, seen = 0, 0
    try:
        while sweep.is_alive() and lost < kills:
            seen += steps.acquire(timeout=5)
            if seen >= BETWEEN * (lost + 1):
                cluster.remove_node(workers.pop(), allow_graceful=False)
                workers.append(cluster.add_node(num_cpus=1))
                lost += 1
        sweep.join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    return {"nodes_lost": lost, "nodes_wrong": _wrong(folder), "best_after_nodes": _best(folder)}


def _driver(file: Path, folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "cluster", "sweep", "run", str(file), "--out", str(folder), "--json", *more]


def _result(folder: Path, name: str) -> bytes:
    return (folder / TRIALS / name / RESULT).read_bytes()


def _wrong(folder: Path) -> int:
    """Trials that are not complete, or whose steps do not stand there once each."""
    count = 0
    for path in (folder / TRIALS).iterdir():
        result = result_of(path)
        whole = result is not None and result.state == "complete"
        count += not whole or [line["step"] for line in lines_of(path)] != list(range(1, STEPS + 1))
    return count


def _best(folder: Path) -> tuple[str, float]:
    """The best trial and its value."""
    found = {path.name: result_of(path) for path in (folder / TRIALS).iterdir()}
    values = {name: one.figures["value"] for name, one in found.items() if one is not None}
    name = max(values, key=lambda one: values[one])
    return name, values[name]


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    raise SystemExit(status)
