from collections import Counter
from typing import Any

import pytest
import torch

from actors.engines.sampler import LIKELIEST, pick, token_logprob
from actors.engines.schedule import Request
from actors.messages import Sampling


def draws(logits: torch.Tensor, times: int, **sampling: Any) -> Counter[int]:
    request = Request([1], Sampling(**{"seed": 1} | sampling))
    return Counter(pick(request, logits)[0] for _ in range(times))


def test_tokens_come_as_often_as_they_are_likely() -> None:
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.2])
    counts = draws(probabilities.log(), 4000)
    assert counts[1] == 0
    for token in (0, 2, 3):
        assert counts[token] / 4000 == pytest.approx(float(probabilities[token]), abs=0.03)


@pytest.mark.parametrize(
    ("sampling", "left"),
    [
        ({"top_k": 1}, {0}),
        ({"top_k": 2}, {0, 2}),
        ({"top_p": 0.49}, {0}),
        ({"top_p": 0.6}, {0, 2}),
        ({"top_k": 3, "top_p": 0.99}, {0, 2, 3}),
        ({"top_k": 2, "top_p": 0.6}, {0}),
        ({"temperature": 0.0}, {0}),
        ({"temperature": 0.01}, {0}),
        ({"top_p": 0.0}, {0}),
    ],
)
def test_only_the_likely_are_left(sampling: dict[str, Any], left: set[int]) -> None:
    logits = torch.tensor([0.5, 0.05, 0.3, 0.15]).log()
    assert set(draws(logits, 500, **sampling)) == left


def test_flat_distributions_are_sorted_whole() -> None:
    size = LIKELIEST * 3
    counts = draws(torch.zeros(size), 3000, top_p=0.9)
    assert LIKELIEST < len(counts) <= round(size * 0.9) + 1


def test_log_probabilities_are_the_models_own() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    request = Request([1], Sampling(temperature=0.0, logit_bias={2: 100.0}, logprobs=2))
    token, entry = pick(request, logits)
    assert token == 2
    assert entry is not None
    assert entry.logprob == pytest.approx(float(torch.tensor(0.2).log()))
    assert [one[0] for one in entry.top] == [0, 1]
    assert token_logprob(logits, 1, 0).top == ()


def test_penalties_grow_with_use() -> None:
    logits = torch.tensor([1.0, 0.9, 0.0])
    request = Request([1], Sampling(temperature=0.0, frequency_penalty=0.3))
    picked = []
    for _ in range(4):
        token, _ = pick(request, logits)
        request.counts[token] += 1
        picked.append(token)
    assert picked == [0, 1, 0, 1]
    assert logits.tolist() == pytest.approx([1.0, 0.9, 0.0])
