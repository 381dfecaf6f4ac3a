"""Kill -9 of the loop at random points: nothing half promoted, nothing learned twice, all learned in the end.

    python -m benchmarks.kill_loop [--kills 50] [--seed 0]

A user tells facts, `pal loop run` is started on the files and killed after a random time, sometimes with all
that it started, sometimes alone; then the files are looked at, and it is run to its end. Memory, lineage and
processes are real; what studies makes a small adapter from the facts' ids in place of training one.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from actors.lineage import Lineage
from actors.memory.records import NewMemory
from actors.training.manifests import changed
from actors.training.rounds import Book
from cluster.commands.loop import opened_here
from configs.load import load
from configs.schema import Settings

USER = "ann"
EACH = 5
"""Facts told before each kill."""
LONGEST_S = 6.0
"""A kill comes within so many seconds."""


@dataclass(slots=True)
class Found:
    """What was counted."""

    kills: int = 0
    kills_with_children: int = 0
    while_running: int = 0
    """Kills that came before the loop had ended by itself."""
    phases: dict[str, int] = field(default_factory=dict)
    """Of the round that a kill left unfinished."""
    half_promoted: int = 0
    learned_twice: int = 0
    lost: int = 0
    """Facts that were not learned in the end."""
    studies: int = 0
    versions: int = 0
    recovery_s: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as asked on the command line; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="kill-loop-") as folder:
        found = suffer(Path(folder), options.kills, random.Random(options.seed))
    slowest = max(found.recovery_s, default=0.0)
    shown = {name: getattr(found, name) for name in Found.__slots__ if name != "recovery_s"}
    print(json.dumps({**shown, "slowest_recovery_s": round(slowest, 1)}))
    return 1 if found.half_promoted or found.learned_twice or found.lost else 0


def suffer(folder: Path, kills: int, drawn: random.Random) -> Found:
    """Tell, run, kill, look, run to the end; so many times."""
    counted = folder / "studied"
    config = folder / "loop.yaml"
    command = [sys.executable, "-m", "benchmarks.made_study", "--wait", "0.5", "--count", str(counted)]
    tree = {
        "home": str(folder / "home"),
        "engine": {"kind": "scripted"},
        "memory": {"embed": "later"},
        "loop": {"command": command, "least_fresh": 1, "resumes": kills},
    }
    config.write_text(yaml.safe_dump(tree))
    settings = load(preset=config, environ={}).settings
    found = Found()
    for number in range(kills):
        asyncio.run(tell(settings, number))
        strike(config, drawn, found)
        asyncio.run(look(settings, found))
        began = time.perf_counter()
        subprocess.run(loop_of(config), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found.recovery_s.append(time.perf_counter() - began)
    asyncio.run(end(settings, found))
    lines = counted.read_text().splitlines()
    found.studies = len(lines)
    found.learned_twice += len(lines) - len({line.partition(" ")[0] for line in lines})
    return found


async def tell(settings: Settings, number: int) -> None:
    """Some facts more."""
    async with opened_here(settings) as tools:
        await tools.keeper.set_consent(USER, "consent", training=True)
        for one in range(EACH):
            text = f"The code of my locker {number * EACH + one} is {1000 + number * EACH + one}."
            await tools.keeper.remember(USER, f"e{number}-{one}", [NewMemory(text=text)])


def strike(config: Path, drawn: random.Random, found: Found) -> None:
    """Start the loop, and kill it after a while."""
    loop = subprocess.Popen(loop_of(config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(drawn.uniform(0.5, LONGEST_S))
    family = psutil.Process(loop.pid).children(recursive=True) if loop.poll() is None else []
    found.while_running += loop.poll() is None
    loop.kill()
    loop.wait()
    found.kills += 1
    if drawn.random() < 0.5:
        found.kills_with_children += 1
        for one in family:
            if one.is_running():
                os.kill(one.pid, signal.SIGKILL)
        psutil.wait_procs(family)


async def look(settings: Settings, found: Found) -> None:
    """What serves must be whole, accepted, and what the last round that ended says."""
    for round in Book(settings.home).unfinished():
        found.phases[round.phase] = found.phases.get(round.phase, 0) + 1
    lineage = Lineage(settings)
    await lineage.start()
    try:
        serving = (await lineage.standing()).personal.get(USER)
        states = [version.state for version in await lineage.versions(USER)]
        wrong = serving is not None and (
            serving.state != "serving"
            or serving.verdict is None
            or not serving.verdict.accepted
            or bool(changed(serving))
        )
        found.half_promoted += wrong or states.count("serving") > 1
    finally:
        await lineage.close()


async def end(settings: Settings, found: Found) -> None:
    """All that was told is learned, each lot in one version."""
    async with opened_here(settings) as tools:
        versions = await tools.lineage.versions(USER)
        found.versions = len(versions)
        learned = [frozenset(version.events) for version in versions]
        found.learned_twice += len(learned) - len(set(learned))
        serving = (await tools.lineage.standing()).personal[USER]
        told = [one for one in await tools.keeper.learnable(USER, limit=10_000) if one["kind"] == "fact"]
        found.lost = sum(not set(one["events"]) <= set(serving.events) for one in told)


def loop_of(config: Path) -> list[str]:
    """The command that runs the loop for the user."""
    return [sys.executable, "-m", "cluster", "--config", str(config), "loop", "run", "--user", USER]


if __name__ == "__main__":
    raise SystemExit(main())
