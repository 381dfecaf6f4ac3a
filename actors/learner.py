"""Holds one model that learns: its loss, its gradients, its optimiser, in plain torch. Knows no parallelism.

Shapes: B rows, T tokens of each, W width of the model.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from actors.messages import InvalidRequest, PalError
from actors.models.attention import PACKED, Attention, Spans, packed, register
from actors.models.longloss import nats
from actors.models.rope import extend
from configs.training import LongContextTraining

Tensor = torch.Tensor
MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of each weight."""
BETAS = (0.9, 0.999)
EPSILON = 1e-8
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "linear": lambda at: 1 - 0.9 * at,
    "cosine": lambda at: 0.55 + 0.45 * math.cos(math.pi * at),
}
"""Share of the highest rate by progress from 0 to 1."""
RESHAPED = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""Settings of models whose logits are more than the head's product, which is not computed here."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one learner computes of a batch; a target is the token that comes next, or -100."""

    tokens_B_T: Tensor
    targets_B_T: Tensor
    positions_B_T: Tensor
    spans: Spans
    """Documents, counted in the whole sequence, of which this may be a part."""


class Objective(nn.Module):
    """The loss of a causal language model that never holds all logits, as a module over the model."""

    def __init__(self, model: Any, chunk: int) -> None:
        super().__init__()
        self.model = model
        self.chunk = chunk

    def forward(self, tokens_B_T: Tensor, targets_B_T: Tensor, positions_B_T: Tensor, spans: Spans) -> Tensor:
        """Nats of all targets together."""
        causal = causal_of(self.model)
        hidden_B_T_W = causal.base_model(
            input_ids=tokens_B_T, position_ids=positions_B_T, use_cache=False, spans=spans
        ).last_hidden_state
        head = causal.get_output_embeddings()
        return nats(hidden_B_T_W.flatten(0, 1), head, targets_B_T.flatten(), self.chunk)


class Learner:
    """A model and its optimiser on one device. Used from one thread."""

    def __init__(
        self,
        settings: LongContextTraining,
        path: Path,
        device: torch.device,
        attention: Attention = packed,
    ) -> None:
        """Load the model. Raises InvalidRequest for a model or adapter that cannot be trained like that."""
        self.settings = settings
        self.device = device
        self.model = build(settings, path, device, attention)
        self.objective = Objective(self.model, settings.loss_chunk)
        self.vocabulary: int = causal_of(self.model).config.vocab_size
        self.trained: dict[str, nn.Parameter] = {
            name: value for name, value in self.model.named_parameters() if value.requires_grad
        }
        self.shapes = {name: tuple(value.shape) for name, value in self.trained.items()}

    def begin(self) -> None:
        """Make the optimiser; before the first step, after `load`."""
        self._masters = {name: _master(value) for name, value in self.trained.items()}
        self._optimiser = torch.optim.AdamW(
            self._masters.values(), betas=BETAS, eps=EPSILON, weight_decay=self.settings.weight_decay
        )

    def backward(self, share: Share, total: int) -> Tensor:
        """Add the gradient of nats / `total` to that of the step. Returns nats, a scalar."""
        loss = self._nats(share)
        (loss / total).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def step(self, rate: float, combine: Callable[[Iterable[Tensor]], None] | None = None) -> float:
        """Change the weights by the gradients, which are gone then. Returns how long the gradient was.

        `combine` makes each gradient in place the sum of all learners'. Nothing is changed by a gradient that
        is not finite.
        """
        if combine is not None:
            combine([_gradient(value) for value in self.trained.values()])
        for name, value in self.trained.items():
            if self._masters[name] is not value:
                self._masters[name].grad, value.grad = _gradient(value).float(), None
        gradients = [_gradient(value) for value in self._masters.values()]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not math.isfinite(float(norm)):
            return float(norm)
        if self.settings.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self._masters.values(), self.settings.clip, norm)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        self._optimiser.zero_grad()
        with torch.no_grad():
            for name, value in self.trained.items():
                value.copy_(self._masters[name])
        return float(norm)

    def judge(self, share: Share) -> Tensor:
        """Nats, a scalar, of what is not learned."""
        with torch.no_grad():
            return self._nats(share)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Weights and moments by name, float32, in the order of `names`; all that another learner needs."""
        for name in self.trained:
            yield f"weight/{name}", self._masters[name].detach()
            held = self._optimiser.state.get(self._masters[name], {})
            for moment in MOMENTS:
                yield f"{moment}/{name}", held.get(moment, torch.zeros_like(self._masters[name]))

    def load(self, read: Callable[[str], Tensor]) -> None:
        """Take the weights that `tensors` gave; before `begin`."""
        with torch.no_grad():
            for name, value in self.trained.items():
                value.copy_(read(f"weight/{name}"))

    def restore(self, read: Callable[[str], Tensor], steps: int) -> None:
        """Take up what `tensors` gave after so many steps; after `load` and `begin`."""
        with torch.no_grad():
            for name, master in self._masters.items():
                master.copy_(read(f"weight/{name}"))
                self._optimiser.state[master] = {
                    "step": torch.tensor(float(steps)),
                    **{moment: read(f"{moment}/{name}").to(self.device) for moment in MOMENTS},
                }

    def close(self) -> None:
        """Nothing to end."""

    def _nats(self, share: Share) -> Tensor:
        loss: Tensor = self.objective(*on(self.device, share))
        return loss


def build(settings: LongContextTraining, path: Path, device: torch.device, attention: Attention) -> Any:
    """The model of a directory as it is trained: a transformers model, or PEFT's around it."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    register(PACKED, attention)
    torch.manual_seed(settings.seed)
    try:
        config = AutoConfig.from_pretrained(str(path), local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} is no model that can be trained: {error}") from error
    reshaped = [name for name in RESHAPED if getattr(config, name, None) not in {None, 1}]
    if reshaped:
        raise InvalidRequest(f"models with {reshaped[0]} cannot be trained on long sequences yet")
    extend(config, settings.rope, settings.farthest)
    model = AutoModelForCausalLM.from_pretrained(
        str(path),
        config=config,
        dtype=getattr(torch, settings.precision),
        attn_implementation=PACKED,
        local_files_only=True,
    )
    if settings.method == "lora":
        model = with_adapter(model, settings)
    if settings.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.to(device).train()


def causal_of(model: Any) -> Any:
    """The transformers model itself, where PEFT's may be around it."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def on(device: torch.device, share: Share) -> tuple[Tensor, Tensor, Tensor, Spans]:
    """A share's parts, on a device."""
    whole = (share.tokens_B_T, share.targets_B_T, share.positions_B_T)
    tokens, targets, positions = (one.to(device, non_blocking=True) for one in whole)
    return tokens, targets, positions, share.spans


def check_finite(value: float, what: str) -> None:
    """Raises PalError for what is not a number or not finite."""
    if not math.isfinite(value):
        raise PalError(f"the {what} is {value}: lower rate, or look at the data", code="not_finite")


def with_adapter(model: Any, settings: LongContextTraining) -> Any:
    """The model with a LoRA adapter around it. Raises InvalidRequest for targets that it does not have."""
    from peft import LoraConfig, get_peft_model

    lora = settings.lora
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=list(lora.targets),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config, autocast_adapter_dtype=False)
    except ValueError as error:
        raise InvalidRequest(f"lora.targets do not fit the model: {error}") from error


def _master(value: nn.Parameter) -> nn.Parameter:
    """The weight itself, or in a shorter format its float32 copy that the optimiser changes."""
    return value if value.dtype == torch.float32 else nn.Parameter(value.detach().float())


def _gradient(value: Tensor) -> Tensor:
    """A weight's gradient; zeros where nothing asked for one."""
    if value.grad is None:
        value.grad = torch.zeros_like(value)
    return value.grad


def rate_at(settings: LongContextTraining, step: int) -> float:
    """The learning rate of a step, counted from 0."""
    if step < settings.warmup:
        return settings.rate * (step + 1) / settings.warmup
    at = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.rate * SCHEDULES[settings.schedule](at)
