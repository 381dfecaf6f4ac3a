"""Cross-entropy of a long sequence that holds the logits of a few tokens at a time. Knows no model.

Shapes: N tokens of all rows, W width of the model.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

Tensor = torch.Tensor
IGNORED = -100
"""Target of a token that is not learned."""


def nats(hidden_N_W: Tensor, head: Callable[[Tensor], Tensor], targets_N: Tensor, chunk: int) -> Tensor:
    """Nats of all targets together, a scalar in float32; `chunk` tokens' logits at once, 0 all.

    Logits are computed again in the backward pass, by `head` itself, so that weights that it shares with the
    embedding get the gradient of both. Each rank makes the same calls whatever its targets are.
    """

    def of(hidden: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(head(hidden).float(), targets, ignore_index=IGNORED, reduction="sum")

    if not chunk:
        return of(hidden_N_W, targets_N)
    total = hidden_N_W.new_zeros((), dtype=torch.float32)
    for hidden, targets in zip(torch.split(hidden_N_W, chunk), torch.split(targets_N, chunk), strict=True):
        total = total + checkpoint(of, hidden, targets, use_reentrant=False)
    return total
