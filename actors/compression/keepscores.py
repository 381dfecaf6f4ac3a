"""Keep-scores as one byte a word, to be stored beside a text, and the few fixed budgets. Knows no store."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.messages import InvalidRequest

Floats = NDArray[np.float32]

REFERENCE_BUDGET = 0.5
"""The budget that stored scores are computed for."""
_LIMIT = 8.0
"""Log-odds beyond this, in either direction, are all the same."""
_STEPS = 255


def encode(scores: Floats) -> bytes:
    """A byte for each log-odds, higher for higher: even steps of 0.06 between -8 and 8."""
    clipped = np.clip(np.nan_to_num(scores, nan=-_LIMIT), -_LIMIT, _LIMIT)
    stored: bytes = np.rint((clipped + _LIMIT) * (_STEPS / (2 * _LIMIT))).astype(np.uint8).tobytes()
    return stored


def decode(stored: bytes) -> Floats:
    """The log-odds that `encode` was given, to within half a step."""
    steps = np.frombuffer(stored, np.uint8).astype(np.float32)
    return steps * np.float32(2 * _LIMIT / _STEPS) - np.float32(_LIMIT)


def check_length(stored: bytes, words: int) -> None:
    """Raises InvalidRequest if the scores are not of a text with so many words."""
    if len(stored) != words:
        raise InvalidRequest(
            f"there are {len(stored)} keep-scores for {words} words: they are of another text, or of an "
            "older way to cut words; compute them again"
        )


def nearest_tier(budget: float, tiers: Sequence[float]) -> float:
    """The tier nearest to a budget; of two equally near ones the larger."""
    return min(tiers, key=lambda tier: (abs(tier - budget), -tier))
