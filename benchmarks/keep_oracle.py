"""The keep policy learned by plain policy gradient, without RLlib: what PPO is held against."""

import numpy as np
import torch
from numpy.typing import NDArray

from actors.compression.environment import ChunkEnvironment, Task
from actors.compression.features import WIDTH
from actors.models import keep
from configs.compression import CompressionTraining


def learn(settings: CompressionTraining, task: Task) -> dict[str, NDArray[np.float32]]:
    """REINFORCE with a chunk's other choices as baseline, for as many gradient steps as the settings ask."""
    torch.manual_seed(settings.seed)
    chance = np.random.default_rng(settings.seed)
    policy = keep.build(settings.policy, WIDTH)
    optimizer = torch.optim.Adam(policy.parameters(), lr=settings.rate)
    environment = ChunkEnvironment(task)
    steps = settings.iterations * settings.epochs * max(1, settings.chunks // settings.minibatch)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * min(1, 20 * (step + 1) / steps) * (1 - 0.95 * step / steps)
        loss = _loss(settings, task, environment, policy, chance)
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
) -> torch.Tensor:
    size = min(settings.minibatch, settings.chunks)
    numbers = chance.integers(len(task.chunks), size=size)
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
