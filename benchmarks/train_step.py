"""One training step at one length, in a process of its own: prints its peak of memory and its seconds.

python -m benchmarks.train_step MODEL --arm plain --length 1024
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from configs.training import LongContextTraining
from tune.data import Batch
from tune.group import Group
from tune.shares import count, share_of, targets_of
from tune.train import peak_bytes

ARMS = {
    "plain": "plain transformers",
    "checkpointing": "+ activation checkpointing",
    "chunked": "+ chunked loss",
    "parallel": "+ sequence parallelism on two ranks",
}
"""Each with what those before it have."""
CPU = torch.device("cpu")


def main() -> int:
    """Take the step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--arm", choices=tuple(ARMS), required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--method", choices=("full", "lora"), default="full")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--zero", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = LongContextTraining(
        model=str(options.model),
        method=options.method,
        precision=options.precision,
        length=options.length,
        ranks=2 if options.arm == "parallel" else 1,
        sequence_parallel=2 if options.arm == "parallel" else 1,
        zero=options.zero if options.arm == "parallel" else 0,
        checkpointing=options.arm != "plain",
        rope={"method": "yarn"},
        device="cpu",
    )
    tokens = np.random.default_rng(0).integers(0, 1000, (1, options.length))
    step = (_transformers if options.arm in ("plain", "checkpointing") else _ours)(
        settings, options.model, tokens
    )
    before = peak_bytes(CPU)
    began = time.perf_counter()
    loss = step()
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "loss": loss,
                "peak_gib": round(peak_bytes(CPU) / 2**30, 3),
                "loaded_gib": round(before / 2**30, 3),
                "seconds": round(seconds, 2),
            }
        )
    )
    return 0


def _transformers(settings: LongContextTraining, path: Path, tokens: np.ndarray) -> Callable[[], float]:
    """A step as transformers, PEFT and torch take it by themselves."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from actors.learner import with_adapter
    from actors.models.rope import extend

    config = AutoConfig.from_pretrained(str(path))
    extend(config, settings.rope, settings.longest)
    model = AutoModelForCausalLM.from_pretrained(
        str(path), config=config, dtype=getattr(torch, settings.precision), attn_implementation="sdpa"
    )
    if settings.method == "lora":
        model = with_adapter(model, settings)
    if settings.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    optimiser = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad])
    ids = torch.from_numpy(tokens)

    def step() -> float:
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimiser.step()
        return float(loss)

    return step


def _ours(settings: LongContextTraining, path: Path, tokens: np.ndarray) -> Callable[[], float]:
    group = Group(settings, CPU)
    learner = group.learner(settings, path)
    learner.begin()
    positions = np.arange(tokens.shape[1])[None]
    batch = Batch(tokens, tokens, positions, np.zeros_like(tokens))
    targets = targets_of(batch)

    def step() -> float:
        nats = float(learner.backward(share_of(batch, targets, group.seat), count(targets)))
        learner.step(1e-4, group.combine)
        return group.sums([nats])[0] / count(targets)

    return step


if __name__ == "__main__":
    raise SystemExit(main())
