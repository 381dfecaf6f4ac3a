"""Foretells what a rank of a training holds in memory at its peak, in bytes by part. Knows no torch.

The model is that of `actors.learner` over a Llama-like decoder: what autograd keeps of each layer is counted
operation by operation. Three moments are compared: the loss, when every layer's activations are there and no
gradient is; the end of the backward pass, the other way round; the optimiser's step.
Letters: T tokens that a rank holds, H hidden width, Q and K widths of all query and key heads, I inner width
of the feed-forward, V vocabulary.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actors.messages import InvalidRequest
from configs.training import LongContextTraining

MIB = 1024**2
FULL = 4
"""Bytes of a float32."""
PROCESS = {"cpu": 500 * MIB, "mps": 500 * MIB, "cuda": 900 * MIB}
"""What a rank has before it loads a model: libraries, on a GPU the context. That of a GPU is not measured."""
DEEPSPEED = 70 * MIB
"""What DeepSpeed and its process group add to it."""
SLACK = 1.0
"""How much more than what is counted activations take: holes between blocks, what is not counted."""


@dataclass(frozen=True, slots=True)
class Model:
    """A decoder's dimensions, as its config.json gives them."""

    hidden: int
    layers: int
    queries: int
    """Width of all query heads together."""
    keys: int
    """Width of all key heads together."""
    inner: int
    vocabulary: int
    tied: bool
    trained_length: int

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """A layer's matrices by name, each from which width to which."""
        wide = (self.hidden, self.inner)
        return {
            "q_proj": (self.hidden, self.queries),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.queries, self.hidden),
            "gate_proj": wide,
            "up_proj": wide,
            "down_proj": (self.inner, self.hidden),
        }

    @property
    def layer(self) -> int:
        """Weights of one layer's matrices."""
        return sum(a * b for a, b in self.linear.values())

    @property
    def head(self) -> int:
        """Weights of the head, which may be the embedding's."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All weights."""
        norms = (2 * self.layers + 1) * self.hidden
        return self.layers * self.layer + norms + self.head * (1 if self.tied else 2)


def read_model(path: Path) -> Model:
    """The dimensions of a model's directory, or of a config.json. Raises InvalidRequest for other models."""
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file} cannot be read as a model's config.json: {error}") from error
    experts = next((name for name in config if name.startswith("num_") and "experts" in name), None)
    try:
        if experts:
            raise ValueError(f"a layer without {experts}")
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        width = int(config.get("head_dim") or hidden // heads)
        return Model(
            hidden=hidden,
            layers=int(config["num_hidden_layers"]),
            queries=heads * width,
            keys=int(config.get("num_key_value_heads") or heads) * width,
            inner=int(config["intermediate_size"]),
            vocabulary=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
            trained_length=int(config.get("max_position_embeddings", 0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequest(
            f"{file} is not that of a Llama-like decoder, whose memory can be foretold: {error} is missing"
        ) from error


def trained(model: Model, settings: LongContextTraining) -> int:
    """Weights that are trained: all, or those of the adapter."""
    if settings.method == "full":
        return model.parameters
    targets = [shape for name, shape in model.linear.items() if _targeted(settings, name)]
    return model.layers * settings.lora.rank * sum(a + b for a, b in targets)


def footprint(model: Model, settings: LongContextTraining, length: int) -> dict[str, int]:
    """Bytes by part at the peak of one rank, for sequences of `length` tokens; their sum is the peak."""
    held = _held(model, settings)
    moments = _moments(model, settings, length)
    peak = max(moments, key=lambda name: sum(moments[name].values()))
    return {**held, **moments[peak]}


def _held(model: Model, settings: LongContextTraining) -> dict[str, int]:
    """What is there all the time."""
    learned, width = trained(model, settings), _width(settings)
    frozen = model.parameters if settings.method == "lora" else 0
    divided = settings.ranks if settings.zero else 1
    # DeepSpeed keeps float32 weights of its own, plain torch those of a shorter format alone.
    masters = FULL * learned // divided if settings.zero or width < FULL else 0
    weights = width * (learned + frozen)
    if settings.zero == 3:
        weights = weights // settings.ranks + width * max(model.head, model.layer)
    moments = 2 * FULL * learned // divided
    away = settings.offload != "none"
    return {
        "process": PROCESS["cpu" if settings.device == "auto" else settings.device]
        + (DEEPSPEED if settings.zero else 0),
        "weights": 0 if settings.offload == "all" else weights,
        "masters": 0 if away else masters,
        "optimizer": 0 if away else moments,
    }


def _moments(model: Model, settings: LongContextTraining, length: int) -> dict[str, dict[str, int]]:
    """What comes and goes, at the three moments."""
    rows = settings.batch // settings.replicas
    tokens = rows * -(-length // settings.sequence_parallel)
    width, learned = _width(settings), trained(model, settings)
    full = settings.method == "full"
    gradients = width * learned // (settings.ranks if settings.zero >= 2 else 1)
    head = width * model.head if full else 0
    chunk = min(settings.loss_chunk or tokens, tokens)
    chunked = bool(settings.loss_chunk) and tokens > chunk
    # Logarithms of shares, what the loss sends back and the logits' gradient; later that and the head's.
    one = chunk * model.vocabulary * FULL
    logits = max(3 * one + (one // 2 if width < FULL else 0), one + head)
    layer, passing = _layer(model, settings), _passing(model, settings)
    kept = width * model.hidden if settings.checkpointing else layer
    outer = (3 if full else 1) * FULL * model.hidden + width * model.hidden
    exchanged = width * 4 * (model.queries + model.keys) if settings.sequence_parallel > 1 else 0
    again = layer if settings.checkpointing else 0
    return {
        "loss": {
            "activations": int(SLACK * tokens * (model.layers * kept + outer)),
            "logits": int(logits + (tokens * width * model.hidden if chunked else 0)),
            "gradients": head if chunked else 0,
        },
        "last layer": {
            "activations": int(SLACK * tokens * (model.layers * kept + again + passing + exchanged)),
            "logits": 0,
            "gradients": head,
        },
        "first layer": {
            "activations": int(SLACK * tokens * (kept + again + passing + exchanged)),
            "logits": 0,
            "gradients": gradients + head + _bucket(gradients, settings),
        },
        "step": {
            "activations": 0,
            "logits": 0,
            "gradients": gradients
            + (
                FULL * learned // (settings.ranks if settings.zero else 1)
                if width < FULL or settings.zero
                else 0
            )
            + 2 * FULL * (model.head if full else model.hidden * settings.lora.rank),
        },
    }


def _layer(model: Model, settings: LongContextTraining) -> int:
    """Bytes that autograd keeps of one token in one layer."""
    full, width = settings.method == "full", _width(settings)

    def needed(*names: str) -> bool:
        return full or any(_targeted(settings, name) for name in names)

    # Two norms: what comes in, in float32, what is scaled by a trained weight, what comes out.
    norm = FULL * model.hidden + (width * model.hidden if full or width < FULL else 0)
    norms = 2 * norm + width * model.hidden * (
        needed("q_proj", "k_proj", "v_proj") + needed("gate_proj", "up_proj")
    )
    attention = width * (2 * model.queries + 2 * model.keys)
    forward = width * model.inner * (3 + needed("down_proj"))
    adapters = 0 if full else width * settings.lora.rank * sum(_targeted(settings, n) for n in model.linear)
    return norms + attention + forward + adapters


def _passing(model: Model, settings: LongContextTraining) -> int:
    """Bytes of one token's gradients within a layer, where there are most."""
    return _width(settings) * (max(2 * model.inner, 3 * model.queries + 2 * model.keys) + model.hidden)


def _bucket(gradients: int, settings: LongContextTraining) -> int:
    """What DeepSpeed collects gradients in before it sends them: no more than there are."""
    return gradients if settings.zero else 0


def _width(settings: LongContextTraining) -> int:
    return FULL if settings.precision == "float32" else 2


def _targeted(settings: LongContextTraining, name: str) -> bool:
    return any(name.endswith(target) for target in settings.lora.targets)


def total(parts: Mapping[str, int]) -> int:
    """The peak in bytes."""
    return sum(parts.values())
