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


class Places:
    """One layer's places for keys and values: views of one tensor."""

    __slots__ = ("both", "flat", "keys", "values")

    def __init__(self, heads: int, slots: int, width: int, dtype: torch.dtype, device: torch.device) -> None:
        self.both = torch.zeros(2, heads, slots, width, dtype=dtype, device=device)
        self.keys = self.both[:1]
        self.values = self.both[1:]
        self.flat = self.both.view(2 * heads, slots, width)


class Pool:
    """Places for keys and values in each layer."""

    def __init__(
        self, layers: int, slots: int, heads: int, width: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.layers = [Places(heads, slots, width, dtype, device) for _ in range(layers)]

    @property
    def bytes(self) -> int:
        """All layers together."""
        return sum(layer.both.nbytes for layer in self.layers)

    def rotate(self, runs: Sequence[Run], cos_D: Tensor, sin_D: Tensor) -> None:
        """Turn the keys in `runs` by one angle; `sin_D` has the signs that `turn_` wants."""
        for layer in self.layers:
            for first, count in runs:
                keys = layer.both[0, :, first : first + count]
                keys.copy_(turn_(keys.to(torch.float32, copy=True), cos_D, sin_D))


def turn_(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of [..., D], in place: the sine of the first half of D comes negated."""
    swapped = x.roll(x.shape[-1] // 2, -1)
    return x.mul_(cos).addcmul_(swapped, sin)


@dataclass(slots=True)
class Lane:
    """One piece's part of a row: tokens `first` to `end` of it, after `start` kept ones."""

    first: int
    end: int
    start: int
    runs: tuple[Run, ...]
    cuts: dict[tuple[int, int], list[Run]] = field(default_factory=dict)
    indices: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    masks: dict[int | None, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """L: kept tokens and new ones."""
        return self.start + self.end - self.first

    def cut(self, first: int, end: int) -> list[Run]:
        """The runs of tokens `first` to `end`."""
        found = self.cuts.get((first, end))
        if found is None:
            found = self.cuts[first, end] = _cut(self.runs, first, end)
        return found


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
            [place for lane in self.lanes for place in _numbers(lane.cut(lane.start, lane.total))],
            device=device,
        )
        self._device = device
        self._on_cpu = device.type == "cpu"

    def attend(self, pool: Places, qkv: Tensor, window: int | None) -> Tensor:
        """Store the row's keys and values; each piece then attends to its own.

        `qkv` holds each token's queries, keys and values, [T, H + 2 K, D]. Returns [T, H * D].
        """
        kv_heads = pool.keys.shape[1]
        heads = qkv.shape[1] - 2 * kv_heads
        pool.flat.index_copy_(1, self.places, qkv[:, heads:].transpose(0, 1))
        query_TKGD = qkv[:, :heads].view(len(qkv), kv_heads, -1, qkv.shape[2])
        outputs = []
        for lane in self.lanes:
            if lane.end - lane.first == 1:
                first = max(lane.total - window, 0) if window else 0
                outputs.append(self._attend_one(lane, pool, query_TKGD[lane.first : lane.end], first))
            else:
                outputs.append(self._attend_many(lane, pool, qkv[lane.first : lane.end], window))
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)).reshape(len(qkv), -1)

    def _attend_one(self, lane: Lane, pool: Places, query_1KGD: Tensor, first: int) -> Tensor:
        """One new token: query heads that share keys become rows of one product, several times faster."""
        runs = lane.cut(first, lane.total)
        if len(runs) == 1:
            keys, values = pool.keys.narrow(2, *runs[0]), pool.values.narrow(2, *runs[0])
            return scaled_dot_product_attention(query_1KGD, keys, values)
        if self._on_cpu:
            return self._over_parts(query_1KGD, lane, pool, first, lane.total)[0]
        both_2KLD = self._part(lane, pool, first, lane.total)
        return scaled_dot_product_attention(query_1KGD, both_2KLD[:1], both_2KLD[1:])

    def _attend_many(self, lane: Lane, pool: Places, qkv: Tensor, window: int | None) -> Tensor:
        """A stretch of a prompt: causal among its own tokens, and all of those before it. [S, K, G, D]"""
        kv_heads, heads = pool.keys.shape[1], qkv.shape[1] - 2 * pool.keys.shape[1]
        query_1HSD = qkv[:, :heads].transpose(0, 1)[None]
        if (window is not None and window < lane.total) or (lane.start and not self._on_cpu):
            output_1HSD = self._masked(lane, pool, query_1HSD, window)
        else:
            own_2KSD = qkv[:, heads:].view(len(qkv), 2, kv_heads, -1).permute(1, 2, 0, 3)
            own_2HSD = own_2KSD.repeat_interleave(heads // kv_heads, dim=1)
            if lane.start:
                output_1HSD = self._after_kept(lane, pool, query_1HSD, own_2HSD)
            else:
                output_1HSD = scaled_dot_product_attention(
                    query_1HSD, own_2HSD[:1], own_2HSD[1:], is_causal=True
                )
        return output_1HSD[0].transpose(0, 1).view(len(qkv), kv_heads, -1, qkv.shape[2])

    def _after_kept(self, lane: Lane, pool: Places, query_1HSD: Tensor, own_2HSD: Tensor) -> Tensor:
        """Two parts: all kept tokens, without a mask and without repeating their keys, and the new ones."""
        causal, causal_lse = _flash(query_1HSD, own_2HSD[:1], own_2HSD[1:], causal=True)
        folded = query_1HSD.reshape(1, pool.keys.shape[1], -1, query_1HSD.shape[3])
        kept, kept_lse = self._over_parts(folded, lane, pool, 0, lane.start)
        kept, kept_lse = kept.reshape(causal.shape), kept_lse.reshape(causal_lse.shape)
        return _merged(causal, causal_lse, kept, kept_lse)[0]

    def _masked(self, lane: Lane, pool: Places, query_1HSD: Tensor, window: int | None) -> Tensor:
        """The same by a mask, for sliding windows and for devices that have no flash kernel with sums."""
        first = 0 if window is None else max(lane.start - window + 1, 0)
        if window not in lane.masks:
            lane.masks[window] = _causal_mask(lane.start, lane.total, first, window, self._device)
        groups = query_1HSD.shape[1] // pool.keys.shape[1]
        both_2HLD = self._part(lane, pool, first, lane.total).repeat_interleave(groups, dim=1)
        return scaled_dot_product_attention(
            query_1HSD, both_2HLD[:1], both_2HLD[1:], attn_mask=lane.masks[window]
        )

    def _over_parts(
        self, query_1KQD: Tensor, lane: Lane, pool: Places, first: int, end: int
    ) -> tuple[Tensor, Tensor]:
        """Attention without a mask over tokens `first` to `end` of a lane, and its log-sum-exp [1, K, Q]."""
        runs = lane.cut(first, end)
        if len(runs) > FEW_RUNS:
            both_2KLD = self._part(lane, pool, first, end)
            return _flash(query_1KQD, both_2KLD[:1], both_2KLD[1:])
        parts = [_flash(query_1KQD, pool.keys.narrow(2, *run), pool.values.narrow(2, *run)) for run in runs]
        output, lse = parts[0]
        for other, other_lse in parts[1:]:
            output, lse = _merged(output, lse, other, other_lse)
        return output, lse

    def _part(self, lane: Lane, pool: Places, first: int, end: int) -> Tensor:
        """Tokens `first` to `end` of a lane as one tensor [2, K, end - first, D]."""
        runs = lane.cut(first, end)
        if len(runs) == 1:
            return pool.both.narrow(2, *runs[0])
        if (first, end) not in lane.indices:
            lane.indices[first, end] = torch.tensor(_numbers(runs), device=self._device)
        return pool.both.index_select(2, lane.indices[first, end])


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


def _numbers(runs: Sequence[Run]) -> list[int]:
    return [place + number for place, count in runs for number in range(count)]


def _causal_mask(start: int, total: int, first: int, window: int | None, device: torch.device) -> Tensor:
    """True where token start + i may see token first + j. [S, total - first]"""
    row = torch.arange(start, total, device=device)[:, None]
    column = torch.arange(first, total, device=device)[None, :]
    mask = column <= row
    return mask if window is None else mask & (column > row - window)
