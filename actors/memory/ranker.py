"""Weights over named features: a memory's score. Knows no index and no feature's meaning."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.messages import InvalidRequest

Floats = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("ranker.json")
"""The shipped weights."""


@dataclass(frozen=True, slots=True)
class Ranker:
    """Scores are log-odds against the question's other memories."""

    first: Mapping[str, float]
    """Weights of what the question alone says of a memory."""
    second: Mapping[str, float]
    """Weights of that, and of what the best memories of the first round say of the others."""

    def score(self, weights: Mapping[str, float], features: Mapping[str, Floats]) -> Floats:
        """The weighted sum, shape (N,)."""
        parts = [np.float32(weight) * features[name] for name, weight in weights.items()]
        found: Floats = np.sum(parts, axis=0, dtype=np.float32)
        return found


def load(path: Path) -> Ranker:
    """A ranker of one's own, as `pal memory train-ranker` writes it.

    Raises InvalidRequest where the file is missing, is no ranker's, or weighs other features than there are.
    """
    if not path.is_file():
        raise InvalidRequest(f"memory.ranker: there is no file {path}")
    try:
        found = _read(path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"memory.ranker: {path} is no ranker's weights ({error!r})") from error
    for mine, known in ((found.first, SHIPPED.first), (found.second, SHIPPED.second)):
        if mine.keys() != known.keys():
            wrong = ", ".join(sorted(mine.keys() ^ known.keys()))
            raise InvalidRequest(
                f"memory.ranker: {path} weighs other features than this version has ({wrong}): "
                "train it again with `pal memory train-ranker`"
            )
    return found


def save(ranker: Ranker, path: Path) -> None:
    """Write a ranker as `load` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rounds = {"first": dict(ranker.first), "second": dict(ranker.second)}
    path.write_text(json.dumps(rounds, indent=1) + "\n")


def _read(path: Path) -> Ranker:
    stored = json.loads(path.read_text())
    rounds = ({name: float(weight) for name, weight in stored[key].items()} for key in ("first", "second"))
    first, second = rounds
    if not all(math.isfinite(weight) for weight in (*first.values(), *second.values())):
        raise ValueError("a weight is not finite")
    return Ranker(first, second)


SHIPPED = _read(WEIGHTS)
"""Learned by `python -m benchmarks.rank_fit`; ranker.manifest.json says from what."""
