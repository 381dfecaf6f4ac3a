"""LoRA adapters over a decoder's linear layers, different ones for different rows. Knows no request.

Shapes: T tokens of a packed row, I inputs and O outputs of a linear layer, R rank.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from actors.engines.adapter import CONFIG, WEIGHTS, by_pattern, check_adapter, check_config, check_rank
from actors.messages import InvalidRequest, NotFound, Piece
from actors.models.checkpoint import Checkpoint
from actors.models.decoder import FUSED, Decoder
from actors.models.linear import PackedLinear

Tensor = torch.Tensor
Where = slice | Tensor
"""Rows: neighbouring ones, or their numbers."""

NAME = re.compile(r"base_model\.model\.model\.layers\.(\d+)\.(\w+\.\w+)\.lora_([AB])\.weight")


@dataclass(frozen=True, slots=True)
class Delta:
    """What an adapter adds to one fused linear layer: x to (x down) up, the scale already in `up`."""

    down_IR: Tensor
    up_RO: Tensor

    def weight(self) -> Tensor:
        """The same as an addition to the weight, float32 [O, I]."""
        return (self.down_IR.float() @ self.up_RO.float()).t()


@dataclass(slots=True)
class Groups:
    """Which rows of the present step use which adapter."""

    rows: list[tuple[str, Where]] = field(default_factory=list)


class AdaptedLinear(nn.Module):
    """A linear layer and what each adapter adds to it."""

    def __init__(self, base: nn.Module, groups: Groups) -> None:
        super().__init__()
        self.base = base
        self.groups = groups
        self.deltas: dict[str, Delta] = {}
        self.merged: str | None = None

    def forward(self, x_TI: Tensor) -> Tensor:
        """[T, I] to [T, O]."""
        y_TO: Tensor = self.base(x_TI)
        for name, where in self.groups.rows:
            delta = self.deltas.get(name)
            if delta is None or name == self.merged:
                continue
            if isinstance(where, slice):
                y_TO[where].addmm_(x_TI[where] @ delta.down_IR, delta.up_RO)
            else:
                y_TO.index_add_(0, where, (x_TI[where] @ delta.down_IR) @ delta.up_RO)
        return y_TO


class Adapters:
    """The adapters of one decoder. Used from one thread only."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._groups = Groups()
        self._names: dict[str, Path] = {}
        self.merged: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are loaded."""
        return tuple(self._names)

    def load(self, name: str, path: Path) -> None:
        """Add an adapter; a name that is taken gets the new weights. Raises InvalidRequest, NotFound."""
        check_adapter(path)
        try:
            deltas = read_deltas(path, self._decoder)
        except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"adapter {name!r} cannot be read: {error}") from error
        if name in self._names:
            self.unload(name)
        self._wrap()
        for (number, part), delta in deltas.items():
            self._linear(number, part).deltas[name] = delta
        self._names[name] = path

    def unload(self, name: str) -> None:
        """Remove an adapter, out of the weights too. Raises NotFound."""
        self.check(name)
        if self.merged == name:
            self.merge(None)
        del self._names[name]
        for one in self._linears():
            one.deltas.pop(name, None)

    def check(self, name: str) -> None:
        """Raises NotFound for an adapter that is not loaded."""
        if name not in self._names:
            raise NotFound(f"adapter {name!r} is not loaded", param="model")

    def merge(self, name: str | None) -> None:
        """Put an adapter into the weights, or with None the model's own weights back, read from disk.

        Quantised layers keep their weights and compute the adapter beside them as before.
        Raises NotFound for an adapter that is not loaded.
        """
        if name is not None:
            self.check(name)
        if name == self.merged:
            return
        decoder = self._decoder
        with Checkpoint(decoder.path, decoder.device, decoder.dtype) as weights:
            for number in range(decoder.span.first, decoder.span.end):
                for part in FUSED:
                    self._merge_one(weights, number, part, name)
        self.merged = name

    def use(self, pieces: Sequence[Piece]) -> None:
        """Say whose rows come next. Raises NotFound; InvalidRequest if another adapter is merged."""
        if not self._names:
            self._groups.rows = []
            for piece in pieces:
                if piece.adapter is not None:
                    self.check(piece.adapter)
            return
        rows: dict[str, list[range]] = {}
        end = 0
        for piece in pieces:
            start, end = end, end + len(piece.tokens)
            if self.merged is not None and piece.adapter != self.merged:
                raise InvalidRequest(f"adapter {self.merged!r} is merged and serves everybody")
            if piece.adapter is not None:
                self.check(piece.adapter)
                rows.setdefault(piece.adapter, []).append(range(start, end))
        self._groups.rows = [(name, _where(ranges, self._decoder.device)) for name, ranges in rows.items()]

    def _merge_one(self, weights: Checkpoint, number: int, part: str, name: str | None) -> None:
        one = self._linear(number, part) if self._names else None
        if one is None or not isinstance(one.base, nn.Linear | PackedLinear):
            return
        wanted = name if name in one.deltas else None
        if wanted == one.merged:
            return
        weight, bias = self._decoder.fused(weights, number, part)
        if wanted is not None:
            weight = (weight.float() + one.deltas[wanted].weight()).to(weight.dtype)
        one.base = self._decoder.packed(weight, bias)
        one.merged = wanted

    def _wrap(self) -> None:
        if self._names:
            return
        for layer in self._decoder.layers:
            for part in FUSED:
                if not isinstance(getattr(layer, part), AdaptedLinear):
                    setattr(layer, part, AdaptedLinear(getattr(layer, part), self._groups))

    def _linear(self, number: int, part: str) -> AdaptedLinear:
        found = getattr(self._decoder.layers[number - self._decoder.span.first], part)
        assert isinstance(found, AdaptedLinear)
        return found

    def _linears(self) -> list[AdaptedLinear]:
        return [one for one in self._decoder.modules() if isinstance(one, AdaptedLinear)]


def read_deltas(path: Path, decoder: Decoder) -> dict[tuple[int, str], Delta]:
    """What a PEFT directory adds to each fused linear layer of the decoder's span, by number and name.

    Raises InvalidRequest for an adapter that does not fit the model or that is no plain LoRA.
    """
    config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    check_config(config)
    sums: dict[tuple[int, str], dict[str, tuple[Tensor, Tensor]]] = {}
    with safe_open(path / WEIGHTS, framework="pt", device="cpu") as file:
        for number, module, a, b in _pairs(list(file.keys()), decoder):
            part = _part_of(module)
            if decoder.span.first <= number < decoder.span.end:
                pair = file.get_tensor(a).float(), file.get_tensor(b).float()
                _check_pair(pair, number, module, decoder)
                scale = _scale(config, f"model.layers.{number}.{module}", len(pair[0]))
                sums.setdefault((number, part), {})[module] = (pair[0], pair[1] * scale)
    return {key: _fused_delta(pairs, key[1], decoder) for key, pairs in sums.items()}


def _pairs(names: Sequence[str], decoder: Decoder) -> list[tuple[int, str, str, str]]:
    """Layer, module and the names of both tensors, for each module that the adapter changes."""
    found: dict[tuple[int, str], dict[str, str]] = {}
    for name in names:
        match = NAME.fullmatch(name)
        if match is None or _part_of(match[2]) == "" or int(match[1]) >= decoder.shape.layers:
            raise InvalidRequest(f"the adapter does not fit: the model has no linear layer for {name}")
        found.setdefault((int(match[1]), match[2]), {})[match[3]] = name
    for (number, module), pair in found.items():
        if len(pair) != 2:
            raise InvalidRequest(f"the adapter is incomplete at layer {number}, {module}")
    if not found:
        raise InvalidRequest("the adapter holds no weights")
    return [(number, module, pair["A"], pair["B"]) for (number, module), pair in found.items()]


def _part_of(module: str) -> str:
    return next((part for part, modules in FUSED.items() if module in modules), "")


def _check_pair(pair: tuple[Tensor, Tensor], number: int, module: str, decoder: Decoder) -> None:
    part = _part_of(module)
    outputs = decoder.shape.outputs(part)[FUSED[part].index(module)]
    down, up = pair
    if down.ndim != 2 or down.shape[1] != decoder.shape.inputs(part) or up.shape != (outputs, len(down)):
        raise InvalidRequest(
            f"the adapter does not fit the model at layer {number}, {module}: "
            f"its shapes are {list(down.shape)} and {list(up.shape)}, "
            f"the layer's are {decoder.shape.inputs(part)} inputs and {outputs} outputs"
        )


def _scale(config: dict[str, Any], module: str, rank: int) -> float:
    """lora_alpha over the rank, by PEFT's rules. Raises InvalidRequest if the weights have another rank."""
    check_rank(config, module, rank)
    alpha = float(by_pattern(config.get("alpha_pattern"), module, config.get("lora_alpha", 8)))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _fused_delta(pairs: dict[str, tuple[Tensor, Tensor]], part: str, decoder: Decoder) -> Delta:
    """Pairs of the modules that lie in one fused layer become one pair; `up` is zero off its diagonal."""
    outputs = decoder.shape.outputs(part)
    downs, ups = [], []
    for module, size in zip(FUSED[part], outputs, strict=True):
        down, up = pairs.get(module, (torch.zeros(0, decoder.shape.inputs(part)), torch.zeros(size, 0)))
        downs.append(down)
        ups.append(up)
    down_IR = torch.cat(downs).t().contiguous()
    up_RO = torch.block_diag(*ups).t().contiguous()  # type: ignore[no-untyped-call]
    return Delta(down_IR.to(decoder.device, decoder.dtype), up_RO.to(decoder.device, decoder.dtype))


def _where(ranges: Sequence[range], device: torch.device) -> Where:
    if all(one.stop == after.start for one, after in pairwise(ranges)):
        return slice(ranges[0].start, ranges[-1].stop)
    return torch.tensor([row for one in ranges for row in one], device=device)
