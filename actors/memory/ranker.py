"""Weights over named features: a memory's score. Knows no index and no feature's meaning."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranker:
    """Scores are log-odds against the question's other memories."""

    first: Mapping[str, float]
    """Weights of what the question alone says of a memory."""
    second: Mapping[str, float]
    """Weights of what the best memories of the first round say of the others."""

    def score(self, weights: Mapping[str, float], features: Mapping[str, Floats]) -> Floats:
        """The weighted sum, shape (N,)."""
        parts = [np.float32(weight) * features[name] for name, weight in weights.items()]
        return np.sum(parts, axis=0, dtype=np.float32)


SHIPPED = Ranker(
    first={
        "own": 3.0,
        "window": 6.0,
        "session": 2.0,
        "covered": 3.0,
        "around": 2.0,
        "cosine": 8.0,
        "cosine_near": 4.0,
        "speaker": 1.0,
        "asks": -0.7,
        "length": 0.5,
    },
    second={"cosine_found": 2.0, "near_found": 1.0},
)
