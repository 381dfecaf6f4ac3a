"""The ranks of one training as one of them sees them: its seat, and what it sums with the others."""

import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from actors.learner import Learner
from actors.messages import NotReady
from actors.models.attention import Attention, packed
from configs.training import LongContextTraining
from tune.allocator import give_back
from tune.shares import Seat

PATIENCE = timedelta(minutes=60)
"""How long a rank waits for the others; one that died is noticed at once."""


class Group:
    """One rank's place among all ranks; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say where they meet."""

    def __init__(self, settings: LongContextTraining, device: torch.device) -> None:
        """Meet the other ranks; where there are none and no DeepSpeed, nothing is set up."""
        rank = int(os.environ["RANK"]) if settings.ranks > 1 else 0
        self.seat = Seat(rank, settings.ranks, settings.sequence_parallel)
        self.attention: Attention = packed
        self._device = device
        self._joined = settings.ranks > 1 or settings.zero > 0
        if self._joined and not dist.is_initialized():
            _meet(settings, device)
        if settings.sequence_parallel > 1:
            from tune.ulysses import ulysses

            self.attention = ulysses(_beside(self.seat))

    @property
    def first(self) -> bool:
        """Whether this rank writes files and figures."""
        return self.seat.rank == 0

    def learner(self, settings: LongContextTraining, path: Path) -> Learner:
        """The learner that the settings ask for. Raises as it does."""
        give_back()
        if settings.zero:
            from tune.zero import ZeroLearner

            return ZeroLearner(settings, path, self._device, self.attention)
        return Learner(settings, path, self._device, self.attention)

    def combine(self, gradients: Iterable[torch.Tensor]) -> None:
        """Make each tensor in place the sum of all ranks'."""
        if self.seat.ranks > 1:
            for gradient in gradients:
                dist.all_reduce(gradient)

    def sums(self, values: Sequence[float]) -> list[float]:
        """The sums of all ranks' values."""
        if self.seat.ranks == 1:
            return list(values)
        together = torch.tensor(values, dtype=torch.float64, device=self._device)
        dist.all_reduce(together)
        return [float(value) for value in together]

    def close(self) -> None:
        """Leave the others."""
        if self._joined and dist.is_initialized():
            dist.destroy_process_group()


def device_of(name: str) -> torch.device:
    """The device of a setting's name; auto is the best there is. Raises NotReady for what is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, is_there in there.items() if is_there)
    if not there[name]:
        raise NotReady(f"this machine has no {name}: set device to auto")
    if name == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


def _meet(settings: LongContextTraining, device: torch.device) -> None:
    if settings.ranks == 1:
        store = torch._C._distributed_c10d.HashStore()
        dist.init_process_group(_backend(device), store=store, rank=0, world_size=1, timeout=PATIENCE)
        return
    dist.init_process_group(_backend(device), timeout=PATIENCE)


def _backend(device: torch.device) -> str:
    return "nccl" if device.type == "cuda" else "gloo"


def _beside(seat: Seat) -> dist.ProcessGroup:
    """The ranks that share this one's sequences; every rank must ask, in the same order."""
    mine: dist.ProcessGroup | None = None
    for first in range(0, seat.ranks, seat.parts):
        members = list(range(first, first + seat.parts))
        group = dist.new_group(members)
        if seat.rank in members:
            mine = group
    assert mine is not None
    return mine
