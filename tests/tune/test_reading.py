"""Rows read together, partly from what is kept of them, are what each is alone."""

from pathlib import Path

import pytest
import torch

from tune.answers import Asked, Writer, replies
from tune.growing import group_heads
from tune.kept import Kept
from tune.reading import Below, Reader, Span, first_changed

PREFIX = (1, 7, 9)


@pytest.fixture(scope="module")
def model(tiny):
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(str(tiny), dtype=torch.float32).eval()
    group_heads(loaded)
    return loaded


def drawn(*sizes: int) -> list[tuple[int, ...]]:
    draw = torch.Generator().manual_seed(0)
    return [(*PREFIX, *torch.randint(3, 300, (size,), generator=draw).tolist()) for size in sizes]


def test_nats_are_those_of_each_row_alone_and_from_what_is_kept_too(model, tmp_path: Path):
    rows = [*drawn(4, 9, 30), (5, 6, 7, 8)]
    spans = [Span(row, 4 if row[:3] == PREFIX else 1) for row in rows]
    alone = []
    for one in spans:
        likely = model(torch.tensor([one.ids])).logits[0].detach().log_softmax(-1)
        alone.append(-sum(float(likely[at - 1, one.ids[at]]) for at in range(one.first, len(one.ids))))
    below, kept = Below(1), Kept(tmp_path, "model")
    assert Reader(model, PREFIX).nats(spans) == pytest.approx(alone, abs=1e-3)
    assert Reader(model, PREFIX, below).nats(spans) == pytest.approx(alone, abs=1e-3)
    kept.keep_below(1, below.made)
    again = Below(1, kept.below(1))
    assert set(again.made) == set(rows)
    calls = []
    hook = model.model.layers[0].mlp.register_forward_hook(lambda *_: calls.append(1))
    assert Reader(model, PREFIX, again).nats(spans) == pytest.approx(alone, abs=1e-3)
    hook.remove()
    assert len(calls) == 1, "the layer below reads what all begin with, and nothing else"


@pytest.mark.parametrize("first", [0, 1])
def test_guesses_change_nothing_of_what_is_written(model, first: int):
    prompts = drawn(1, 4, 9, 2, 30)
    plain = replies(model, prompts, (), 12)
    ends = {plain[0][3], plain[2][5]}
    plain = replies(model, prompts, ends, 12)
    guesses = [plain[0], plain[1][:5], [*plain[2], 4, 4], [4] * 20, [*plain[4][:2], 4, *plain[4][3:]]]
    below = Below(first)
    for _ in range(2):
        asked = [Asked(one, 12, tuple(guess)) for one, guess in zip(prompts, guesses, strict=True)]
        assert Writer(model, Reader(model, PREFIX, below), ends).write(asked) == plain
    assert bool(below.made) == bool(first)


def test_the_lowest_layer_that_is_changed():
    assert first_changed(["model.layers.12.mlp.down_proj.weight", "model.layers.7.mlp.up_proj.weight"]) == 7
    assert first_changed(["model.layers.12.mlp.down_proj.weight", "lm_head.weight"]) == 0
    assert first_changed([]) == 0
