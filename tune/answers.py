"""Many short answers of one model at once, greedy or drawn. Knows neither questions nor right answers.

Shapes: B prompts, T tokens, S tokens seen so far, V vocabulary.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tune.growing import joined
from tune.reading import Part, Reader, Span

Tensor = torch.Tensor
TOGETHER = 128
"""Answers that are written at once."""
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
    reader = Reader(model, prompts[0][: shared_prefix(prompts)])
    asked = [Asked(tuple(prompt), longest) for prompt in prompts]
    return Writer(model, reader, ends, draw).write(asked)


def shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with, at least one less than the shortest."""
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    most = min(map(len, prompts)) - 1
    return next((at for at in range(most) if first[at] != last[at]), most)


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, and how its answer may be."""

    prompt: tuple[int, ...]
    longest: int
    guess: tuple[int, ...] = ()
    """An answer that is likely: as far as it is right, reading it costs less than writing it."""


@dataclass(slots=True)
class _Begun:
    """Answers of one part that go on: what was seen of each, and the token that comes next."""

    numbers: list[int]
    cache: Any
    seen: list[int]
    next: list[int]


class Writer:
    """Answers by a model as it stands."""

    def __init__(
        self, model: Any, reader: Reader, ends: Collection[int], draw: torch.Generator | None = None
    ) -> None:
        """What is drawn has no guesses."""
        self._model, self._reader, self._ends, self._draw = model, reader, ends, draw

    def write(self, asked: Sequence[Asked]) -> list[list[int]]:
        """Token ids of each answer, without the one that ends it."""
        found: list[list[int]] = [[] for _ in asked]
        spans = [
            Span((*one.prompt, *one.guess[: one.longest]), len(one.prompt), kept=bool(one.guess))
            for one in asked
        ]
        waiting: list[_Begun] = []
        for part in self._reader.read(spans):
            waiting += self._begin(part, asked, found)
            if sum(len(one.numbers) for one in waiting) >= TOGETHER:
                self._go_on(waiting, asked, found)
                waiting = []
        if waiting:
            self._go_on(waiting, asked, found)
        return found

    def _begin(self, part: Part, asked: Sequence[Asked], found: list[list[int]]) -> list[_Begun]:
        """Take over what was guessed as far as it is right; what goes on from there."""
        likely, at = self._pick(part.logits_N_V).tolist(), 0
        rows, seen = [], []
        for row, number in enumerate(part.numbers):
            one = asked[number]
            guess = one.guess[: one.longest]
            here = likely[at : at + len(guess) + 1]
            at += len(here)
            found[number], over = self._agreed(guess, here, one.longest)
            if not over:
                rows.append(row)
                seen.append(len(one.prompt) + len(found[number]) - 1)
        if not rows:
            return []
        numbers = [part.numbers[row] for row in rows]
        cache = self._reader.caught_up(part, rows, max(seen))
        return [_Begun(numbers, cache, seen, [found[number][-1] for number in numbers])]

    def _agreed(self, guess: Sequence[int], likely: Sequence[int], longest: int) -> tuple[list[int], bool]:
        """What the model would have written so far, and whether that is all."""
        answer: list[int] = []
        for place, token in enumerate(likely[:longest]):
            if token in self._ends:
                return answer, True
            answer.append(token)
            if place == len(guess) or token != guess[place]:
                break
        return answer, len(answer) == longest

    def _go_on(self, begun: Sequence[_Begun], asked: Sequence[Asked], found: list[list[int]]) -> None:
        """Write what goes on to its end, token by token."""
        numbers = [number for one in begun for number in one.numbers]
        left = max(asked[number].longest - len(found[number]) for number in numbers)
        cache = joined([one.cache for one in begun], left)
        seen_B = torch.tensor([size for one in begun for size in one.seen])
        mask_B_S = (torch.arange(cache.get_seq_length()) < seen_B[:, None]).long()
        next_B = torch.tensor([token for one in begun for token in one.next])
        going = [True] * len(numbers)
        while any(going):
            if sum(going) <= CROWDED * len(going):
                kept = torch.tensor(going).nonzero()[:, 0]
                cache.batch_select_indices(kept)
                mask_B_S, next_B, numbers = mask_B_S[kept], next_B[kept], [numbers[row] for row in kept]
                going = [True] * len(numbers)
            mask_B_S = torch.cat([mask_B_S, torch.ones(len(numbers), 1, dtype=torch.long)], 1)
            with torch.inference_mode():
                out = self._model(
                    next_B[:, None],
                    attention_mask=mask_B_S,
                    position_ids=mask_B_S.sum(1, keepdim=True) - 1,
                    past_key_values=cache,
                )
            next_B = self._pick(out.logits[:, -1])
            for row, token in enumerate(next_B.tolist()):
                answer = found[numbers[row]]
                going[row] = going[row] and token not in self._ends
                if going[row]:
                    answer.append(token)
                    going[row] = len(answer) < asked[numbers[row]].longest

    def _pick(self, logits_N_V: Tensor) -> Tensor:
        if self._draw is None:
            return logits_N_V.argmax(-1)
        return torch.multinomial(logits_N_V.float().softmax(-1), 1, generator=self._draw)[:, 0]
