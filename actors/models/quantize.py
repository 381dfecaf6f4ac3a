"""8- and 4-bit weights for the linear layers of a module, by torch's own kernels. Knows no engine, no model.

Shapes: R rows of activations, I inputs and O outputs of a layer, G groups of inputs.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from actors.messages import InvalidRequest

Kind = Literal["int8", "int4"]

HEAD = "lm_head"
"""The layer that predicts, which takes 8 bits in either kind: 4 cost it 5 % of perplexity, 8 cost 0.2 %."""
GROUP = 32
"""Inputs that share one scale and zero in 4 bits; with them a weight takes 5 bits."""
MULTIPLE = 32
"""What both sizes of a layer must be divisible by: the kernels compute whole tiles."""
FEW_ROWS = 8
"""Up to here the kernel that reads 8-bit weights as they are is the fastest on a CPU."""
MANY_ROWS = 64
"""From here on unpacking 4-bit weights is faster than the kernel, whose time grows with every row."""
DIGIT = 254
"""Parts of a unit of an activation's first digit that its second counts: half a unit is 127 of them."""
TILE = 64
"""Outputs that one tile of packed 4-bit weights holds on a CPU."""
INT4_DEVICES = ("cpu", "mps")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the linear layers: how many were converted, and for each other one why it was kept."""

    converted: int
    kept: Mapping[str, str]


def quantize_(module: nn.Module, kind: Kind) -> Report:
    """Replace the linear layers inside `module` by ones with 8- or 4-bit weights, one after the other.

    Works where the weights are: move the module to its device first. A layer that shares its weight with
    another module (a head tied to the embedding) or whose sizes do not fit the kernels is left as it is.
    Each new layer maps [..., I] to [..., O] as before and keeps `in_features`, `out_features` and `bias`.
    Raises InvalidRequest for a bare layer, for weights not loaded, and for 4 bits on a device without them.
    """
    if type(module) is nn.Linear:
        raise InvalidRequest("a bare linear layer cannot be replaced in place: pass the module that holds it")
    uses = Counter(id(weight) for _, weight in module.named_parameters(remove_duplicate=False))
    names = [name for name, layer in module.named_modules() if type(layer) is nn.Linear]
    kept: dict[str, str] = {}
    for name in names:
        layer = module.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        why = _why_kept(layer, kind, uses)
        if why:
            kept[name] = why
        else:
            parent, _, attribute = name.rpartition(".")
            small = Int4Linear if kind == "int4" and attribute != HEAD else Int8Linear
            setattr(module.get_submodule(parent), attribute, small(layer))
    return Report(len(names) - len(kept), kept)


def weight_bytes(module: nn.Module) -> int:
    """Bytes that the parameters and buffers of `module` take in memory; a shared tensor counts once."""
    tensors = [*module.parameters(), *module.buffers()]
    storages = {
        (one.device, one.untyped_storage().data_ptr()): one.untyped_storage().nbytes() for one in tensors
    }
    return sum(storages.values())


def _why_kept(layer: nn.Linear, kind: Kind, uses: Mapping[int, int]) -> str:
    """Why a layer cannot be converted; empty if it can. Raises InvalidRequest where none of its kind can."""
    device = layer.weight.device.type
    if device == "meta":
        raise InvalidRequest("weights are quantised once they are loaded, and these are not")
    if kind == "int4" and device not in INT4_DEVICES:
        raise InvalidRequest(
            f"4-bit weights run on {' and '.join(INT4_DEVICES)}, not on {device}; engine.quantize: int8 does",
            param="engine.quantize",
        )
    if uses[id(layer.weight)] > 1:
        return "shares its weight with another module"
    sizes = (layer.in_features, layer.out_features)
    if any(size % MULTIPLE for size in sizes):
        return f"sizes {sizes[0]} and {sizes[1]} are not both divisible by {MULTIPLE}"
    return ""


class QuantisedLinear(nn.Module):
    """What both kinds share: sizes, bias, and rows of any shape."""

    bias: torch.Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., I] to [..., O], in the number format of `x`."""
        x_RI = x.reshape(-1, self.in_features)
        y_RO = self._product(x_RI).to(x.dtype)
        y = y_RO.view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias

    def _product(self, x_RI: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """The sizes, as torch's linear layer shows them."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


class Int8Linear(QuantisedLinear):
    """A linear layer whose weights are 8-bit integers, with one scale for each output."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer)
        weight_OI, scale_O = to_int8(layer.weight.detach())
        self.register_buffer("weight", weight_OI)
        self.register_buffer("scale", scale_O)

    def _product(self, x_RI: torch.Tensor) -> torch.Tensor:
        if x_RI.device.type == "mps":
            return torch._weight_int8pack_mm(x_RI.contiguous(), self.weight, self.scale.to(x_RI.dtype))
        if x_RI.device.type == "cpu" and len(x_RI) <= FEW_ROWS:
            return torch._weight_int8pack_mm(x_RI.bfloat16(), self.weight, self.scale.bfloat16())
        if x_RI.device.type == "cpu" and cpu_multiplies_int8():
            return digits_by_int8(x_RI, self.weight, self.scale)
        return F.linear(x_RI, self.weight.to(x_RI.dtype)) * self.scale.to(x_RI.dtype)


class Int4Linear(QuantisedLinear):
    """A linear layer whose weights are 4-bit integers, packed for the device it was made on.

    Each group of 32 inputs of an output has a scale and a zero: weight = (integer - 8) * scale + zero.
    """

    packed: torch.Tensor
    scale_zero: torch.Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer)
        weight = layer.weight.detach()
        on_cpu = weight.device.type == "cpu"
        weight_OI, scale_zero_GO2 = to_int4(weight, torch.bfloat16 if on_cpu else weight.dtype)
        self.register_buffer("packed", _pack_for_cpu(weight_OI) if on_cpu else _pack_for_mps(weight_OI))
        self.register_buffer("scale_zero", scale_zero_GO2)

    def _product(self, x_RI: torch.Tensor) -> torch.Tensor:
        if x_RI.device.type == "mps":
            scale_zero = self.scale_zero.to(x_RI.dtype)
            return torch._weight_int4pack_mm(x_RI.contiguous(), self.packed, GROUP, scale_zero)
        if len(x_RI) >= MANY_ROWS and self.out_features % TILE == 0 and cpu_tiles_are_known():
            return x_RI @ self._unpacked(x_RI.dtype)
        product: torch.Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
            x_RI.bfloat16().contiguous(), self.packed, GROUP, self.scale_zero
        )
        return product

    def _unpacked(self, dtype: torch.dtype) -> torch.Tensor:
        """The weights at full width, [I, O]."""
        groups, outputs = self.in_features // GROUP, self.out_features
        integers = _tiles_of_cpu(self.packed).view(-1, groups, GROUP, TILE).to(dtype)
        scales, zeros = self.scale_zero.to(dtype).view(groups, -1, 1, TILE, 2).transpose(0, 1).unbind(-1)
        tiles = integers.mul_(scales).add_(zeros - 8 * scales)
        return tiles.view(-1, self.in_features, TILE).transpose(0, 1).reshape(self.in_features, outputs)

    def extra_repr(self) -> str:
        """The sizes, as torch's linear layer shows them, and the group's."""
        return f"{super().extra_repr()}, group={GROUP}"


def to_int8(weight_OI: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Integers from -127 to 127 and the float32 scale of each output, [O]."""
    scale_O = (weight_OI.abs().amax(1).float() / 127).clamp_min(torch.finfo(torch.float32).tiny)
    integers = (weight_OI.float() / scale_O[:, None]).round_()
    return integers.to(torch.int8), scale_O


def to_int4(weight_OI: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Integers from 0 to 15, int32, and each group's scale and zero in `dtype`, [G, O, 2]."""
    outputs, inputs = weight_OI.shape
    groups = weight_OI.float().view(outputs, inputs // GROUP, GROUP)
    low, high = groups.amin(2), groups.amax(2)
    scale = ((high - low) / 15).clamp_min(torch.finfo(torch.float16).tiny).to(dtype)
    zero = (low + 8 * scale.float()).to(dtype)
    integers = (
        (groups - zero[..., None].float()).div_(scale[..., None].float()).round_().add_(8).clamp_(0, 15)
    )
    scale_zero_GO2 = torch.stack((scale, zero), 2).transpose(0, 1).contiguous()
    return integers.view(outputs, inputs).to(torch.int32), scale_zero_GO2


def digits_by_int8(x_RI: torch.Tensor, weight_OI: torch.Tensor, scale_O: torch.Tensor) -> torch.Tensor:
    """The product, float32 [R, O], of integers alone: each activation is two 8-bit digits of its row's scale.

    One digit would cost several percent of perplexity, because few large activations set a row's scale.
    Sums of integers are exact: a row's result does not depend on the rows beside it.
    """
    x_RI = x_RI.float()
    scale_R1 = (x_RI.abs().amax(1, keepdim=True) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    fine_RI = torch.div(x_RI, scale_R1)
    coarse_RI = fine_RI.round()
    fine_RI.sub_(coarse_RI).mul_(DIGIT).round_()
    digits_2RI = torch.cat((coarse_RI, fine_RI)).to(torch.int8)
    coarse_RO, fine_RO = torch._int_mm(digits_2RI, weight_OI.t()).float().chunk(2)
    return coarse_RO.add_(fine_RO, alpha=1 / DIGIT).mul_(scale_R1).mul_(scale_O)


@cache
def cpu_multiplies_int8() -> bool:
    """Whether this CPU has instructions that multiply 8-bit integers and add them up in 32 bits."""
    return any(has for name, has in torch.cpu.get_capabilities().items() if "vnni" in name)


@cache
def cpu_tiles_are_known() -> bool:
    """Whether 4-bit weights are packed in the order that `_tiles_of_cpu` undoes; it depends on the CPU."""
    integers_OI = (torch.arange(2 * TILE * GROUP).view(2 * TILE, GROUP) * 7 % 16).to(torch.int32)
    packed = _pack_for_cpu(integers_OI)
    if packed.numel() * 2 != integers_OI.numel():
        return False
    return torch.equal(_tiles_of_cpu(packed).transpose(1, 2).reshape(integers_OI.shape).int(), integers_OI)


def _tiles_of_cpu(packed: torch.Tensor) -> torch.Tensor:
    """Integers of packed weights, uint8 [O / 64, I, 64]: a byte holds outputs n and n + 32 of a tile."""
    pairs = packed.view(packed.shape[0] // TILE, -1, TILE // 2)
    return torch.cat((pairs & 15, pairs >> 4), 2)


def _pack_for_cpu(weight_OI: torch.Tensor) -> torch.Tensor:
    packed: torch.Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(weight_OI, 1)
    return packed


def _pack_for_mps(weight_OI: torch.Tensor) -> torch.Tensor:
    pairs = (weight_OI[:, ::2] << 4 | weight_OI[:, 1::2]).to(torch.uint8)
    return torch._convert_weight_to_int4pack(pairs.contiguous(), 2)
