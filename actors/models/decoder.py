"""A contiguous range of the layers of a Llama-like decoder on one device. Knows no request and no step.

Shapes: T tokens of a packed row, R rows asked for, W width of the model, H query heads, K key-value heads,
D width of a head, V tokens of the vocabulary.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from actors.messages import InvalidRequest, NotReady, Run, Span
from actors.models.checkpoint import Checkpoint
from actors.models.linear import PackedLinear, can_pack, linear
from actors.models.paged import Places, Pool, Row, turn_
from actors.models.parts import EMBEDDING, HEAD, NORM, is_tied

Tensor = torch.Tensor

Quantize = Literal["none", "int8", "int4"]

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
KNOWN_LAYERS = {"full_attention", "sliding_attention"}
FUSED = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
"""Which of the checkpoint's linear layers lie one below the other in each of ours."""
LENGTH_DEPENDENT = ("dynamic", "longrope")
"""Kinds of RoPE whose frequencies change as a sequence grows."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's measures, read from its config."""

    kind: str
    width: int
    inner: int
    heads: int
    kv_heads: int
    head_width: int
    layers: int
    vocabulary: int
    epsilon: float
    windows: tuple[int | None, ...]
    biased: frozenset[str]
    """Which of FUSED have a bias."""

    def outputs(self, name: str) -> tuple[int, ...]:
        """Outputs of each linear layer of the checkpoint that makes up the fused layer `name`."""
        query, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        sizes = {
            "qkv": (query, keys, keys),
            "o": (self.width,),
            "gate_up": (self.inner, self.inner),
            "down": (self.width,),
        }
        return sizes[name]

    def inputs(self, name: str) -> int:
        """Inputs of the fused layer `name`."""
        return {"o": self.heads * self.head_width, "down": self.inner}.get(name, self.width)


class Rotary:
    """Rotary position embedding: angles in float32, whatever the weights are."""

    def __init__(self, config: Any, head_width: int, device: torch.device) -> None:
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        self.kind = str(config.rope_parameters.get("rope_type", "default"))
        if self.kind == "longrope" or self.kind not in {"default", *ROPE_INIT_FUNCTIONS}:
            raise NotReady(f"the torch engine does not know RoPE of type {self.kind!r}")
        if self.kind == "default":
            steps = torch.arange(0, head_width, 2, dtype=torch.float) / head_width
            inverse, self._scaling = 1.0 / (config.rope_parameters["rope_theta"] ** steps), 1.0
        else:
            inverse, self._scaling = ROPE_INIT_FUNCTIONS[self.kind](config, torch.device("cpu"))
        if 2 * len(inverse) != head_width:
            raise NotReady("the torch engine does not know RoPE that turns only a part of each head")
        self._inverse = torch.cat((inverse, inverse)).float().to(device)
        self._sign = torch.ones(head_width, device=device)
        self._sign[: head_width // 2] = -1

    def at(self, positions_T: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosine and signed sine of each position, [T, 1, D]."""
        angles = positions_T[:, None, None].float() * self._inverse
        cos, sin = angles.cos() * self._scaling, angles.sin() * self._scaling * self._sign
        return cos.to(dtype), sin.to(dtype)

    def back(self, by: int) -> tuple[Tensor, Tensor]:
        """What turns a key back by so many positions, [D]. Raises InvalidRequest where nothing does."""
        if self.kind in LENGTH_DEPENDENT:
            raise InvalidRequest(
                f"kv_policy sinks needs RoPE whose frequencies are fixed, and this model's are {self.kind}",
                param="engine.kv_policy",
            )
        angles = -by * self._inverse
        return angles.cos(), angles.sin() * self._sign


def normed(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm over the last dimension, computed in float32 as transformers does."""
    size = x.shape[-1]
    if x.dtype == torch.float32:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x.div(length.square_().div_(size).add_(epsilon).sqrt_()).mul_(weight)
    return weight * torch.rms_norm(x.float(), (size,), None, epsilon).to(x.dtype)


class Layer(nn.Module):
    """One decoder layer; linear layers that read the same input are fused into one."""

    def __init__(self, shape: Shape, number: int, activation: nn.Module) -> None:
        super().__init__()
        self.shape = shape
        self.number = number
        self.window = shape.windows[number]
        self.activation = activation
        self.input_norm: Tensor
        self.inner_norm: Tensor
        self.head_norm: Tensor | None
        self.qkv: nn.Module
        self.o: nn.Module
        self.gate_up: nn.Module
        self.down: nn.Module

    def forward(self, x_TW: Tensor, row: Row, pool: Places, cos: Tensor, sin: Tensor) -> Tensor:
        """[T, W] to [T, W]; keys and values go into the layer's part of the pool."""
        shape = self.shape
        tokens, heads, kv_heads = len(x_TW), shape.heads, shape.kv_heads
        qkv = self.qkv(normed(x_TW, self.input_norm, shape.epsilon))
        qkv = qkv.view(tokens, heads + 2 * kv_heads, shape.head_width)
        turning = qkv[:, : heads + kv_heads]
        if self.head_norm is not None:
            turning.copy_(normed(turning, self.head_norm, shape.epsilon))
        turn_(turning, cos, sin)
        x_TW = x_TW + self.o(row.attend(pool, qkv, self.window))
        gate, up = self.gate_up(normed(x_TW, self.inner_norm, shape.epsilon)).chunk(2, -1)
        y_TW: Tensor = x_TW + self.down(self.activation(gate) * up)
        return y_TW


class Decoder(nn.Module):
    """The layers of a span, the embedding and the head where it has them, and their key-value pool."""

    def __init__(
        self,
        path: Path,
        span: Span,
        slots: int,
        device: torch.device,
        dtype: torch.dtype,
        quantize: Quantize = "none",
    ) -> None:
        super().__init__()
        config = _config(path)
        self.path, self.span, self.device, self.dtype = path, span, device, dtype
        self.shape = _shape(config, span)
        self.quantize = None if quantize == "none" else quantize
        self.rotary = Rotary(config, self.shape.head_width, device)
        self.embedding: Tensor | None = None
        self.norm: Tensor | None = None
        self.lm_head: nn.Module | None = None
        with Checkpoint(path, device, dtype) as weights:
            self._load_ends(weights, config)
            self.layers = nn.ModuleList(
                self._load_layer(weights, config, number) for number in range(span.first, span.end)
            )
        self.pool = Pool(len(self.layers), slots, self.shape.kv_heads, self.shape.head_width, dtype, device)

    def embed(self, tokens: list[int]) -> Tensor:
        """[T] to [T, W]: only where the span begins the model."""
        assert self.embedding is not None
        ids = torch.tensor(tokens, device=self.device)
        return self.embedding[ids].to(self.dtype)

    def forward(self, x_TW: Tensor, row: Row) -> Tensor:
        """Through all layers of the span, [T, W]."""
        cos, sin = self.rotary.at(row.positions, self.dtype)
        for layer, pool in zip(self.layers, self.pool.layers, strict=True):
            x_TW = layer(x_TW, row, pool, cos, sin)
        return x_TW

    def logits(self, x_RW: Tensor) -> Tensor:
        """[R, W] to float32 [R, V]: only where the span ends the model."""
        assert self.norm is not None
        assert self.lm_head is not None
        logits: Tensor = self.lm_head(normed(x_RW, self.norm, self.shape.epsilon))
        return logits.float()

    def shift(self, runs: tuple[Run, ...], by: int) -> None:
        """Move the keys in `runs` back by `by` positions. Raises InvalidRequest (see Rotary.back)."""
        self.pool.rotate(runs, *self.rotary.back(by))

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights, a shared one counted once, without adapters."""
        held = {
            one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
            for one in [*self.parameters(), *self.buffers()]
        }
        packed = sum(one.weight_bytes for one in self.modules() if isinstance(one, PackedLinear))
        return sum(held.values()) + packed

    def fused(self, weights: Checkpoint, number: int, name: str) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of one of a layer's fused linear layers, as the checkpoint has them."""
        shape, prefix = self.shape, f"model.layers.{number}."
        pairs = list(zip(FUSED[name], shape.outputs(name), strict=True))
        rows = [weights.read(f"{prefix}{one}.weight", (size, shape.inputs(name))) for one, size in pairs]
        weight = rows[0] if len(rows) == 1 else torch.cat(rows)
        if name not in shape.biased:
            return weight, None
        return weight, torch.cat([weights.read(f"{prefix}{one}.bias", (size,)) for one, size in pairs])

    def packed(self, weight: Tensor, bias: Tensor | None) -> nn.Module:
        """The fastest linear layer with these weights."""
        if can_pack(self.device, self.dtype):
            return PackedLinear(weight, bias)
        return linear(weight, bias)

    def _settle(self, module: nn.Module, names: tuple[str, ...]) -> None:
        """Quantise the plain linear layers of these names, or pack them."""
        if self.quantize:
            from actors.models.quantize import quantize_

            quantize_(module, self.quantize)
        for name in names:
            plain = getattr(module, name)
            if type(plain) is nn.Linear:
                setattr(module, name, self.packed(plain.weight.data, _data(plain.bias)))

    def _load_ends(self, weights: Checkpoint, config: Any) -> None:
        shape, span = self.shape, self.span
        sizes = (shape.vocabulary, shape.width)
        tied = is_tied(config.tie_word_embeddings, weights)
        shared = tied and span.embeds and span.predicts
        if span.embeds:
            stored = weights.raw(EMBEDDING)
            narrow = stored.dtype.itemsize < self.dtype.itemsize
            kept = weights.read(EMBEDDING, sizes, stored.dtype if narrow else None)
            self.embedding = nn.Parameter(kept, requires_grad=False)
            shared = shared and not narrow and not self.quantize
        if span.predicts:
            self.norm = nn.Parameter(weights.read(NORM, (shape.width,)), requires_grad=False)
            if shared:
                assert self.embedding is not None
                self.lm_head = linear(self.embedding, None)
            else:
                self.lm_head = linear(weights.read(EMBEDDING if tied else HEAD, sizes), None)
                self._settle(self, ("lm_head",))

    def _load_layer(self, weights: Checkpoint, config: Any, number: int) -> Layer:
        from transformers.activations import ACT2FN

        _check_names(weights, self.shape, number)
        layer = Layer(self.shape, number, ACT2FN[config.hidden_act])
        _load_norms(weights, layer)
        for name in FUSED:
            setattr(layer, name, linear(*self.fused(weights, number, name)))
        self._settle(layer, tuple(FUSED))
        return layer


def _data(bias: nn.Parameter | None) -> Tensor | None:
    return None if bias is None else bias.data


def _load_norms(weights: Checkpoint, layer: Layer) -> None:
    shape, prefix = layer.shape, f"model.layers.{layer.number}."

    def norm(name: str, size: int) -> Tensor:
        return weights.read(f"{prefix}{name}.weight", (size,))

    layer.register_buffer("input_norm", norm("input_layernorm", shape.width))
    layer.register_buffer("inner_norm", norm("post_attention_layernorm", shape.width))
    heads = None
    if shape.kind == "qwen3":
        query = norm("self_attn.q_norm", shape.head_width).expand(shape.heads, -1)
        key = norm("self_attn.k_norm", shape.head_width).expand(shape.kv_heads, -1)
        heads = torch.cat((query, key))
    layer.register_buffer("head_norm", heads)


def _check_names(weights: Checkpoint, shape: Shape, number: int) -> None:
    """Raises NotReady for a tensor that this decoder would leave out."""
    known = {"input_layernorm.weight", "post_attention_layernorm.weight", "self_attn.rotary_emb.inv_freq"}
    if shape.kind == "qwen3":
        known |= {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}
    for name, parts in FUSED.items():
        known |= {f"{part}.weight" for part in parts}
        known |= {f"{part}.bias" for part in parts if name in shape.biased}
    strange = sorted(weights.under(f"model.layers.{number}.") - known)
    if strange:
        raise NotReady(
            f"the torch engine does not know the tensor model.layers.{number}.{strange[0]} of this model"
        )


def _config(path: Path) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(path), local_files_only=True)
    if config.model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise NotReady(f"the torch engine runs {known}, not {config.model_type!r}; vLLM may: --engine vllm")
    if getattr(config, "quantization_config", None):
        raise NotReady("the torch engine loads plain weights only; quantise them by engine.quantize instead")
    strange = set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYERS
    if strange:
        raise NotReady(f"the torch engine does not run layers of type {', '.join(sorted(strange))}")
    return config


def _shape(config: Any, span: Span) -> Shape:
    if span.total != config.num_hidden_layers or not 0 <= span.first < span.end <= span.total:
        raise NotReady(f"layers {span.first} to {span.end} of {span.total} are not this model's")
    return Shape(
        kind=config.model_type,
        width=config.hidden_size,
        inner=config.intermediate_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads or config.num_attention_heads,
        head_width=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
        epsilon=config.rms_norm_eps,
        windows=_windows(config),
        biased=_biased(config),
    )


def _windows(config: Any) -> tuple[int | None, ...]:
    """How far each layer sees; None: to the beginning."""
    window: int | None = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if config.model_type == "llama" or window is None:
        return (None,) * int(config.num_hidden_layers)
    if config.model_type == "mistral" or not kinds:
        return (window,) * int(config.num_hidden_layers)
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def _biased(config: Any) -> frozenset[str]:
    if config.model_type == "qwen2":
        return frozenset({"qkv"})
    attention = {"qkv", "o"} if getattr(config, "attention_bias", False) else set()
    inner = {"gate_up", "down"} if getattr(config, "mlp_bias", False) else set()
    return frozenset(attention | inner)
