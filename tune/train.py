"""The loop of a training as each of its ranks goes through it: data, learner, step, figures, checkpoint."""

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from actors.learner import Learner, check_finite, rate_at
from actors.messages import PalError
from actors.models.tokenizer import ModelTokenizer
from actors.recorder import Recorder
from configs.training import LongContextTraining
from tune.checkpoints import Checkpoint, Checkpoints
from tune.data import Batch, Position, Stream, stream
from tune.export import export
from tune.group import Group
from tune.shares import check, count, share_of, targets_of

CHECKPOINTS = "checkpoints"
TOKENS = "tokens"
"""Where texts are kept as token ids, in the state directory."""
Figures = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One training as every rank is told of it."""

    settings: LongContextTraining
    model: Path
    folder: Path
    """Where it writes; all ranks reach it."""
    home: Path
    """The state directory, where own documents and memories are."""
    partitions: int = 1
    """Of the memory."""


def train(plan: Plan, group: Group, device: torch.device, start: Checkpoint | None) -> Iterator[Figures]:
    """Train from a checkpoint or the beginning to the end, step by step; gives each step's figures.

    Every rank goes through it at the same pace; the first one writes. Raises PalError where a loss or
    gradient is not finite, and what data, model and checkpoints raise.
    """
    settings, folder = plan.settings, plan.folder
    with ExitStack() as stack:
        learner = group.learner(settings, plan.model)
        done = _begin(learner, start)
        stack.callback(learner.close)
        data = _open(plan, learner, group, held_out=False)
        batches = data.batches(start.position if start else None)
        judged = _open(plan, learner, group, held_out=True) if settings.eval_data else None
        recorder = stack.enter_context(Recorder(folder, settings.tracking, done)) if group.first else None
        saver = stack.enter_context(Checkpoints(folder / CHECKPOINTS, settings.keep, learner.shapes))
        for step in range(done, settings.steps):
            began = time.perf_counter()
            given = list(islice(batches, settings.accumulate))
            where = f"step {step + 1} (batches up to {given[-1][1]['number']} of {data.names})"
            figures = _learn(learner, group, [batch for batch, _ in given], step, where)
            figures |= _pace(settings, step, time.perf_counter() - began, device)
            if judged is not None and _due(step, settings.eval_every, settings.steps):
                figures["eval_loss"] = _judge(learner, group, judged, settings.eval_batches)
            if recorder is not None:
                recorder.record(step, figures)
            if _due(step, settings.checkpoint_every, settings.steps):
                _save(saver, learner, group, step + 1, given[-1][1])
            yield {"step": step, **figures}
        saver.wait()
        export(learner, plan.model, folder, settings.steps, writes=group.first)


def _begin(learner: Learner, start: Checkpoint | None) -> int:
    """Make the optimiser, with what a checkpoint holds. Returns how many steps were done."""
    if start is None:
        learner.begin()
        return 0
    with start.reader() as read:
        learner.load(read)
        learner.begin()
        learner.restore(read, start.step)
    return start.step


def _open(plan: Plan, learner: Learner, group: Group, *, held_out: bool) -> Stream:
    """The data to learn from, or to be judged on."""
    settings = plan.settings
    return stream(
        settings,
        settings.eval_data if held_out else settings.data,
        ModelTokenizer(plan.model),
        plan.home / TOKENS,
        vocabulary=learner.vocabulary,
        home=plan.home,
        partitions=plan.partitions,
        replica=group.seat.replica,
        spread=not held_out,
    )


def _learn(learner: Learner, group: Group, batches: Sequence[Batch], step: int, where: str) -> Figures:
    """One step over batches, all ranks together."""
    torch.manual_seed(learner.settings.seed + step)
    targets = [targets_of(batch) for batch in batches]
    for batch in batches:
        check(batch, learner.vocabulary, where)
    counted = sum(map(count, targets)) if group.seat.part == 0 else 0
    total = int(group.sums([counted])[0])
    if not total:
        raise PalError(f"{where} has nothing to learn: no label, or only the last token of each document")
    nats = sum(
        float(learner.backward(share_of(batch, wanted, group.seat), total))
        for batch, wanted in zip(batches, targets, strict=True)
    )
    loss = group.sums([nats])[0] / total
    check_finite(loss, f"loss of {where}")
    rate = rate_at(learner.settings, step)
    norm = learner.step(rate, group.combine)
    check_finite(norm, f"gradient of {where}")
    return {"loss": loss, "grad_norm": norm, "lr": rate, "targets": total}


def _judge(learner: Learner, group: Group, data: Stream, batches: int) -> float:
    """Nats a target of held-out data, the same at every judgement."""
    nats, counted = 0.0, 0
    for batch, _ in islice(data.batches(), batches):
        wanted = targets_of(batch)
        nats += float(learner.judge(share_of(batch, wanted, group.seat)))
        counted += count(wanted) if group.seat.part == 0 else 0
    nats, total = group.sums([nats, counted])
    return nats / max(1.0, total)


def _pace(settings: LongContextTraining, step: int, seconds: float, device: torch.device) -> Figures:
    """How fast it goes, and in how many seconds it ends at that."""
    tokens = settings.batch * settings.accumulate
    left = sum(settings.length_at(later) for later in range(step + 1, settings.steps))
    per_s = tokens * settings.length_at(step) / seconds
    memory = peak_bytes(device) / 2**30
    return {
        "step_s": seconds,
        "tokens_per_s": per_s,
        "memory_gib": memory,
        "eta_s": tokens * left / per_s,
        "length": settings.length_at(step),
    }


def _save(saver: Checkpoints, learner: Learner, group: Group, step: int, position: Position) -> None:
    """Gather the state from all ranks; the first one writes it."""
    if group.first:
        saver.save(step, position, learner.tensors())
    else:
        for _ in learner.tensors():
            pass


def _due(step: int, every: int, steps: int) -> bool:
    return step + 1 == steps or (every > 0 and (step + 1) % every == 0)


def peak_bytes(device: torch.device) -> int:
    """The most memory that this process has had at once: of the GPU, or resident."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def facts_of(plan: Plan) -> dict[str, Any]:
    """The settings as they are written beside the result; paths as text."""
    return plan.settings.model_dump(mode="json")
