"""How often words of each kind are kept. Knows no arm by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.compression.features import NAMES
from benchmarks.compression_arms import Text
from benchmarks.compression_outcomes import Outcomes

KINDS = ("number", "name", "first of sentence", "long content", "short content", "stop word")
LONG = 0.75
"""Of the feature `length`: eight characters or more."""
_COLUMN = {name: number for number, name in enumerate(NAMES)}


def kinds(texts: Sequence[Text], found: Outcomes) -> dict[str, Any]:
    """The share of words kept, by arm, budget and kind; seeds after the first are left out."""
    of_text = [kind_of(text) for text in texts]
    table: dict[str, Any] = {}
    for (arm, budget), rows in found.items():
        if "#" in arm:
            continue
        counts = np.zeros((len(KINDS), 2))
        for one in {id(row.short): row for row in rows}.values():
            if one.short.mask is not None:
                counts[:, 0] += np.bincount(of_text[one.text][one.short.mask], minlength=len(KINDS))
                counts[:, 1] += np.bincount(of_text[one.text], minlength=len(KINDS))
        shares = counts[:, 0] / np.maximum(counts[:, 1], 1)
        table.setdefault(arm, {})[str(budget)] = _named(shares)
    return table


def _named(shares: NDArray[np.float64]) -> Mapping[str, float]:
    return {kind: round(float(share), 4) for kind, share in zip(KINDS, shares, strict=True)}


def kind_of(text: Text) -> NDArray[np.int64]:
    """The number of each word's kind."""
    rows = text.rows
    tests = (
        rows[:, _COLUMN["digit"]] > 0,
        rows[:, _COLUMN["name_inside_sentence"]] > 0,
        rows[:, _COLUMN["first_of_sentence"]] > 0,
        (rows[:, _COLUMN["content"]] > 0) & (rows[:, _COLUMN["length"]] >= LONG),
        rows[:, _COLUMN["content"]] > 0,
    )
    return np.select(tests, range(len(tests)), default=len(tests)).astype(np.int64)
