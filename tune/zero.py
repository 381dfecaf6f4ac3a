"""The one door to DeepSpeed: a learner whose gradients, optimiser or weights are divided among ranks (ZeRO).

DeepSpeed averages over ranks and clips at 1.0 unless told otherwise; both are told here, so that a rank's
gradient means the same as in plain torch. Its compiled operators are not used: none is built at run time.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from actors.learner import BETAS, EPSILON, MOMENTS, Learner, Share, on
from actors.messages import NotReady
from actors.models.attention import Attention, packed
from configs.training import LongContextTraining

Tensor = torch.Tensor
STALE_S = 600
"""Seconds after which the lock of a build is taken for that of one that was killed."""
logger = logging.getLogger(__name__)


class ZeroLearner(Learner):
    """A learner that holds its share of what `settings.zero` divides; the process group must be there."""

    def __init__(
        self,
        settings: LongContextTraining,
        path: Path,
        device: torch.device,
        attention: Attention = packed,
    ) -> None:
        """Load the model. Raises as Learner does, and NotReady without DeepSpeed."""
        super().__init__(settings, path, device, attention)
        self._stepped = False
        self._passed = False

    def begin(self) -> None:
        """Hand model and optimiser to DeepSpeed."""
        deepspeed = _deepspeed()
        optimiser = torch.optim.AdamW(
            self.trained.values(), betas=BETAS, eps=EPSILON, weight_decay=self.settings.weight_decay
        )
        self._engine, *_ = deepspeed.initialize(
            model=self.objective,
            optimizer=optimiser,
            config=config_of(self.settings),
            dist_init_required=False,
        )
        self._zero = self._engine.optimizer

    def backward(self, share: Share, total: int) -> Tensor:
        """Add the gradient of nats / `total` to that of the step. Returns nats, a scalar."""
        if self._passed:
            self._engine.step()
        self._passed = True
        loss = self._nats(share)
        self._engine.backward(loss * (dist.get_world_size() / total), scale_wrt_gas=False)
        return loss.detach()

    def step(self, rate: float, combine: Callable[[Iterable[Tensor]], None] | None = None) -> float:
        """Change the weights by the gradients of all ranks. Returns how long the gradient was.

        `combine` is not called: DeepSpeed has summed them.
        """
        for group in self._zero.param_groups:
            group["lr"] = rate
        self._engine.step()
        self._passed, self._stepped = False, True
        return float(self._engine.get_global_grad_norm())

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Weights and moments by name, float32 and whole; every rank must go through all of them."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        for name, value in self.trained.items():
            yield f"weight/{name}", safe_get_full_fp32_param(value)
            for moment in MOMENTS:
                if self._stepped:
                    yield f"{moment}/{name}", safe_get_full_optimizer_state(value, moment)
                else:
                    yield f"{moment}/{name}", torch.zeros(self.shapes[name], device=self.device)

    def restore(self, read: Callable[[str], Tensor], steps: int) -> None:
        """Take up what `tensors` of any learner gave after so many steps; after `load` and `begin`."""
        for flat in self._flat():
            moments = {moment: torch.zeros_like(flat) for moment in MOMENTS}
            self._zero.optimizer.state[flat] = {"step": torch.tensor(float(steps)), **moments}
        if self.settings.zero < 3:
            self._zero._lazy_init_hp_params_optimizer_state()
        for name, value in self.trained.items():
            self._set(value, read(f"weight/{name}"), None)
            for moment in MOMENTS:
                self._set(value, read(f"{moment}/{name}"), moment)
        self._stepped = True

    def close(self) -> None:
        """Let DeepSpeed's hooks and buffers go."""
        self._engine.destroy()

    def _nats(self, share: Share) -> Tensor:
        loss: Tensor = self._engine(*on(self.device, share))
        return loss

    def _flat(self) -> list[Tensor]:
        """This rank's part of all weights, as DeepSpeed lays them out."""
        if self.settings.zero == 3:
            return list(self._zero.fp32_partitioned_groups_flat)
        return list(self._zero.single_partition_of_fp32_groups)

    def _set(self, value: Any, whole: Tensor, moment: str | None) -> None:
        """Put this rank's part of a whole weight, or of its moment, in its place."""
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        whole = whole.to(self.device)
        if self.settings.zero < 3:
            if moment is None:
                safe_set_full_fp32_param(value, whole)
            else:
                safe_set_full_optimizer_state(value, whole, moment)
            return
        part, _ = self._zero._get_fp32_opt_state_partition(value, False, moment)
        first = part.numel() * dist.get_rank()
        mine = whole.flatten()[first : first + part.numel()]
        with torch.no_grad():
            part[: mine.numel()].copy_(mine)


def config_of(settings: LongContextTraining) -> dict[str, Any]:
    """What DeepSpeed is told; what it would choose by itself is chosen here."""
    zero: dict[str, Any] = {"stage": settings.zero, "overlap_comm": settings.device == "cuda"}
    if settings.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if settings.offload == "all":
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": settings.accumulate,
        "gradient_clipping": settings.clip or 0.0,
        "bf16": {"enabled": settings.precision == "bfloat16"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }


def stale_locks(folder: Path | None = None) -> list[Path]:
    """Locks that killed builds of DeepSpeed's operators left; a build that meets one waits for ever."""
    named = os.environ.get("TORCH_EXTENSIONS_DIR")
    folder = folder or Path(named or Path.home() / ".cache" / "torch_extensions")
    return [lock for lock in sorted(folder.rglob("lock")) if time.time() - lock.stat().st_mtime > STALE_S]


def _deepspeed() -> Any:
    """DeepSpeed, kept from building operators. Raises NotReady where it is not installed."""
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    for lock in stale_locks():
        logger.warning(
            "%s was left by a build that was killed; delete it, or the next build waits for ever", lock
        )
    try:
        import deepspeed
        import deepspeed.ops
    except ModuleNotFoundError as error:
        raise NotReady(
            "zero 1 to 3 needs DeepSpeed: install palimpsest[cpu] or palimpsest[gpu], or set zero to 0"
        ) from error
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed
