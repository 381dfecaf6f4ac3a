"""Runs a training on one rank here, or on several as Ray actors, and again after one of them died.

Plain actors in one placement group rather than Ray Train: nothing runs between two steps but the loop itself,
the same class trains in this process where there is no Ray, and checkpoints are the loop's own.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from actors.messages import Gone, InvalidRequest, PalError
from actors.spawn import Place, Placement, give_up, gpus, here, meeting_point, on_ray, places, stop
from configs.training import LongContextTraining
from tune.checkpoints import Checkpoint, newest
from tune.export import ADAPTER, MODEL
from tune.train import CHECKPOINTS, Figures, Plan, facts_of, train

SETTINGS = "settings.json"
MACHINE = ("ranks", "sequence_parallel", "zero", "offload", "device", "threads")
MEMORY = ("checkpointing", "loss_chunk")
UPKEEP = ("checkpoint_every", "keep", "retries", "tracking", "eval_data", "eval_every", "eval_batches")
FREE = frozenset(MACHINE + MEMORY + UPKEEP)
"""Settings that may be others when a training goes on."""
AFTERMATH_S = 15.0
"""How long after one rank's end the others may take to end too, before they are told to."""
PEER_LOST = ("closed by peer", "reset by peer", "Broken pipe", "Connection refused")
"""What a rank says when another one died in the middle of a sum."""
Watch = Callable[[Figures], None]
"""Told each step's figures."""
Note = Callable[[str], None]
"""Told what a user should know: a damaged checkpoint, a rank that died."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training wrote."""

    result: Path
    steps: int
    resumed_at: int
    restarts: int
    """How often its ranks were started again."""


class Rank:
    """One rank of a training: meets the others, then goes through the loop."""

    def __init__(self, plan: Plan, rank: int) -> None:
        self._plan = plan
        self._rank = rank

    async def address(self) -> str:
        """Where the others may meet this rank."""
        return meeting_point()

    async def train(self, meeting: str | None, start: Checkpoint | None) -> AsyncIterator[Figures]:
        """Each step's figures, the same on every rank. Raises what the loop raises."""
        if meeting is not None:
            host, _, port = meeting.rpartition(":")
            ranks = str(self._plan.settings.ranks)
            os.environ.update(RANK=str(self._rank), WORLD_SIZE=ranks, MASTER_ADDR=host, MASTER_PORT=port)
        loop, steps = asyncio.get_running_loop(), _steps(self._plan, start)
        with ThreadPoolExecutor(1, "rank") as thread:
            try:
                while (figures := await loop.run_in_executor(thread, next, steps, None)) is not None:
                    yield figures
            finally:
                await loop.run_in_executor(thread, steps.close)


def begin(plan: Plan, resume: bool, note: Note) -> Checkpoint | None:
    """Make the folder this training's; with `resume`, the checkpoint that it goes on from.

    Raises InvalidRequest if the folder holds a training already, or another one than is to be gone on with.
    """
    told, path = facts_of(plan), plan.folder / SETTINGS
    if path.exists() and not resume:
        raise InvalidRequest(f"{plan.folder} holds a training: go on with --resume, or give another --out")
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name in told if name not in FREE and before.get(name) != told[name]]
        if changed:
            raise InvalidRequest(
                f"{plan.folder} was begun with another {', '.join(changed)}: give another --out"
            )
    plan.folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return newest(plan.folder / CHECKPOINTS, note)


async def run(plan: Plan, *, resume: bool, on_cluster: bool, watch: Watch, note: Note) -> Trained:
    """Train to the end: in this process, or `on_cluster` on Ray actors that are started again if one dies.

    Raises InvalidRequest, NotReady before anything starts; PalError of the training itself; Gone after
    `retries` new starts.
    """
    first = start = begin(plan, resume, note)
    restarts = 0
    while True:
        try:
            await (_on_actors if on_cluster else _here)(plan, start, watch)
            break
        except Gone as error:
            if restarts == plan.settings.retries:
                raise
            restarts += 1
            start = newest(plan.folder / CHECKPOINTS, note)
            note(f"{error.message}: all ranks start again after step {start.step if start else 0}")
    result = plan.folder / (ADAPTER if plan.settings.method == "lora" else MODEL)
    return Trained(result, plan.settings.steps, first.step if first else 0, restarts)


async def _here(plan: Plan, start: Checkpoint | None, watch: Watch) -> None:
    if plan.settings.ranks > 1:
        raise InvalidRequest(f"{plan.settings.ranks} ranks need Ray, which this machine has not")
    async for figures in here(Rank, plan, 0).train(None, start):
        watch(figures)


async def _on_actors(plan: Plan, start: Checkpoint | None, watch: Watch) -> None:
    settings = plan.settings
    taken = await places(settings.ranks, num_cpus=threads_of(settings), num_gpus=_gpus(settings), apart=False)
    ranks: list[Rank] = []
    try:
        ranks = [
            on_ray(Rank, plan, number, placement=_placement(settings, place))
            for number, place in enumerate(taken)
        ]
        meeting = await ranks[0].address() if len(ranks) > 1 else None
        tasks = [
            asyncio.create_task(_through(rank, meeting, start, watch if number == 0 else _nobody))
            for number, rank in enumerate(ranks)
        ]
        await _all_or_none(tasks)
    finally:
        await asyncio.gather(*(stop(rank) for rank in ranks))
        give_up(taken)


def _placement(settings: LongContextTraining, place: Place) -> Placement:
    env = {"OMP_NUM_THREADS": str(threads_of(settings)), "OMP_WAIT_POLICY": "passive", "LOCAL_RANK": "0"}
    if not _gpus(settings):
        env["DS_ACCELERATOR"] = "cpu"
    return Placement(
        num_cpus=threads_of(settings),
        num_gpus=_gpus(settings),
        max_restarts=0,
        max_task_retries=0,
        place=place,
        env=env,
    )


def threads_of(settings: LongContextTraining) -> int:
    """CPU threads of a rank."""
    return settings.threads or max(1, (os.cpu_count() or 1) // settings.ranks)


def _gpus(settings: LongContextTraining) -> int:
    """GPUs of a rank on Ray."""
    wanted = settings.device == "cuda" or (settings.device == "auto" and gpus() >= settings.ranks)
    return 1 if wanted else 0


async def _through(rank: Rank, meeting: str | None, start: Checkpoint | None, watch: Watch) -> None:
    async for figures in rank.train(meeting, start):
        watch(figures)


async def _all_or_none(tasks: "list[asyncio.Task[None]]") -> None:
    """Wait for all; where one fails, end the others and raise what caused it.

    A rank whose peer died fails in its own way, so the death comes first, then an error of ours.
    """
    _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=AFTERMATH_S)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if not errors:
        return
    for error in errors:
        if isinstance(error, Gone) or any(words in str(error) for words in PEER_LOST):
            raise Gone("a rank of the training died") from error
    raise next((error for error in errors if isinstance(error, PalError)), errors[0])


def _steps(plan: Plan, start: Checkpoint | None) -> Generator[Figures]:
    """The loop of this process's rank."""
    import torch

    from tune.group import Group, device_of

    torch.set_num_threads(threads_of(plan.settings))
    device = device_of(plan.settings.device)
    group = Group(plan.settings, device)
    try:
        yield from train(plan, group, device, start)
    finally:
        group.close()


def _nobody(figures: Figures) -> None:
    """Told what another rank tells too."""
