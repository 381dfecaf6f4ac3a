"""The keep policy in RLlib's PPO: its module, its distribution and one learner. The one door to RLlib."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.learner import (
    AddOneTsToEpisodesAndTruncate,
    GeneralAdvantageEstimation,
)
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchDistribution
from ray.rllib.core.learner.learner import ENTROPY_KEY, POLICY_LOSS_KEY
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.tune.registry import register_env

from actors.compression.environment import ChunkEnvironment, Task, WordEnvironment
from actors.compression.features import WIDTH
from actors.compression.reward import better
from actors.models import keep
from configs.compression import CompressionTraining

Figures = dict[str, float]
_BUDGET = "budget"
_NAME = "palimpsest-compression"


class MaskedBernoulli(TorchDistribution):  # type: ignore[misc]
    """Each word is kept or not, on its own; log-probability and entropy count the free words only.

    Made from [B, 2, N]: log-odds and mask. A sample is S choices [B, S, N].
    """

    choices = 1

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits, self.mask = logits[:, 0], logits[:, 1]
        super().__init__()

    def _get_torch_distribution(self) -> torch.distributions.Distribution:
        return torch.distributions.Bernoulli(logits=self.logits, validate_args=False)

    def sample(self, *, sample_shape: Sequence[int] | None = None) -> torch.Tensor:
        """S choices of words for each chunk [B, S, N]."""
        chunks, words = self.logits.shape
        drawn = torch.rand(chunks, self.choices, words, device=self.logits.device)
        kept = (drawn < torch.sigmoid(self.logits)[:, None]) & (self.mask[:, None] > 0)
        return kept.to(torch.int8)

    def logp(self, value: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """Log-probability of each choice [B, S], or [B] where there is one."""
        each = keep.log_likelihood(self.logits, self.mask, value.to(self.logits.dtype))
        return each if self.choices > 1 else each[:, 0]

    def entropy(self) -> torch.Tensor:
        """Nats of one choice, [B, 1], or [B] where there is one choice."""
        return self._column(keep.entropy(self.logits, self.mask))

    def kl(self, other: "MaskedBernoulli", **kwargs: object) -> torch.Tensor:
        """Nats from this to another, [B, 1], or [B] where there is one choice."""
        return self._column(keep.divergence(self.logits, other.logits, self.mask))

    def to_deterministic(self) -> "MaskedBernoulli":
        """The one choice that is likeliest."""
        return type(self)(torch.stack([torch.sign(self.logits) * 1e4, self.mask], dim=1))

    def _column(self, values: torch.Tensor) -> torch.Tensor:
        return values[:, None] if self.choices > 1 else values

    @staticmethod
    def required_input_dim(space: Any, **_: object) -> int:
        """Numbers that one chunk's distribution is made from."""
        return 2 * int(space.shape[-1])

    @classmethod
    def from_logits(cls, logits: torch.Tensor, **_: object) -> "MaskedBernoulli":
        """From log-odds and mask [B, 2, N]."""
        return cls(logits)


class KeepModule(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """A keep policy and, where one choice a chunk is sampled, a critic over what it understood."""

    def setup(self) -> None:
        """Build the policy that the model configuration names."""
        self.policy = keep.build(self.model_config["policy"], WIDTH)
        self.critic = torch.nn.Linear(self.policy.keep.in_features + 1, 1)
        choices = int(self.model_config["choices"])
        self.action_dist_cls = type("MaskedBernoulliOf", (MaskedBernoulli,), {"choices": choices})

    def _forward(self, batch: dict[str, Any], **kwargs: object) -> dict[str, Any]:
        seen = batch[Columns.OBS]
        logits, hidden = self._logits(seen)
        mask = seen["free"]
        if self.model_config["calibrate"]:
            share = keep.left(seen["costs"], seen["mask"], mask, seen[_BUDGET][:, 0])
            logits = keep.calibrated(logits, mask, seen["costs"], share)
        if self.model_config["middle"]:
            middle = torch.zeros_like(mask)
            middle[:, mask.shape[1] // 2] = 1
            mask = mask * middle
        return {
            Columns.ACTION_DIST_INPUTS: torch.stack([logits, mask], dim=1),
            Columns.EMBEDDINGS: hidden,
        }

    def _logits(self, seen: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        budget = seen[_BUDGET][:, None].expand(-1, seen["mask"].shape[1], 1)
        logits, hidden = self.policy(torch.cat([seen["rows"], budget], dim=2), seen["mask"])
        return cast(torch.Tensor, logits), cast(torch.Tensor, hidden)

    def compute_values(self, batch: dict[str, Any], embeddings: torch.Tensor | None = None) -> torch.Tensor:
        """What each chunk's choice is expected to be worth [B]."""
        seen = batch[Columns.OBS]
        hidden = self._logits(seen)[1] if embeddings is None else embeddings
        mask = seen["mask"][..., None]
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        values: torch.Tensor = self.critic(torch.cat([mean, seen[_BUDGET]], dim=1))[:, 0]
        return values


class LeaveOneOut(ConnectorV2):  # type: ignore[misc]
    """Advantages of choices [B, S], or of their words [B, S, N], against the other choices of the chunk."""

    def __init__(self, *args: Any, by_word: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._by_word = by_word

    def __call__(
        self, *, rl_module: Any, episodes: list[Any], batch: dict[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        """Add advantages and returns to the batch."""
        told = [episode.get_infos(-1) for episode in self.single_agent_episode_iterator(episodes)]
        worth = np.stack([info["worth"] for info in told])
        if self._by_word:
            gain = np.stack([info["credit"] for info in told])
            gain /= gain.std() + 1e-6
        else:
            gain = np.stack([better(one) / (one.std() + 1e-4) for one in worth])
        for held in batch.values():
            device = held[Columns.OBS]["rows"].device
            held[Postprocessing.ADVANTAGES] = torch.as_tensor(gain, device=device)
            held[Postprocessing.VALUE_TARGETS] = torch.as_tensor(worth, device=device)
        return batch


class KeepLearner(PPOTorchLearner):  # type: ignore[misc]
    """PPO's learner; where several choices a chunk are sampled, they are each other's baseline."""

    def build(self) -> None:
        """Put the leave-one-out advantages in the place of the critic's."""
        super().build()
        wanted = self.config.learner_config_dict["device"]
        if wanted == "mps" or (wanted == "auto" and torch.backends.mps.is_available()):
            self._device = torch.device("mps")
            self._module.to(self._device)
        if not self.config.use_critic:
            self._learner_connector.remove(AddOneTsToEpisodesAndTruncate)
            self._learner_connector.remove(GeneralAdvantageEstimation)
            self._learner_connector.append(LeaveOneOut(by_word=self.config.learner_config_dict["by_word"]))

    def compute_loss_for_module(
        self, *, module_id: str, config: PPOConfig, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> torch.Tensor:
        """PPO's clipped loss: over whole choices, or over each word of each choice."""
        if config.use_critic or not config.learner_config_dict["by_word"]:
            whole = super().compute_loss_for_module(
                module_id=module_id, config=config, batch=batch, fwd_out=fwd_out
            )
            return cast(torch.Tensor, whole)
        now = MaskedBernoulli(fwd_out[Columns.ACTION_DIST_INPUTS])
        before = MaskedBernoulli(batch[Columns.ACTION_DIST_INPUTS])
        choices = batch[Columns.ACTIONS].to(now.logits.dtype)
        ratio = torch.exp(
            keep.log_likelihoods(now.logits, now.mask, choices)
            - keep.log_likelihoods(before.logits, now.mask, choices)
        )
        gain = batch[Postprocessing.ADVANTAGES]
        bounded = torch.clamp(ratio, 1 - config.clip_param, 1 + config.clip_param)
        loss = -(torch.min(gain * ratio, gain * bounded) * now.mask[:, None]).sum(dim=-1).mean()
        nats = now.entropy().mean()
        self.metrics.log_dict({POLICY_LOSS_KEY: loss, ENTROPY_KEY: nats}, key=module_id, window=1)
        total: torch.Tensor = loss - config.entropy_coeff * nats
        return total


class Learner:
    """One PPO over one task. What it holds after an iteration is a function of settings and task alone."""

    def __init__(self, settings: CompressionTraining, task: Task) -> None:
        self._settings = settings
        self._task = task
        self._shares = shares([chunk.domain for chunk in task.chunks], settings.balance)
        self._seed(0)
        self._algorithm = cast(PPO, _configuration(settings, task).build_algo())
        self._seed(0)

    def iterate(self, iteration: int) -> Figures:
        """Sample once and learn from it; iterations count from 0. Returns the figures of the sample."""
        settings = self._settings
        generator = np.random.default_rng((settings.seed, iteration))
        numbers = generator.choice(len(self._task.chunks), settings.chunks, p=self._shares)
        budgets = generator.uniform(self._task.lowest, self._task.highest, settings.chunks)
        deals = list(zip(map(int, numbers), map(float, budgets), strict=True))
        rate = settings.rate * pace(iteration, settings.iterations)
        self._seed(iteration)
        self._algorithm.env_runner_group.foreach_env_runner(
            lambda runner: _deal(runner, deals, (settings.seed, iteration))
        )
        self._algorithm.learner_group.foreach_learner(lambda learner: _set_rate(learner, rate))
        return _figures(self._algorithm.train())

    def save(self, path: Path) -> None:
        """Write all that `restore` needs into a new directory."""
        self._algorithm.save_to_path(path.absolute().as_posix())

    def restore(self, path: Path) -> None:
        """Go on as the one that wrote the directory would have."""
        self._algorithm.restore_from_path(path.absolute().as_posix())

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The policy's weights, by name, as `actors.compression.policy` reads them."""
        state = self._algorithm.get_module(DEFAULT_MODULE_ID).get_state()
        named = {name: np.asarray(value) for name, value in state.items()}
        return {
            name.removeprefix("policy."): np.ascontiguousarray(value, np.float32)
            for name, value in named.items()
            if name.startswith("policy.")
        }

    def close(self) -> None:
        """End the sampling actors."""
        self._algorithm.stop()

    def _seed(self, iteration: int) -> None:
        _seed((self._settings.seed, iteration, 0))


def shares(kinds: Sequence[str], balance: float) -> NDArray[np.float64]:
    """How likely each chunk is drawn, given its kind: in proportion to its kind's number to the `balance`."""
    _, kind, counts = np.unique(np.array(kinds), return_inverse=True, return_counts=True)
    each = (counts**balance / counts)[kind]
    return cast(NDArray[np.float64], each / each.sum())


def pace(iteration: int, iterations: int) -> float:
    """The learning rate's share at an iteration: up in a line, then down in a line to a twentieth."""
    rising = max(1, iterations // 20)
    return min(1.0, (iteration + 1) / rising) * (1 - 0.95 * iteration / iterations)


def _configuration(settings: CompressionTraining, task: Task) -> PPOConfig:
    words = settings.environment == "word"
    kind = WordEnvironment if words else ChunkEnvironment
    register_env(_NAME, lambda _: kind(task))
    each = sum(len(chunk.costs) for chunk in task.chunks) // len(task.chunks)
    steps = max(1, each // 2) if words else 1
    return cast(
        PPOConfig,
        PPOConfig()
        .environment(_NAME, disable_env_checking=True)
        .env_runners(
            num_env_runners=settings.runners,
            num_envs_per_env_runner=settings.chunks // max(1, settings.runners),
            batch_mode="complete_episodes",
            sample_timeout_s=600,
        )
        .learners(
            num_learners=0,
            num_gpus_per_learner=int(_on_cuda(settings.device)),
            learner_class=KeepLearner,
            learner_config_dict={
                "device": settings.device,
                "by_word": settings.credit == "word" and task.choices > 1,
            },
        )
        .callbacks(on_episode_end=_log_outcome)
        .training(
            train_batch_size_per_learner=settings.chunks * steps,
            minibatch_size=min(settings.minibatch, settings.chunks) * steps,
            num_epochs=settings.epochs,
            lr=settings.rate,
            clip_param=settings.clip,
            entropy_coeff=settings.entropy,
            use_critic=task.choices == 1,
            use_kl_loss=False,
            grad_clip=1.0,
            gamma=1.0,
            lambda_=1.0,
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=KeepModule,
                model_config={
                    "policy": settings.policy,
                    "choices": task.choices,
                    "calibrate": settings.calibrate and not words,
                    "middle": words,
                },
            )
        )
        .reporting(min_time_s_per_iteration=0, min_train_timesteps_per_iteration=0)
        .debugging(seed=settings.seed, log_level="ERROR"),
    )


def _on_cuda(device: str) -> bool:
    return device == "cuda" or (device == "auto" and torch.cuda.is_available())


def _log_outcome(*, episode: Any, metrics_logger: Any, **_: object) -> None:
    info = episode.get_infos(-1)
    for name in ("utility", "ratio"):
        metrics_logger.log_value(name, info[name], reduce="mean", window=1_000)


def _seed(key: Sequence[int]) -> None:
    """Seed every generator of this process that RLlib draws from."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _deal(runner: Any, deals: Sequence[tuple[int, float]], key: tuple[int, int]) -> None:
    """Give a runner's environments their chunks and budgets of one iteration, and seed its generators."""
    if runner.env is None:
        return
    environments = [environment.unwrapped for environment in runner.env.unwrapped.envs]
    hand = max(0, runner.worker_index - 1)
    _seed((*key, hand))
    for place, environment in enumerate(environments, start=hand * len(environments)):
        environment.np_random = np.random.default_rng((*key, place))
        environment.deal(*deals[place])


def _set_rate(learner: Any, rate: float) -> None:
    for _, optimizer in learner.get_optimizers_for_module(DEFAULT_MODULE_ID):
        for group in optimizer.param_groups:
            group["lr"] = rate


def _figures(result: dict[str, Any]) -> Figures:
    sampled, learned = result["env_runners"], result["learners"][DEFAULT_MODULE_ID]
    return {
        "reward": float(sampled["episode_return_mean"]),
        "utility": float(sampled["utility"]),
        "ratio": float(sampled["ratio"]),
        "entropy": float(learned["entropy"]),
        "policy_loss": float(learned["policy_loss"]),
        "gradient": float(learned.get("gradients_default_optimizer_global_norm", 0.0)),
    }
