"""The keep policies as torch modules: a small convolution, and a larger one with attention and gates.

Legend: B chunks, T words of a chunk (at most 256), W features and the budget, H hidden width.
`actors.compression.policy` computes the same in numpy from the same weights.
"""

from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["convolution", "attention"]


class KeepConvolution(nn.Module):
    """Words mixed with their neighbours and with the chunk's mean; about 5,000 parameters."""

    def __init__(self, width: int, hidden: int = 28, blocks: int = 2, reach: int = 7) -> None:
        super().__init__()
        self.encode = nn.Linear(width + 1, hidden)
        self.blocks = nn.ModuleList(_ConvolutionBlock(hidden, reach) for _ in range(blocks))
        self.keep = nn.Linear(hidden, 1)

    def forward(self, rows_B_T_W: Tensor, mask_B_T: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds of keeping [B, T] and what was understood of each word [B, T, H]."""
        mask = mask_B_T[..., None]
        hidden = torch.relu(self.encode(rows_B_T_W)) * mask
        for block in self.blocks:
            hidden = block(hidden, mask)
        hidden = torch.relu(hidden)
        logits: Tensor = self.keep(hidden)
        return logits[..., 0], hidden


class _ConvolutionBlock(nn.Module):
    def __init__(self, hidden: int, reach: int) -> None:
        super().__init__()
        self.near = nn.Conv1d(hidden, hidden, reach, padding=reach // 2, groups=hidden)
        self.mix = nn.Linear(hidden, hidden)
        self.all = nn.Linear(hidden, hidden)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        mixed = torch.relu(_depthwise(self.near, hidden))
        hidden = (hidden + self.mix(mixed)) * mask
        mean = hidden.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        together: Tensor = (hidden + self.all(mean)) * mask
        return together


class KeepAttention(nn.Module):
    """The larger variant: attention biased by each word's importance, gated against the local context."""

    def __init__(self, width: int, hidden: int = 48, blocks: int = 2, reach: int = 7, heads: int = 4) -> None:
        super().__init__()
        self.encode = nn.Linear(width + 1, hidden)
        self.blocks = nn.ModuleList(_AttentionBlock(hidden, reach, heads) for _ in range(blocks))
        self.keep = nn.Linear(hidden, 1)

    def forward(self, rows_B_T_W: Tensor, mask_B_T: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds of keeping [B, T] and what was understood of each word [B, T, H]."""
        mask = mask_B_T[..., None]
        hidden = torch.relu(self.encode(rows_B_T_W)) * mask
        for block in self.blocks:
            hidden = block(hidden, mask)
        logits: Tensor = self.keep(hidden)
        return logits[..., 0], hidden


class _AttentionBlock(nn.Module):
    def __init__(self, hidden: int, reach: int, heads: int) -> None:
        super().__init__()
        self.first = nn.LayerNorm(hidden)
        self.second = nn.LayerNorm(hidden)
        self.near = nn.Conv1d(hidden, hidden, reach, padding=reach // 2, groups=hidden)
        self.gate = nn.Linear(hidden, hidden)
        self.importance = nn.Linear(hidden, heads)
        self.ask = nn.Linear(hidden, 3 * hidden)
        self.tell = nn.Linear(hidden, hidden)
        self.up = nn.Linear(hidden, 2 * hidden)
        self.down = nn.Linear(2 * hidden, hidden)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        normal = self.first(hidden) * mask
        near = _depthwise(self.near, normal)
        gate = torch.sigmoid(self.gate(near))
        hidden = (hidden + gate * near + (1 - gate) * self._attend(normal, mask)) * mask
        together: Tensor = (hidden + self.down(torch.relu(self.up(self.second(hidden))))) * mask
        return together

    def _attend(self, normal: Tensor, mask: Tensor) -> Tensor:
        chunks, words, hidden = normal.shape
        importance = self.importance(normal).masked_fill(mask == 0, -1e9)
        heads = importance.shape[-1]
        query, key, value = self.ask(normal).view(chunks, words, 3, heads, -1).permute(2, 0, 3, 1, 4)
        logits = query @ key.transpose(-1, -2) / (hidden // heads) ** 0.5
        logits = logits + importance.permute(0, 2, 1)[:, :, None, :]
        heard = logits.softmax(dim=-1) @ value
        told: Tensor = self.tell(heard.transpose(1, 2).reshape(chunks, words, hidden))
        return told


def build(kind: Kind, width: int) -> KeepConvolution | KeepAttention:
    """A policy with fresh weights over `width` features a word."""
    return KeepConvolution(width) if kind == "convolution" else KeepAttention(width)


def _depthwise(convolution: nn.Conv1d, rows: Tensor) -> Tensor:
    mixed: Tensor = convolution(rows.transpose(1, 2)).transpose(1, 2)
    return mixed


def calibrated(logits_B_T: Tensor, mask_B_T: Tensor, costs_B_T: Tensor, budget_B: Tensor) -> Tensor:
    """Logits shifted, one number a chunk, so that the tokens kept are the budget in expectation [B, T].

    The shift is found by bisection; its gradient is that of the implicit function.
    """
    weight = costs_B_T * mask_B_T
    target = budget_B * weight.sum(dim=1)
    with torch.no_grad():
        low, high = logits_B_T.amin(dim=1) - 20, logits_B_T.amax(dim=1) + 20
        for _ in range(32):
            middle = (low + high) / 2
            over = (torch.sigmoid(logits_B_T - middle[:, None]) * weight).sum(dim=1) > target
            low, high = torch.where(over, middle, low), torch.where(over, high, middle)
        shift = (low + high) / 2
        kept = torch.sigmoid(logits_B_T - shift[:, None])
        slope = kept * (1 - kept) * weight
        slope = slope / slope.sum(dim=1, keepdim=True).clamp(min=1e-3)
    pull = (slope * logits_B_T).sum(dim=1)
    return logits_B_T - (shift + pull - pull.detach())[:, None]


def left(costs_B_T: Tensor, mask_B_T: Tensor, free_B_T: Tensor, budget_B: Tensor) -> Tensor:
    """The share of the free words' tokens that is left of the budget after the others, 0.02 to 0.98 [B]."""
    whole, free = (costs_B_T * mask_B_T).sum(dim=1), (costs_B_T * free_B_T).sum(dim=1)
    room = budget_B * whole - (whole - free)
    return (room / free.clamp(min=1)).clamp(0.02, 0.98)


def log_likelihoods(logits_B_T: Tensor, mask_B_T: Tensor, choices_B_S_T: Tensor) -> Tensor:
    """Log-probability of each word's fate in each choice [B, S, T], 0 where there is no word."""
    logits = logits_B_T[:, None]
    return (choices_B_S_T * logits - nn.functional.softplus(logits)) * mask_B_T[:, None]


def log_likelihood(logits_B_T: Tensor, mask_B_T: Tensor, choices_B_S_T: Tensor) -> Tensor:
    """Log-probability of each choice over the real words [B, S]."""
    return log_likelihoods(logits_B_T, mask_B_T, choices_B_S_T).sum(dim=-1)


def entropy(logits_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """Entropy of a chunk's choice over the real words, in nats [B]."""
    kept = torch.sigmoid(logits_B_T)
    return ((nn.functional.softplus(logits_B_T) - kept * logits_B_T) * mask_B_T).sum(dim=-1)


def divergence(logits_B_T: Tensor, other_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """How far the choice by other logits is from that by these, over the real words, in nats [B]."""
    kept = torch.sigmoid(logits_B_T)
    gain = nn.functional.softplus(other_B_T) - nn.functional.softplus(logits_B_T)
    return ((kept * (logits_B_T - other_B_T) + gain) * mask_B_T).sum(dim=-1)
