"""Many short answers of one model at once, greedy or drawn. Knows neither questions nor right answers.

Shapes: B prompts, T tokens, V vocabulary.
"""

import copy
from collections.abc import Collection, Sequence
from typing import Any

import torch

Tensor = torch.Tensor
TOGETHER = 96
"""Prompts of one batch."""
CROWDED = 0.75
"""Answers that have ended are taken out once no more than this share goes on: taking out copies the rest."""


def replies(
    model: Any,
    prompts: Sequence[Sequence[int]],
    ends: Collection[int],
    longest: int,
    draw: torch.Generator | None = None,
) -> list[list[int]]:
    """Token ids that follow each prompt, without the one that ends them; `draw` samples instead of the best.

    What all prompts begin with is computed once.
    """
    shared = shared_prefix(prompts)
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    found: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode():
        start = _begin(model, prompts[0][:shared]) if shared else None
        for at in range(0, len(order), TOGETHER):
            group = order[at : at + TOGETHER]
            rests = [prompts[number][shared:] for number in group]
            for number, answer in zip(
                group, _group(model, start, shared, rests, ends, longest, draw), strict=True
            ):
                found[number] = answer
    return found


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with, at least one less than the shortest."""
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    most = min(map(len, prompts)) - 1
    return next((at for at in range(most) if first[at] != last[at]), most)


def _begin(model: Any, prefix: Sequence[int]) -> Any:
    return model(torch.tensor([list(prefix)]), use_cache=True, logits_to_keep=1).past_key_values


def _group(
    model: Any,
    start: Any,
    shared: int,
    rests: Sequence[Sequence[int]],
    ends: Collection[int],
    longest: int,
    draw: torch.Generator | None,
) -> list[list[int]]:
    rows, width = len(rests), max(map(len, rests))
    cache = copy.deepcopy(start)
    if cache is not None:
        cache.batch_repeat_interleave(rows)
    tokens_B_T = torch.tensor([[0] * (width - len(rest)) + list(rest) for rest in rests])
    lengths_B = torch.tensor([len(rest) for rest in rests])
    held_B_T = torch.arange(width) >= (width - lengths_B)[:, None]
    mask_B_T = torch.cat([torch.ones(rows, shared, dtype=torch.long), held_B_T.long()], 1)
    answers: list[list[int]] = [[] for _ in rests]
    places = list(range(rows))
    going = [True] * rows
    for _ in range(longest):
        positions_B_T = (mask_B_T.cumsum(1) - 1).clamp(min=0)[:, -tokens_B_T.shape[1] :]
        out = model(
            tokens_B_T,
            attention_mask=mask_B_T,
            position_ids=positions_B_T,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = out.past_key_values
        next_B = _pick(out.logits[:, -1], draw)
        for row, token in enumerate(next_B.tolist()):
            going[row] = going[row] and token not in ends
            if going[row]:
                answers[places[row]].append(token)
        if not any(going):
            break
        if sum(going) <= CROWDED * len(going):
            kept = torch.tensor(going).nonzero()[:, 0]
            cache.batch_select_indices(kept)
            mask_B_T, next_B, places = mask_B_T[kept], next_B[kept], [places[row] for row in kept]
            going = [True] * len(places)
        tokens_B_T = next_B[:, None]
        mask_B_T = torch.cat([mask_B_T, torch.ones(len(places), 1, dtype=torch.long)], 1)
    return answers


def _pick(logits_B_V: Tensor, draw: torch.Generator | None) -> Tensor:
    if draw is None:
        return logits_B_V.argmax(-1)
    return torch.multinomial(logits_B_V.softmax(-1), 1, generator=draw)[:, 0]
