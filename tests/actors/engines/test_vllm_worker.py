import importlib.util

import pytest
import torch

from actors.engines.vllm_worker import NONE, expand, expand_slice, shrink

SLOTS = torch.tensor([1, NONE, 0, 1, NONE, 2])


def _weights(outputs: int, inputs: int) -> torch.Tensor:
    return torch.randn(3, 1, outputs, inputs, generator=torch.Generator().manual_seed(outputs))


def test_each_token_meets_its_own_adapter_and_none_where_it_has_none() -> None:
    given, first, second = torch.randn(6, 5), _weights(4, 5), _weights(7, 4)
    inner, outputs, part = torch.zeros(6, 4), torch.ones(6, 7), torch.ones(6, 9)
    shrink(given, first, inner, SLOTS, 0.5)
    expand(inner, second, outputs, SLOTS)
    expand_slice(inner, second, part, SLOTS, 2, 7)
    for token, slot in enumerate(SLOTS.tolist()):
        alone = torch.zeros(7) if slot == NONE else second[slot, 0] @ (0.5 * (first[slot, 0] @ given[token]))
        torch.testing.assert_close(outputs[token], 1 + alone)
        torch.testing.assert_close(part[token], torch.cat([torch.ones(2), 1 + alone]))
    expand(inner, second, outputs, torch.full((6,), 1), add_inputs=False)
    torch.testing.assert_close(outputs, inner @ second[1, 0].T)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_vllm_computes_the_same_token_by_token() -> None:
    from vllm.lora.ops.torch_ops import lora_ops

    slots, given, first, second = (
        torch.tensor([2, 0, 0, 1]),
        torch.randn(4, 5),
        _weights(4, 5),
        _weights(7, 4),
    )
    for ours, theirs in ((shrink, lora_ops.bgmv_shrink), (expand, lora_ops.bgmv_expand)):
        weights, inputs = (first, given) if ours is shrink else (second, given[:, :4])
        found = [torch.zeros(4, weights.shape[-2]) for _ in range(2)]
        for way, output in zip((ours, theirs), found, strict=True):
            way(inputs, weights, output, slots)
        torch.testing.assert_close(*found)
