"""Attention over sequences that ranks share: heads change hands for positions and back. Knows no model.

Shapes: B rows, H heads, T tokens of the whole sequence, P ranks, D width of a head.
"""

from typing import Any

import torch
import torch.distributed as dist

from actors.models.attention import Attention, Spans, packed

Tensor = torch.Tensor


class _Exchange(torch.autograd.Function):
    """The p-th block along the first dimension goes to rank p; the gradient goes back the same way."""

    @staticmethod
    def forward(ctx: Any, x_P: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return _sent(x_P, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _sent(gradients[0], ctx.group), None


def _sent(x_P: Tensor, group: Any) -> Tensor:
    x_P = x_P.contiguous()
    received = torch.empty_like(x_P)
    dist.all_to_all_single(received, x_P, group=group)
    return received


def _exchange(x: Tensor, group: Any) -> Tensor:
    exchanged: Tensor = _Exchange.apply(x, group)  # type: ignore[no-untyped-call]
    return exchanged


def to_heads(x: Tensor, group: Any) -> Tensor:
    """All heads of a part of the sequence [B, H, T/P, D] to some heads of all of it [B, H/P, T, D]."""
    rows, heads, part, width = x.shape
    ranks = dist.get_world_size(group)
    x = x.view(rows, ranks, heads // ranks, part, width).movedim(1, 0)
    x = _exchange(x, group).movedim(0, 2)
    return x.reshape(rows, heads // ranks, ranks * part, width)


def to_positions(x: Tensor, group: Any) -> Tensor:
    """Some heads of the whole sequence [B, H/P, T, D] to all heads of a part of it [B, H, T/P, D]."""
    rows, some, length, width = x.shape
    ranks = dist.get_world_size(group)
    x = x.view(rows, some, ranks, length // ranks, width).movedim(2, 0)
    x = _exchange(x, group).movedim(0, 1)
    return x.reshape(rows, ranks * some, length // ranks, width)


def ulysses(group: Any) -> Attention:
    """The attention of a rank that holds a part of each sequence, in place of `packed`.

    Heads that do not divide among the ranks are filled up with heads of zeros for as long as it takes; where
    it is the key-value heads that do not divide, each query head brings its own. No weight knows of it.
    """
    ranks = dist.get_world_size(group)

    def attend(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        *,
        spans: Spans,
        **options: Any,
    ) -> tuple[Tensor, None]:
        heads = query.shape[1]
        if key.shape[1] % ranks:
            key, value = (one.repeat_interleave(heads // one.shape[1], dim=1) for one in (key, value))
        query, key, value = (to_heads(_filled(one, ranks), group) for one in (query, key, value))
        mixed_B_T_H_D, _ = packed(module, query, key, value, attention_mask, spans=spans, **options)
        out_B_H_T_D = to_positions(mixed_B_T_H_D.transpose(1, 2), group)
        return out_B_H_T_D[:, :heads].transpose(1, 2), None

    return attend


def _filled(x: Tensor, ranks: int) -> Tensor:
    """With heads of zeros up to a multiple of the ranks."""
    missing = -x.shape[1] % ranks
    if not missing:
        return x
    return torch.nn.functional.pad(x, (0, 0, 0, 0, 0, missing))
