"""Keys and values of many sequences in one pool, and attention over a packed row of them. Knows no model.

Shapes: T tokens of the row, S tokens of one piece, P tokens kept before it, L = P + S, H query heads,
K key-value heads, G = H / K, D width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch.nn.functional import scaled_dot_product_attention

from actors.messages import Piece, Run

Tensor = torch.Tensor

FEW_RUNS = 4
"""Up to so many runs are attended to one by one, without a copy of their keys (CPU)."""


class Pool:
    """Places for keys and values: one tensor [2, K, slots, D] for each layer."""

    def __init__(
        self, layers: int, slots: int, heads: int, width: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.layers = [torch.zeros(2, heads, slots, width, dtype=dtype, device=device) for _ in range(layers)]

    @property
    def bytes(self) -> int:
        """All layers together."""
        return sum(layer.nbytes for layer in self.layers)

    def rotate(self, runs: Sequence[Run], cos_D: Tensor, sin_D: Tensor) -> None:
        """Turn the keys in `runs` by one angle; `sin_D` has the signs that `turned` wants."""
        for layer in self.layers:
            for first, count in runs:
                keys = layer[0, :, first : first + count]
                keys.copy_(turned(keys.float(), cos_D, sin_D))


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [..., D]: the sine of the first half of D comes negated."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


@dataclass(slots=True)
class Lane:
    """One piece's part of a row: tokens `first` to `end` of it, after `start` kept ones."""

    first: int
    end: int
    start: int
    runs: tuple[Run, ...]
    indices: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    masks: dict[int | None, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """L: kept tokens and new ones."""
        return self.start + self.end - self.first


class Row:
    """A packed row of pieces: what all layers share is made once."""

    def __init__(self, pieces: Sequence[Piece], device: torch.device) -> None:
        ends = list(accumulate(len(piece.tokens) for piece in pieces))
        self.lanes = [
            Lane(end - len(piece.tokens), end, piece.start, piece.runs)
            for piece, end in zip(pieces, ends, strict=True)
        ]
        self.positions = torch.tensor(
            [place for lane in self.lanes for place in range(lane.start, lane.total)], device=device
        )
        self.places = torch.tensor(
            [place for lane in self.lanes for place in _places(lane.runs, lane.start, lane.total)],
            device=device,
        )
        self._device = device
        self._on_cpu = device.type == "cpu"

    def attend(
        self, pool: Tensor, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, window: int | None
    ) -> Tensor:
        """Store the row's keys and values; each piece then attends to its own: [T, H, D]."""
        stored = torch.stack((key_TKD, value_TKD)).transpose(1, 2)
        pool.index_copy_(2, self.places, stored)
        outputs = [self._attend_lane(lane, pool, query_THD, stored, window) for lane in self.lanes]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _attend_lane(
        self, lane: Lane, pool: Tensor, query_THD: Tensor, stored_2KTD: Tensor, window: int | None
    ) -> Tensor:
        query_SHD = query_THD[lane.first : lane.end]
        narrow = window is not None and window < lane.total
        if lane.end - lane.first == 1:
            first = lane.total - window if narrow and window else 0
            return self._attend_one(lane, pool, query_SHD, first)
        if narrow or (lane.start and not self._on_cpu):
            return self._attend_masked(lane, pool, query_SHD, window)
        own_2KSD = stored_2KTD[:, :, lane.first : lane.end]
        return self._attend_many(lane, pool, query_SHD, own_2KSD)

    def _attend_one(self, lane: Lane, pool: Tensor, query_1HD: Tensor, first: int) -> Tensor:
        """One new token: query heads that share keys become rows of one product, several times faster."""
        heads, width = query_1HD.shape[1:]
        query_1KGD = query_1HD.view(1, pool.shape[1], -1, width)
        if self._on_cpu:
            output, _ = self._over_parts(query_1KGD, self._parts(lane, pool, first, lane.total))
        else:
            keys = self._part(lane, pool, first, lane.total)
            output = scaled_dot_product_attention(query_1KGD, keys[:1], keys[1:])
        return output.reshape(1, heads, width)

    def _attend_many(self, lane: Lane, pool: Tensor, query_SHD: Tensor, own_2KSD: Tensor) -> Tensor:
        """A stretch of a prompt: causal among its own tokens, and all of those before it."""
        groups = query_SHD.shape[1] // pool.shape[1]
        query_1HSD = query_SHD.transpose(0, 1)[None]
        own_2HSD = own_2KSD.repeat_interleave(groups, dim=1)
        if not lane.start:
            return scaled_dot_product_attention(query_1HSD, own_2HSD[:1], own_2HSD[1:], is_causal=True)[
                0
            ].transpose(0, 1)
        causal, causal_lse = _flash(query_1HSD, own_2HSD[:1], own_2HSD[1:], causal=True)
        folded = query_1HSD.reshape(1, pool.shape[1], -1, query_SHD.shape[2])
        before, before_lse = self._over_parts(folded, self._parts(lane, pool, 0, lane.start))
        output, _ = _merged(
            causal, causal_lse, before.reshape(causal.shape), before_lse.reshape(causal_lse.shape)
        )
        return output[0].transpose(0, 1)

    def _attend_masked(self, lane: Lane, pool: Tensor, query_SHD: Tensor, window: int | None) -> Tensor:
        """The same by a mask, for sliding windows and for devices that have no flash kernel with sums."""
        groups = query_SHD.shape[1] // pool.shape[1]
        first = 0 if window is None else max(lane.start - window + 1, 0)
        if window not in lane.masks:
            lane.masks[window] = _causal_mask(lane.start, lane.total, first, window, self._device)
        both_2HLD = self._part(lane, pool, first, lane.total).repeat_interleave(groups, dim=1)
        output_1HSD = scaled_dot_product_attention(
            query_SHD.transpose(0, 1)[None], both_2HLD[:1], both_2HLD[1:], attn_mask=lane.masks[window]
        )
        return output_1HSD[0].transpose(0, 1)

    def _over_parts(self, query_1KQD: Tensor, parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Attention without a mask over keys that lie in several tensors, and its log-sum-exp [1, K, Q]."""
        output, lse = _flash(query_1KQD, parts[0][:1], parts[0][1:])
        for part in parts[1:]:
            output, lse = _merged(output, lse, *_flash(query_1KQD, part[:1], part[1:]))
        return output, lse

    def _parts(self, lane: Lane, pool: Tensor, first: int, end: int) -> list[Tensor]:
        """Tokens `first` to `end` of a lane: views of a few runs, or one copy of many."""
        runs = _cut(lane.runs, first, end)
        if len(runs) > FEW_RUNS:
            return [self._part(lane, pool, first, end)]
        return [pool[:, :, place : place + count] for place, count in runs]

    def _part(self, lane: Lane, pool: Tensor, first: int, end: int) -> Tensor:
        """Tokens `first` to `end` of a lane as one tensor [2, K, end - first, D]."""
        runs = _cut(lane.runs, first, end)
        if len(runs) == 1:
            place, count = runs[0]
            return pool[:, :, place : place + count]
        if (first, end) not in lane.indices:
            places = _places(lane.runs, first, end)
            lane.indices[first, end] = torch.tensor(places, device=self._device)
        return pool.index_select(2, lane.indices[first, end])


def _flash(query: Tensor, keys: Tensor, values: Tensor, causal: bool = False) -> tuple[Tensor, Tensor]:
    output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, keys, values, 0.0, causal)
    return output, lse


def _merged(one: Tensor, one_lse: Tensor, other: Tensor, other_lse: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over two sets of keys from that over each, exactly."""
    share = torch.sigmoid(other_lse - one_lse)[..., None].to(one.dtype)
    return torch.lerp(one, other, share), torch.logaddexp(one_lse, other_lse)


def _cut(runs: Sequence[Run], first: int, end: int) -> list[Run]:
    """The runs of tokens `first` to `end`; neighbouring ones become one."""
    kept: list[Run] = []
    token = 0
    for place, count in runs:
        low, high = max(first - token, 0), min(end - token, count)
        token += count
        if low >= high:
            continue
        if kept and sum(kept[-1]) == place + low:
            kept[-1] = (kept[-1][0], kept[-1][1] + high - low)
        else:
            kept.append((place + low, high - low))
    return kept


def _places(runs: Sequence[Run], first: int, end: int) -> list[int]:
    return [place + number for place, count in _cut(runs, first, end) for number in range(count)]


def _causal_mask(start: int, total: int, first: int, window: int | None, device: torch.device) -> Tensor:
    """True where token start + i may see token first + j. [S, total - first]"""
    row = torch.arange(start, total, device=device)[:, None]
    column = torch.arange(first, total, device=device)[None, :]
    mask = column <= row
    return mask if window is None else mask & (column > row - window)
