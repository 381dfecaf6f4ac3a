"""Keys and values that grow in place, and attention over them that copies none. Knows no prompt.

Shapes: B rows, H key-value heads, G query heads to each of these, S tokens seen so far, D width of a head.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

Tensor = torch.Tensor
GROUPED = "grouped"


class Growing(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values of several batches, in memory that is taken once."""

    _layer_type = None

    def __init__(self, parts: Sequence[DynamicLayer], room: int) -> None:
        super().__init__()
        self.lazy_initialization(parts[0].keys, parts[0].values)
        self._keys = _joined([one.keys for one in parts], room)
        self._values = _joined([one.values for one in parts], room)
        self._show(max(one.get_seq_length() for one in parts))

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Put new ones behind those that are there; returns all."""
        old = self.get_seq_length()
        now = old + key_states.shape[-2]
        self._keys[:, :, old:now] = key_states
        self._values[:, :, old:now] = value_states
        return self._show(now)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows."""
        now = self.get_seq_length()
        self._keys, self._values = self._keys[indices], self._values[indices]
        self._show(now)

    def _show(self, now: int) -> tuple[Tensor, Tensor]:
        self.keys, self.values = self._keys[:, :, :now], self._values[:, :, :now]
        return self.keys, self.values


def joined(caches: Sequence[Any], more: int) -> Any:
    """One cache of several batches, below each other, with room for so many tokens more.

    Where one is shorter than another, what stands behind its tokens is to be masked.
    """
    room = max(one.get_seq_length() for one in caches) + more
    cache = DynamicCache()
    cache.layers = [Growing(parts, room) for parts in zip(*(one.layers for one in caches), strict=True)]
    return cache


def _joined(parts: Sequence[Tensor], room: int) -> Tensor:
    rows = sum(len(one) for one in parts)
    found_B_H_S_D = parts[0].new_zeros(rows, parts[0].shape[1], room, parts[0].shape[-1])
    at = 0
    for one in parts:
        found_B_H_S_D[at : at + len(one), :, : one.shape[2]] = one
        at += len(one)
    return found_B_H_S_D


def group_heads(model: Any) -> None:
    """Have a model that uses SDPA attend without a copy of keys and values for each query head."""
    AttentionInterface.register(GROUPED, _attend)
    AttentionMaskInterface.register(GROUPED, sdpa_mask)
    model.set_attn_implementation(GROUPED)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **more: Any
) -> tuple[Tensor, None]:
    """As SDPA; where each row asks once, the query heads of a group ask side by side."""
    groups = getattr(module, "num_key_value_groups", 1)
    if groups == 1 or query.shape[2] > 1 or attention_mask is None:
        found: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
        return found
    rows, heads, _, width = query.shape
    side_by_side_B_H_G_D = query.view(rows, heads // groups, groups, width)
    out_B_H_G_D = torch.nn.functional.scaled_dot_product_attention(
        side_by_side_B_H_G_D, key, value, attn_mask=attention_mask, scale=more.get("scaling")
    )
    return out_B_H_G_D.reshape(rows, 1, heads, width), None
