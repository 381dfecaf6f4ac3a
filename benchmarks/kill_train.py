"""Kill -9 of a rank, of the driver, and of a node, at random steps: the loss curve must not show it."""

import asyncio
import json
import os
import random
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.train_launch import ours_of, plan
from tune import ranks
from tune.train import Figures, Plan

RANK = "ray::Rank"
"""How the process of a rank begins its title."""
EVERY = 2
"""Steps between two checkpoints."""
BETWEEN = 5
"""Steps for each kill, about."""


@dataclass(slots=True)
class Told:
    """What was done and seen."""

    kills: dict[str, int] = field(default_factory=lambda: {"rank": 0, "driver": 0, "node": 0})
    recovery_s: list[float] = field(default_factory=list)


def suffer(model: Path, length: int, kills: int, seed: int, zero: int) -> dict[str, Any]:
    """Train twice, once in peace; the greatest relative difference of a step's loss, and times to recover."""
    drawn = random.Random(seed)
    nodes = min(2, kills // 5)
    steps = BETWEEN * (kills - nodes) + 2
    more: dict[str, Any] = {"checkpoint_every": EVERY, "retries": kills, "schedule": "constant"}
    told = Told()
    with tempfile.TemporaryDirectory(prefix="palimpsest-kill-") as name:
        folder = Path(name)
        peace = plan(model, folder / "peace", length, steps, zero, **more)
        subprocess.run(ours_of(peace), check=True, stdout=subprocess.DEVNULL, env=_environ())
        war = plan(model, folder / "war", length, steps, zero, **more)
        _war(war, drawn, kills - nodes, told)
        losses = [_losses(peace.folder), _losses(war.folder)]
        node_war = plan(model, folder / "nodes", length, BETWEEN * (nodes + 1), zero, **more)
        if nodes:
            lost = _lose_nodes(node_war, nodes, told)
    pairs = list(zip(*losses, strict=True))
    if nodes:
        pairs += list(zip(losses[0], lost, strict=False))
    return {
        "steps": steps,
        "kills": told.kills,
        "worst_difference": max(abs(one - other) / one for one, other in pairs),
        "recovery_s": sorted(round(seconds, 1) for seconds in told.recovery_s),
    }


def _war(told_plan: Plan, drawn: random.Random, kills: int, told: Told) -> None:
    """The same training under kills of ranks and drivers, until it ends."""
    at = sorted(drawn.sample(range(1, told_plan.settings.steps - 1), kills))
    resume: tuple[str, ...] = ()
    while True:
        command = ours_of(told_plan, *resume)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environ()) as driver:
            try:
                struck = _strike(driver, at, drawn, told, time.perf_counter() if resume else None)
            except BaseException:
                driver.kill()
                raise
        if not struck:
            if driver.returncode:
                raise RuntimeError(f"the training ended with {driver.returncode}")
            return
        resume = ("--resume",)


def _strike(
    driver: subprocess.Popen[str], at: list[int], drawn: random.Random, told: Told, since: float | None
) -> bool:
    """Follow a driver and kill at the steps that are due; whether it was the driver, which is over then."""
    for line in driver.stdout or ():
        if since is not None and '"step"' in line:
            told.recovery_s.append(time.perf_counter() - since)
            since = None
        if not at or json.loads(line).get("step", -1) < at[0]:
            continue
        at.pop(0)
        kind = drawn.choice(["rank", "rank", "driver"])
        told.kills[kind] += 1
        if kind == "driver":
            driver.kill()
            return True
        since = time.perf_counter()
        _kill_a_rank(driver.pid, drawn)
    return False


def _kill_a_rank(driver: int, drawn: random.Random) -> None:
    family = psutil.Process(driver).children(recursive=True)
    drawn.choice([one for one in family if " ".join(one.cmdline()).startswith(RANK)]).kill()


def _lose_nodes(told_plan: Plan, nodes: int, told: Told) -> list[float]:
    """A training over two nodes, one of which is lost now and then and replaced. Returns its losses."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    workers = [cluster.add_node(num_cpus=1)]
    ray.init(address=cluster.address, log_to_driver=False)
    losses: dict[int, float] = {}
    due = threading.Event()
    ended = threading.Event()
    since: list[float] = []

    def watch(figures: Figures) -> None:
        step = int(figures["step"])
        if since:
            told.recovery_s.append(time.perf_counter() - since.pop())
        if step not in losses and step % BETWEEN == BETWEEN - 1 and told.kills["node"] < nodes:
            due.set()
        losses[step] = figures["loss"]

    def train() -> None:
        asyncio.run(ranks.run(told_plan, resume=False, on_cluster=True, watch=watch, note=print))
        ended.set()

    loop = threading.Thread(target=train)
    loop.start()
    try:
        while not ended.is_set() and loop.is_alive():
            if due.wait(0.5):
                due.clear()
                told.kills["node"] += 1
                since.append(time.perf_counter())
                cluster.remove_node(workers.pop(), allow_graceful=False)
                workers.append(cluster.add_node(num_cpus=1))
        loop.join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    return [losses[step] for step in sorted(losses)]


def _losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _environ() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
