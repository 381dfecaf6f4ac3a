"""One of two ranks that live through a whole test module: reads cases from stdin, answers on stdout."""

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actors.learner import Learner
from actors.models.attention import PACKED, register
from configs.training import LongContextTraining
from tune.data import Batch
from tune.group import Group
from tune.shares import count, share_of, targets_of

CPU = torch.device("cpu")
Tensors = dict[str, torch.Tensor]


def batch(seed: int, rows: int, length: int, vocabulary: int) -> Batch:
    """Rows of three documents and padding, some of whose tokens are not learned."""
    drawn = np.random.default_rng(seed)
    tokens = drawn.integers(0, vocabulary, (rows, length))
    segments = np.zeros((rows, length), np.int64)
    positions = np.zeros((rows, length), np.int64)
    for row in range(rows):
        cuts = [0, *sorted(drawn.choice(np.arange(4, length - 4), 2, replace=False)), length]
        for number, (start, end) in enumerate(itertools.pairwise(cuts)):
            segments[row, start:end] = number
            positions[row, start:end] = np.arange(end - start)
    segments[-1, -3:] = -1
    labels = np.where(drawn.random((rows, length)) < 0.2, -100, tokens)
    labels[segments < 0] = -100
    return Batch(tokens, labels, positions, segments)


def of_replica(whole: Batch, replica: int, replicas: int) -> Batch:
    """A replica's rows."""
    each = len(whole.tokens) // replicas
    rows = slice(replica * each, (replica + 1) * each)
    return Batch(whole.tokens[rows], whole.labels[rows], whole.positions[rows], whole.segments[rows])


def weights(learner: Learner) -> Tensors:
    """Random weights for all that is trained, the same on every rank."""
    drawn = torch.Generator().manual_seed(1)
    return {
        f"weight/{name}": 0.1 * torch.randn(shape, generator=drawn) for name, shape in learner.shapes.items()
    }


def reference(learner: Learner, path: str, whole: Batch) -> Tensors:
    """The gradient by one process and autograd alone: transformers' own model, one document at a time."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager", dtype=torch.float32)
    if learner.settings.method == "lora":
        lora = learner.settings.lora
        model = get_peft_model(
            model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets))
        )
    given = weights(learner)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(given[f"weight/{name}"])
    nats, learned = torch.zeros(()), 0
    for tokens, labels, segments in zip(whole.tokens, whole.labels, whole.segments, strict=True):
        for number in range(segments.max() + 1):
            own = segments == number
            logits = model(torch.from_numpy(tokens[own])[None]).logits[0, :-1]
            targets = torch.from_numpy(labels[own][1:])
            nats = nats + torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
            learned += int((targets != -100).sum())
    (nats / learned).backward()
    return {name: value.grad for name, value in trained.items()}


def clipped(gradients: Tensors, clip: float | None) -> Tensors:
    norm = torch.stack([value.norm() for value in gradients.values()]).norm()
    scale = min(1.0, clip / float(norm)) if clip else 1.0
    return {name: value * scale for name, value in gradients.items()}


def pass_over(learner: Learner, group: Group, whole: list[Batch]) -> int:
    """Forward and backward of batches, all ranks together. Returns how many targets there were."""
    total = sum(count(targets_of(one)) for one in whole)
    replicas = group.seat.ranks // group.seat.parts
    for one in whole:
        mine = of_replica(one, group.seat.replica, replicas)
        learner.backward(share_of(mine, targets_of(mine), group.seat), total)
    return total


GROUPS: dict[int, Group] = {}


def compare(case: dict[str, Any]) -> dict[str, float]:
    """The worst relative difference of a weight's gradient, by sequence parallelism, chunk and checkpointing.

    The gradient is what the optimiser's first moment took up, so scale, sum of ranks and clipping are in it.
    """
    settings = LongContextTraining.model_validate(case["settings"])
    for parts in (1, 2):
        GROUPS.setdefault(parts, Group(settings.model_copy(update={"sequence_parallel": parts}), CPU))
    learner = GROUPS[1].learner(settings, Path(case["model"]))
    learner.load(weights(learner).__getitem__)
    learner.begin()
    whole = batch(3, settings.batch, settings.length, learner.vocabulary)
    wanted = clipped(reference(learner, case["model"], whole), settings.clip)
    before = {name: torch.zeros(()) for name in wanted}
    worst = {}
    for parts, chunk, checkpointing in itertools.product((1, 2), (0, 7), (False, True)):
        register(PACKED, GROUPS[parts].attention)
        learner.objective.chunk = chunk
        learner.model.gradient_checkpointing_disable()
        if checkpointing:
            learner.model.gradient_checkpointing_enable({"use_reentrant": False})
        pass_over(learner, GROUPS[parts], [whole])
        learner.step(0.0, GROUPS[parts].combine)
        after = {name[8:]: value.clone() for name, value in learner.tensors() if name.startswith("exp_avg/")}
        found = {name: (after[name] - 0.9 * before[name]) / 0.1 for name in wanted}
        worst[f"SP {parts}, chunk {chunk}, checkpointing {checkpointing}"] = max(
            float((found[name] - wanted[name]).norm() / wanted[name].norm()) for name in wanted
        )
        before = after
    learner.close()
    return worst


def learn(case: dict[str, Any]) -> list[float]:
    """Loss at each of some steps, from the file of another case or the beginning; writes what is held."""
    settings = LongContextTraining.model_validate(case["settings"])
    group = Group(settings, CPU)
    learner = group.learner(settings, Path(case["model"]))
    held = torch.load(case["from"]) if case["from"] else weights(learner)
    learner.load(held.__getitem__)
    learner.begin()
    if case["from"]:
        learner.restore(held.__getitem__, case["first"])
    losses = []
    for step in range(case["first"], case["first"] + case["steps"]):
        whole = [
            batch(10 * step + one, settings.batch, settings.length, learner.vocabulary)
            for one in range(settings.accumulate)
        ]
        total = pass_over(learner, group, whole)
        learner.step(1e-2, group.combine)
        judged = of_replica(
            batch(99, 2, settings.length, learner.vocabulary), group.seat.replica, settings.replicas
        )
        nats = float(learner.judge(share_of(judged, targets_of(judged), group.seat)))
        losses.append(group.sums([nats])[0] / total)
    tensors = {name: value.clone() for name, value in learner.tensors()}
    if group.first:
        torch.save(tensors, case["out"])
    learner.close()
    return losses


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        case = json.loads(line)
        answers.write(json.dumps((compare if case["kind"] == "compare" else learn)(case)) + "\n")
