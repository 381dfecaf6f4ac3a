from pathlib import Path

import torch

from tune.answers import replies, shared_prefix


def test_many_at_once_say_what_each_says_alone(tiny_model: Path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    draw = torch.Generator().manual_seed(0)
    prompts = [
        [1, 7, 9, *torch.randint(3, 300, (size,), generator=draw).tolist()] for size in (1, 4, 9, 2, 30)
    ]
    alone = []
    for prompt in prompts:
        ids = list(prompt)
        for _ in range(12):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        alone.append(ids[len(prompt) :])
    ends = {alone[0][3], alone[2][5], alone[3][1]}
    cut = [said[: next((at for at, token in enumerate(said) if token in ends), len(said))] for said in alone]
    assert len({len(said) for said in cut}) > 1
    assert replies(model, prompts, ends, 12) == cut
    assert replies(model, prompts[:1], (), 12) == alone[:1]


def test_what_all_begin_with_leaves_each_a_token():
    assert shared_prefix([[1, 2, 3], [1, 2, 4, 5]]) == 2
    assert shared_prefix([[1, 2, 3], [1, 2, 3]]) == 2
    assert shared_prefix([[1, 2], [3]]) == 0
