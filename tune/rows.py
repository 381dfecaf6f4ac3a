"""Short lessons side by side in one row, after what they all begin with. Knows no model.

Shapes: T tokens of a row, N places of it that are learned, M of them held, K likeliest tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from tune.answers import shared_prefix

Tensor = torch.Tensor


@dataclass(slots=True, kw_only=True)
class Lesson:
    """One exchange as tokens: told what to write (`held` is None), or held to what the model itself would."""

    id: str
    kind: str
    ids: tuple[int, ...]
    learned: tuple[int, ...]
    """Places in `ids` that the model is to write."""
    shared: bool = True
    """It begins with what all begin with, which is then not in `ids`."""
    weight: float = 1.0
    held: tuple[Tensor, Tensor] | None = None
    """Likeliest tokens at each learned place and their log-likelihood, [N, K], of the model as it was."""
    before: Tensor | None = None
    """How likely the model as it was found each learned token, [N], of an answer that is compared."""
    hidden: Tensor | None = None
    """What the layers below the first one that learns make of `ids`."""

    @property
    def size(self) -> int:
        """Tokens."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Row:
    """Lessons as the model reads them at once."""

    lessons: tuple[Lesson, ...]
    tokens_T: Tensor
    positions_T: Tensor
    sees_T_T: Tensor
    writes_N: Tensor
    """Places whose next token is learned, lesson by lesson."""
    targets_N: Tensor
    starts: tuple[int, ...]
    """Where each lesson begins."""
    held_M: Tensor
    """Which of the N are held to what was likely."""
    tokens_M_K: Tensor
    known_M_K: Tensor
    """Likeliest tokens there, and their log-likelihood."""


def rows(lessons: Iterable[Lesson], prefix: Sequence[int], most: int) -> list[Row]:
    """Lessons in their order, as many in a row as fit into `most` tokens, one at least."""
    found: list[Row] = []
    held: list[Lesson] = []
    room = most
    for lesson in lessons:
        if held and lesson.size > room:
            found.append(row(held, prefix))
            held, room = [], most
        held.append(lesson)
        room -= lesson.size
    return [*found, row(held, prefix)] if held else found


def row(lessons: Sequence[Lesson], prefix: Sequence[int]) -> Row:
    """All lessons beside each other, each seeing itself and, where it goes on from it, the prefix."""
    tokens, positions, owner = list(prefix), list(range(len(prefix))), [-1] * len(prefix)
    starts, writes, targets = [], [], []
    for number, lesson in enumerate(lessons):
        start = len(tokens)
        first = len(prefix) if lesson.shared else 0
        starts.append(start)
        tokens += lesson.ids
        positions += range(first, first + lesson.size)
        owner += [number] * lesson.size
        for place in lesson.learned:
            writes.append(start + place - 1 if place else len(prefix) - 1)
            targets.append(lesson.ids[place])
    held, tokens_K, known_K, at = [torch.zeros(0, dtype=torch.long)], [], [], 0
    for lesson in lessons:
        if lesson.held is not None:
            held.append(torch.arange(at, at + len(lesson.learned)))
            tokens_K.append(lesson.held[0])
            known_K.append(lesson.held[1])
        at += len(lesson.learned)
    owner_T = torch.tensor(owner)
    goes_on_T = torch.tensor([True] * len(prefix) + [one.shared for one in lessons for _ in one.ids])
    same_T_T = owner_T[:, None] == owner_T[None, :]
    sees_T_T = (same_T_T | ((owner_T == -1)[None, :] & goes_on_T[:, None])).tril()
    return Row(
        tuple(lessons),
        torch.tensor(tokens),
        torch.tensor(positions),
        sees_T_T,
        torch.tensor(writes, dtype=torch.long),
        torch.tensor(targets, dtype=torch.long),
        tuple(starts),
        torch.cat(held),
        torch.cat(tokens_K) if tokens_K else torch.zeros(0, 1, dtype=torch.long),
        torch.cat(known_K) if known_K else torch.zeros(0, 1),
    )


def take_prefix(lessons: Iterable[Lesson]) -> tuple[int, ...]:
    """What all lessons that are chats begin with, taken off them."""
    chats = [one for one in lessons if one.shared]
    most = min(one.learned[0] - 1 for one in chats)
    size = min(most, shared_prefix([one.ids for one in chats]))
    prefix = chats[0].ids[:size]
    for one in chats:
        one.ids = one.ids[size:]
        one.learned = tuple(place - size for place in one.learned)
    return prefix
