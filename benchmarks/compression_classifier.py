"""Learns, word by word, which words are part of answers: a peer of the policy. Knows no budget."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.compression.features import NAMES, WIDTH, features
from actors.compression.policy import Policy
from actors.compression.reward import find
from actors.compression.words import split
from benchmarks.compression_data import Case

Floats = NDArray[np.float32]
CLASSIFIED_BUDGET = 0.5
"""Stands in the budget's column, in learning and after."""
_EPOCHS = 12
_RATE = 3e-3
_TOGETHER = 16


def classifier(cases: Sequence[Case], cache: Path | None = None, seed: int = 0) -> Policy:
    """A network of the policy's own shape, taught the labels directly; kept in `cache` from run to run."""
    from safetensors.numpy import save_file

    told = "\0".join([str(seed), *NAMES, *(case.text for case in cases)])
    name = f"classifier-{hashlib.sha256(told.encode()).hexdigest()[:16]}.safetensors"
    if cache is not None and (cache / name).exists():
        return Policy.load(cache / name)
    weights = _learned(cases, seed)
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        save_file(weights, cache / name)
    return Policy(weights)


def _learned(cases: Sequence[Case], seed: int) -> dict[str, Floats]:
    """A classifier of the policy's own shape: is this word part of some answer? Learned word by word."""
    import torch

    from actors.models.keep import build

    torch.manual_seed(seed)
    model = build("convolution", WIDTH)
    optimiser = torch.optim.Adam(model.parameters(), lr=_RATE)
    labelled = [_labelled(case) for case in cases]
    share = np.concatenate([labels for _, labels in labelled]).mean()
    weight = torch.tensor(float((1 - share) / max(share, 1e-6)))
    order = np.random.default_rng(seed)
    for _ in range(_EPOCHS):
        shuffled = order.permutation(len(labelled))
        for first in range(0, len(shuffled), _TOGETHER):
            batch = _batch([labelled[number] for number in shuffled[first : first + _TOGETHER]])
            logits, _ = model(batch[0], batch[2])
            losses = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, batch[1], pos_weight=weight, reduction="none"
            )
            loss = (losses * batch[2]).sum() / batch[2].sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return {name: value.numpy() for name, value in model.state_dict().items()}


def _labelled(case: Case) -> tuple[Floats, Floats]:
    words = split(case.text)
    rows = features(case.text, words)
    budgets = np.full((len(rows), 1), CLASSIFIED_BUDGET, np.float32)
    labels = np.zeros(len(words), np.float32)
    for answer in {answer for question in case.questions for answer in question.answers}:
        for start, end in find(case.text, words, answer):
            labels[start:end] = 1
    return np.concatenate([rows, budgets], axis=1), labels


def _batch(some: Sequence[tuple[Floats, Floats]]) -> tuple[Any, Any, Any]:
    import torch

    longest = max(len(labels) for _, labels in some)
    rows = torch.zeros(len(some), longest, WIDTH + 1)
    labels, mask = torch.zeros(len(some), longest), torch.zeros(len(some), longest)
    for number, (row, label) in enumerate(some):
        rows[number, : len(row)] = torch.from_numpy(row)
        labels[number, : len(label)] = torch.from_numpy(label)
        mask[number, : len(label)] = 1
    return rows, labels, mask
