"""Linear layers as a CPU computes them fastest for few rows. Knows no model.

Shapes: O outputs, I inputs, T rows.
"""

import torch
from torch import nn

PACKED_FOR = 8
"""Rows that packed weights are arranged for; measured best from 3 to 32, and no worse at 512."""


class PackedLinear(nn.Module):
    """A linear layer whose weights lie in oneDNN's own order, in place of the plain ones: CPU, float32.

    Twice as fast as plain weights from 4 rows on, because those are rearranged anew in each call.
    """

    def __init__(self, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight_OI.shape
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI, PACKED_FOR)
        self.register_buffer("bias", bias_O)
        self._product = torch.ops.mkldnn._linear_pointwise.default

    @property
    def weight_bytes(self) -> int:
        """Bytes of the packed weights."""
        return int(self.packed.numel() * self.packed.dtype.itemsize)

    def forward(self, x_TI: torch.Tensor) -> torch.Tensor:
        """[T, I] to [T, O]."""
        y_TO: torch.Tensor = self._product(x_TI, self.packed, self.bias, "none", [], "")
        return y_TO


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether PackedLinear computes with such weights."""
    return device.type == "cpu" and dtype == torch.float32 and torch._C._has_mkldnn


def linear(weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> nn.Linear:
    """A plain linear layer that takes the tensors as they are."""
    made = nn.Linear(weight_OI.shape[1], weight_OI.shape[0], bias=bias_O is not None, device="meta")
    made.weight = nn.Parameter(weight_OI, requires_grad=False)
    if bias_O is not None:
        made.bias = nn.Parameter(bias_O, requires_grad=False)
    return made
