"""The keep policy learned by plain policy gradient, without RLlib: what PPO is held against.

    python -m benchmarks.keep_oracle [--policy RUN/policy.safetensors] --data PREPARED --data PREPARED ...

Learns from as many chunks of the same data as PPO did for the policy, by default the shipped one, drawn
alike, and compares the answers that both keep on documents held out.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from actors.compression.chunks import Chunk
from actors.compression.environment import ChunkEnvironment, Task
from actors.compression.features import WIDTH
from actors.compression.policy import SHIPPED, Policy
from actors.models import keep
from actors.models.store import ModelStore
from configs.compression import CompressionTraining
from configs.load import load as load_settings
from tune.records import TEST, TRAIN
from tune.training import BUDGETS, kept_share, load, task_of, token_count

Shares = NDArray[np.float64]
app = typer.Typer(add_completion=False)


@app.command()
def main(
    data: Annotated[list[Path], typer.Option(help="What the policy was trained on; repeatable.")],
    policy: Annotated[Path, typer.Option(help="Weights that PPO learned, their manifest beside.")] = SHIPPED,
) -> None:
    """Learn by plain policy gradient from as many chunks, and print the answers kept beside PPO's."""
    from tune.compress import shares

    given = load_settings().settings
    count = token_count(ModelStore(given).resolve(given.engine.model) / "tokenizer.json")
    manifest = json.loads(policy.with_suffix(".manifest.json").read_text())
    settings = CompressionTraining.model_validate(manifest["settings"])
    chunks = load(data, TRAIN, count, settings.protect)
    once = settings.model_copy(update={"epochs": 1})
    began = time.process_time()
    drawn = shares([chunk.domain for chunk in chunks], settings.balance)
    oracle = Policy(learn(once, task_of(once, chunks), drawn))
    spent = time.process_time() - began
    length = float(drawn @ [len(chunk.costs) for chunk in chunks])
    words = settings.iterations * settings.chunks * length
    print(
        f"{settings.iterations * settings.chunks} chunks each, some {words:.0f} words; oracle: {spent:.0f} s"
    )
    test = load(data, TEST, count, settings.protect)
    for budget in BUDGETS:
        ppo, plain = (_kept(one, test, budget) for one in (Policy.load(policy), oracle))
        print(f"answers kept at {budget}: PPO {ppo:.4f}, oracle {plain:.4f}, ratio {ppo / plain:.4f}")


def _kept(policy: Policy, chunks: Sequence[Chunk], budget: float) -> float:
    return kept_share(chunks, lambda chunk, asked: policy.scores(chunk.rows, asked), budget)


def learn(
    settings: CompressionTraining, task: Task, shares: Shares | None = None
) -> dict[str, NDArray[np.float32]]:
    """REINFORCE with a chunk's other choices as baseline, for as many gradient steps as the settings ask.

    Chunks are drawn by `shares`, or all alike.
    """
    torch.manual_seed(settings.seed)
    chance = np.random.default_rng(settings.seed)
    policy = keep.build(settings.policy, WIDTH)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.rate)
    environment = ChunkEnvironment(task)
    steps = settings.iterations * settings.epochs * max(1, settings.chunks // settings.minibatch)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * min(1, 20 * (step + 1) / steps) * (1 - 0.95 * step / steps)
        loss = _loss(settings, task, environment, policy, chance, shares)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
    return {name: value.numpy() for name, value in policy.state_dict().items()}


def _loss(
    settings: CompressionTraining,
    task: Task,
    environment: ChunkEnvironment,
    policy: keep.KeepConvolution | keep.KeepAttention,
    chance: np.random.Generator,
    shares: Shares | None,
) -> torch.Tensor:
    size = min(settings.minibatch, settings.chunks)
    numbers = chance.choice(len(task.chunks), size, p=shares)
    budgets = chance.uniform(task.lowest, task.highest, size)
    seen = []
    for number, budget in zip(numbers, budgets, strict=True):
        environment.deal(int(number), float(budget))
        seen.append(environment.reset()[0])
    rows, mask, free, costs, budget = (
        torch.from_numpy(np.stack([one[name] for one in seen]))
        for name in ("rows", "mask", "free", "costs", "budget")
    )
    given = torch.cat([rows, budget[:, None].expand(-1, rows.shape[1], 1)], dim=2)
    logits = policy(given, mask)[0]
    if settings.calibrate:
        logits = keep.calibrated(logits, free, costs, keep.left(costs, mask, free, budget[:, 0]))
    drawn = torch.rand(size, task.choices, rows.shape[1]) < torch.sigmoid(logits.detach())[:, None]
    better = [
        _better(
            task,
            int(number),
            choices[:, : len(task.chunks[number].costs)] | task.chunks[number].locked,
            float(asked),
        )
        for number, choices, asked in zip(numbers, drawn.numpy(), budgets, strict=True)
    ]
    likely = keep.log_likelihood(logits, free, drawn.float())
    return -(likely * torch.from_numpy(np.stack(better))).mean()


def _better(task: Task, number: int, masks: NDArray[np.bool_], budget: float) -> NDArray[np.float32]:
    worth = task.worth(number, masks, budget)
    others = (worth - worth.mean()) * task.choices / (task.choices - 1)
    scaled: NDArray[np.float32] = (others / (worth.std() + 1e-4)).astype(np.float32)
    return scaled


if __name__ == "__main__":
    app()
