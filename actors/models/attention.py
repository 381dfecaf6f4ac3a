"""Causal attention within documents that lie side by side in a row, without any mask. Knows no model.

Shapes: B rows, H query heads, K key-value heads, T tokens, D width of a head.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from actors.messages import InvalidRequest

Tensor = torch.Tensor
Spans = tuple[tuple[int, int, int], ...]
"""Documents: row, first token, and the token after the last; what is in none of them is padding."""
Attention = Callable[..., tuple[Tensor, None]]
PACKED = "palimpsest_packed"


def register(name: str, function: Attention) -> None:
    """Make a function known to transformers, of this process, by a name that a model is built with."""
    from transformers import AttentionInterface

    AttentionInterface.register(name, function)


def packed(
    _module: Any,
    query_B_H_T_D: Tensor,
    key_B_K_T_D: Tensor,
    value_B_K_T_D: Tensor,
    _mask: Tensor | None,
    *,
    spans: Spans,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in place of its own attention; `spans` is handed down from the model's call.

    Returns [B, T, H, D]. Raises InvalidRequest for a window shorter than a document.
    """
    longest = max((end - start for _, start, end in spans), default=0)
    if sliding_window is not None and sliding_window < longest:
        raise InvalidRequest(
            f"the model sees {sliding_window} tokens back, and a document has {longest}: set length to that"
        )
    out_B_H_T_D = within(query_B_H_T_D, key_B_K_T_D, value_B_K_T_D, spans, scaling)
    return out_B_H_T_D.transpose(1, 2), None


def within(query: Tensor, key: Tensor, value: Tensor, spans: Spans, scale: float | None) -> Tensor:
    """Causal attention of each document by itself, [B, H, T, D]; zeros where there is padding."""
    rows, _, length, _ = query.shape
    if set(spans) == {(row, 0, length) for row in range(rows)}:
        return _causal(query, key, value, scale)
    return torch.cat([_row(query, key, value, spans, row, scale) for row in range(rows)])


def _row(query: Tensor, key: Tensor, value: Tensor, spans: Spans, row: int, scale: float | None) -> Tensor:
    parts, at = [], 0
    one = slice(row, row + 1)
    for _, start, end in sorted(span for span in spans if span[0] == row):
        parts.append(torch.zeros_like(query[one, :, at:start]))
        parts.append(
            _causal(query[one, :, start:end], key[one, :, start:end], value[one, :, start:end], scale)
        )
        at = end
    parts.append(torch.zeros_like(query[one, :, at:]))
    return torch.cat(parts, dim=2)


def _causal(query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
    grouped = query.shape[1] != key.shape[1]
    return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=grouped)


def spans_of(segments: Iterable[Iterable[int]]) -> Spans:
    """The documents of rows of segment numbers, where -1 is padding."""
    found = []
    for row, numbers in enumerate(segments):
        start, current, at = 0, -1, 0
        for at, number in enumerate([*numbers, -1]):
            if number != current:
                if current >= 0:
                    found.append((row, start, at))
                start, current = at, number
    return tuple(found)
