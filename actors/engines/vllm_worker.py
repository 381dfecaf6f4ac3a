"""What vLLM's worker does otherwise on a CPU: adapters by group. Runs in vLLM's process, knows no request.

There vLLM copies an adapter's matrices once for each token of a batch, and takes the last slot's for tokens
that have none. Here each adapter is multiplied once with all of its tokens, and a token without one is left
alone.

Shapes: P tokens of a batch, I inputs, O outputs, S slots; slots hold [1, O, I] or [O, I] each.
"""

from collections.abc import Iterator
from typing import Any

import torch

Tensor = torch.Tensor
NONE = -1
"""The slot of a token without an adapter."""


class GroupedAdapters:
    """Mixed into vLLM's worker by `worker_extension_cls`."""

    def group_adapters(self) -> None:
        """Compute adapters by group from now on, in this process."""
        from vllm.lora.ops.torch_ops import lora_ops
        from vllm.lora.punica_wrapper import punica_cpu

        for module in (lora_ops, punica_cpu):
            for name, grouped in OPERATIONS.items():
                getattr(module, name)
                setattr(module, name, grouped)


def shrink(
    inputs_P_I: Tensor, slots: Tensor, output_P_O: Tensor, slot_P: Tensor, scaling: float = 1.0
) -> None:
    """Set each token's output to its adapter's first factor times its input; without one it stays."""
    for tokens, weight_O_I in _groups(slots, slot_P, output_P_O.dtype):
        inputs = inputs_P_I[tokens].to(output_P_O.dtype)
        output_P_O[tokens, : len(weight_O_I)] = scaling * (inputs @ weight_O_I.T)


def expand(
    inputs_P_I: Tensor, slots: Tensor, output_P_O: Tensor, slot_P: Tensor, add_inputs: bool = True
) -> None:
    """Add each token's input times its adapter's second factor to its output, or set it to that."""
    width = min(slots.shape[-2], output_P_O.shape[1])
    expand_slice(inputs_P_I, slots, output_P_O, slot_P, 0, width, add_inputs)


def expand_slice(
    inputs_P_I: Tensor,
    slots: Tensor,
    output_P_O: Tensor,
    slot_P: Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """The same for `slice_size` outputs from `slice_offset` on."""
    outputs = slice(slice_offset, slice_offset + slice_size)
    for tokens, weight_O_I in _groups(slots, slot_P, output_P_O.dtype):
        found = inputs_P_I[tokens].to(output_P_O.dtype) @ weight_O_I[:slice_size].T
        if add_inputs:
            output_P_O[tokens, outputs] += found
        else:
            output_P_O[tokens, outputs] = found


def _groups(slots: Tensor, slot_P: Tensor, dtype: Any) -> Iterator[tuple[Any, Tensor]]:
    """The tokens of each adapter in a batch, and its matrix."""
    found = sorted(set(slot_P.tolist()))
    for slot in found:
        if slot != NONE:
            tokens = slice(len(slot_P)) if len(found) == 1 else (slot_P == slot).nonzero()[:, 0]
            yield tokens, slots[slot].reshape(slots.shape[-2:]).to(dtype)


OPERATIONS = {"bgmv_shrink": shrink, "bgmv_expand": expand, "bgmv_expand_slice": expand_slice}
