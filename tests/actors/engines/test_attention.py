import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from actors.engines.attention import KvCache, Segment, packed_attention

HEADS, KV_HEADS, WIDTH = 6, 2, 8


class Layer:
    layer_idx = 0


def whole(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int | None) -> torch.Tensor:
    """The textbook answer for one sequence: [1, T, H, D]."""
    length = query.shape[2]
    row, column = torch.arange(length)[:, None], torch.arange(length)[None]
    mask = (column <= row) & (column > row - (window or length))
    groups = HEADS // KV_HEADS
    keys, values = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    return scaled_dot_product_attention(query, keys, values, attn_mask=mask).transpose(1, 2)


@pytest.mark.parametrize("window", [None, 4])
def test_sequences_in_pieces_equal_each_sequence_whole(window: int | None) -> None:
    torch.manual_seed(0)
    lengths = (300, 11)
    made = [
        tuple(torch.randn(1, heads, length, WIDTH) for heads in (HEADS, KV_HEADS, KV_HEADS))
        for length in lengths
    ]
    caches = [KvCache(), KvCache()]
    outputs: list[list[torch.Tensor]] = [[], []]
    steps = [
        [(0, 0, 200), (1, 0, 5)],
        [(0, 200, 201), (1, 5, 6)],
        [(0, 201, 299)],
        [(1, 6, 11), (0, 299, 300)],
    ]
    for step in steps:
        packed = [
            torch.cat([made[which][part][:, :, start:end] for which, start, end in step], dim=2)
            for part in range(3)
        ]
        segments = [Segment(caches[which], start, end - start) for which, start, end in step]
        output, _ = packed_attention(Layer(), *packed, None, segments=segments, sliding_window=window)
        place = 0
        for which, start, end in step:
            outputs[which].append(output[:, place : place + end - start])
            place += end - start
    for got, parts in zip(outputs, made, strict=True):
        torch.testing.assert_close(torch.cat(got, dim=1), whole(*parts, window))
