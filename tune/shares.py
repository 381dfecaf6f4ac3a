"""Cuts the packed batch of a replica into what each of its ranks computes. Knows no model, no process group.

Shapes: B rows, T tokens of each.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from actors.learner import Share
from actors.messages import InvalidRequest
from actors.models.attention import spans_of
from actors.models.longloss import IGNORED

if TYPE_CHECKING:
    from tune.data import Batch

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one rank sits: ranks beside each other share sequences, groups of them have their own."""

    rank: int = 0
    ranks: int = 1
    parts: int = 1
    """Ranks that share a sequence."""

    @property
    def part(self) -> int:
        """Which part of a sequence is this rank's."""
        return self.rank % self.parts

    @property
    def replica(self) -> int:
        """Which group of ranks that share sequences it is in."""
        return self.rank // self.parts


def targets_of(batch: "Batch") -> Numbers:
    """What each token has to foretell [B, T]: the next token's label, where it is of the same document."""
    following = np.full_like(batch.labels, IGNORED)
    following[:, :-1] = np.where(
        batch.segments[:, 1:] == batch.segments[:, :-1], batch.labels[:, 1:], IGNORED
    )
    following[batch.segments < 0] = IGNORED
    return following


def count(targets_B_T: Numbers) -> int:
    """Targets that are learned."""
    return int((targets_B_T != IGNORED).sum())


def check(batch: "Batch", vocabulary: int, where: str) -> None:
    """Raises InvalidRequest, with `where` and the place, for a token or label that the model lacks."""
    for name, values in (("token", batch.tokens), ("label", batch.labels)):
        known = (values >= 0) & (values < vocabulary)
        if name == "label":
            known |= values == IGNORED
        if not known.all():
            row, column = (int(index[0]) for index in np.nonzero(~known))
            raise InvalidRequest(
                f"{where}: {name} {int(values[row, column])} at row {row}, position {column} is outside the "
                f"model's vocabulary of {vocabulary}: was the data made with another tokenizer?"
            )


def share_of(batch: "Batch", targets_B_T: Numbers, seat: Seat) -> Share:
    """What a rank computes of its replica's batch: its part of each sequence."""
    length = -(-batch.tokens.shape[1] // seat.parts)
    first = seat.part * length

    def cut(values: NDArray[Any], padding: int) -> torch.Tensor:
        part = values[:, first : first + length]
        missing = length - part.shape[1]
        return torch.from_numpy(np.pad(part, ((0, 0), (0, missing)), constant_values=padding))

    return Share(
        cut(batch.tokens, 0),
        cut(targets_B_T, IGNORED),
        cut(batch.positions, 0),
        spans_of(batch.segments),
    )
