"""Weights over named features: a memory's score. Knows no index and no feature's meaning."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.messages import InvalidRequest

Floats = NDArray[np.float32]


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
        return np.sum(parts, axis=0, dtype=np.float32)


def load(path: Path) -> Ranker:
    """A ranker of one's own, as `pal memory train-ranker` writes it.

    Raises InvalidRequest where the file is missing, is no ranker's, or weighs other features than there are.
    """
    if not path.is_file():
        raise InvalidRequest(f"memory.ranker: there is no file {path}")
    try:
        stored = json.loads(path.read_text())
        rounds = {
            name: {key: float(stored[name][key]) for key in stored[name]} for name in ("first", "second")
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"memory.ranker: {path} is no ranker's weights ({error!r})") from error
    for name, weights in rounds.items():
        known = getattr(SHIPPED, name)
        if weights.keys() != known.keys():
            wrong = ", ".join(sorted(weights.keys() ^ known.keys()))
            raise InvalidRequest(
                f"memory.ranker: {path} weighs other features than this version has ({wrong}): "
                "train it again with `pal memory train-ranker`"
            )
    return Ranker(**rounds)


def save(ranker: Ranker, path: Path) -> None:
    """Write a ranker as `load` reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({name: dict(weights) for name, weights in asdict(ranker).items()}, indent=1) + "\n"
    )


_FIRST = {
    "own": 1.19,
    "window": 0.5,
    "covered": 1.41,
    "around": 2.1,
    "cosine": 6.0,
    "cosine_window": 7.1,
    "session": 1.57,
    "session_cosine": 2.1,
    "speaker": 0.9,
    "other": -1.9,
    "asked": 0.3,
    "asked_words": 1.8,
    "length": 1.98,
    "opens": 0.78,
    "asks": -0.84,
    "question": -0.39,
    "time": 0.57,
    "when_time": 0.46,
    "number": 0.79,
    "first_person": 0.61,
    "past": 0.77,
    "thanks": -0.7,
    "kin": 0.36,
    "pair": 1.11,
}
SHIPPED = Ranker(first=_FIRST, second=_FIRST)
