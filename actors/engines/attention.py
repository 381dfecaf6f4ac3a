"""Attention over a packed row of many sequences, each with its own key-value cache. Knows no model.

Shapes: T tokens of the row, S tokens of one sequence in it, L cached tokens, H query heads, K key-value
heads, D width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

SMALLEST_CACHE = 256
Tensor = torch.Tensor


class KvCache:
    """Keys and values of one sequence: a tensor [2, K, capacity, D] for each layer, doubled when full."""

    def __init__(self) -> None:
        self.layers: dict[int, Tensor] = {}

    def write(self, layer: int, key_KSD: Tensor, value_KSD: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Store a stretch that begins at token `start`; returns all keys and values so far, [1, K, L, D]."""
        end = start + key_KSD.shape[1]
        stored = self.layers.get(layer)
        if stored is None or stored.shape[2] < end:
            stored = self.layers[layer] = _grown(stored, key_KSD, end)
        stored[0, :, start:end] = key_KSD
        stored[1, :, start:end] = value_KSD
        return stored[:1, :, :end], stored[1:, :, :end]


def _grown(stored: Tensor | None, like_KSD: Tensor, end: int) -> Tensor:
    capacity = SMALLEST_CACHE
    while capacity < end:
        capacity *= 2
    heads, _, width = like_KSD.shape
    grown = torch.empty(2, heads, capacity, width, dtype=like_KSD.dtype, device=like_KSD.device)
    if stored is not None:
        grown[:, :, : stored.shape[2]] = stored
    return grown


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one sequence within the packed row: `length` tokens, the first at place `start`."""

    cache: KvCache
    start: int
    length: int


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    *,
    segments: Sequence[Segment],
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Each sequence attends to itself alone: query [1, H, T, D], key, value [1, K, T, D] to [1, T, H, D]."""
    outputs = []
    place = 0
    for segment in segments:
        end = place + segment.length
        keys, values = segment.cache.write(
            module.layer_idx, key[0, :, place:end], value[0, :, place:end], segment.start
        )
        attend = _attend_one if segment.length == 1 else _attend_many
        outputs.append(attend(query[:, :, place:end], keys, values, scaling, sliding_window))
        place = end
    return torch.cat(outputs, dim=1), None


def _attend_one(
    query_1H1D: Tensor, keys_1KLD: Tensor, values_1KLD: Tensor, scaling: float | None, window: int | None
) -> Tensor:
    """One new token: query heads that share keys become rows of one product, several times faster on CPU."""
    if window is not None:
        keys_1KLD, values_1KLD = keys_1KLD[:, :, -window:], values_1KLD[:, :, -window:]
    _, heads, _, width = query_1H1D.shape
    grouped = query_1H1D.reshape(1, keys_1KLD.shape[1], -1, width)
    output = scaled_dot_product_attention(grouped, keys_1KLD, values_1KLD, scale=scaling)
    return output.reshape(1, 1, heads, width)


def _attend_many(
    query_1HSD: Tensor, keys_1KLD: Tensor, values_1KLD: Tensor, scaling: float | None, window: int | None
) -> Tensor:
    """A stretch of a prompt: causal, after what is cached."""
    length, total = query_1HSD.shape[2], keys_1KLD.shape[2]
    groups = query_1HSD.shape[1] // keys_1KLD.shape[1]
    keys = keys_1KLD.repeat_interleave(groups, dim=1)
    values = values_1KLD.repeat_interleave(groups, dim=1)
    whole = length == total and (window is None or window >= total)
    mask = None if whole else _causal_mask(length, total, window, query_1HSD.device)
    output = scaled_dot_product_attention(
        query_1HSD, keys, values, attn_mask=mask, is_causal=whole, scale=scaling
    )
    return output.transpose(1, 2)


def _causal_mask(length: int, total: int, window: int | None, device: torch.device) -> Tensor:
    """True where the token at row i, which is number total - length + i, may see token j. [S, L]"""
    row = torch.arange(total - length, total, device=device)[:, None]
    column = torch.arange(total, device=device)[None, :]
    mask = column <= row
    return mask if window is None else mask & (column > row - window)
