"""Scores words for keeping: the trained policy's forward pass in numpy. Knows no text and no training."""

import hashlib
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from actors.compression.features import NAMES, WIDTH
from actors.messages import InvalidRequest

SHIPPED = Path(__file__).with_name("policy.safetensors")
CHUNK = 256
"""Most words that are scored together."""
MARGIN = 16
"""Words on either side of a chunk's border that both chunks see; the nearer middle scores them."""

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]


class Policy:
    """The weights of one policy. Safe to share between threads: nothing changes after construction."""

    def __init__(self, weights: Weights) -> None:
        """Raises InvalidRequest if the weights are of no known policy, or of one with other features."""
        if "encode.weight" not in weights:
            raise InvalidRequest("these are no keep policy's weights: train one with `pal train compression`")
        width = weights["encode.weight"].shape[1] - 1
        if width != WIDTH:
            raise InvalidRequest(
                f"the policy was trained on {width} features a word, there are {WIDTH} now: "
                "train it again with `pal train compression`"
            )
        self._weights = weights
        self._forward = _attention if "blocks.0.importance.weight" in weights else _convolution

    @cached_property
    def identity(self) -> str:
        """Names the policy: another one, or other features, score the same text otherwise."""
        found = hashlib.sha256(" ".join(NAMES).encode())
        for name in sorted(self._weights):
            found.update(name.encode() + self._weights[name].tobytes())
        return found.hexdigest()[:16]

    @classmethod
    def default(cls) -> Self:
        """The shipped policy, read once."""
        return cls(_read(SHIPPED))

    @classmethod
    def load(cls, path: Path) -> Self:
        """A policy of your own, in safetensors. Raises InvalidRequest where there is none."""
        return cls(_read(path))

    def scores(self, features: Floats, budget: float) -> Floats:
        """How much each word is worth keeping, in log-odds [words]; `budget` is the share to keep."""
        count = len(features)
        scores = np.empty(count, np.float32)
        for first, start, end, last in _chunks(count):
            rows = self._forward(self._weights, features[first:last], np.float32(budget))
            scores[start:end] = rows[start - first : end - first]
        return scores


def _chunks(count: int) -> list[tuple[int, int, int, int]]:
    """(first, start, end, last): score words start to end having seen first to last, at most CHUNK."""
    if count <= CHUNK:
        return [(0, 0, count, count)] if count else []
    step = CHUNK - 2 * MARGIN
    chunks = []
    for first in range(0, count - 2 * MARGIN, step):
        last = min(first + CHUNK, count)
        start = first + MARGIN if first else 0
        end = last - MARGIN if last < count else count
        chunks.append((first, start, end, last))
    return chunks


@cache
def _read(path: Path) -> Weights:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise InvalidRequest(f"there is no file {path}") from error
    except SafetensorError as error:
        raise InvalidRequest(f"{path} is no keep policy's weights: {error}") from error


def _convolution(weights: Weights, rows: Floats, budget: np.float32) -> Floats:
    hidden = _encoded(weights, rows, budget)
    for block in _blocks(weights):
        mixed = _relu(_depthwise(weights, f"{block}.near", hidden))
        hidden = hidden + _linear(weights, f"{block}.mix", mixed)
        hidden = hidden + _linear(weights, f"{block}.all", hidden.mean(axis=0, keepdims=True))
    return _linear(weights, "keep", _relu(hidden))[:, 0]


def _attention(weights: Weights, rows: Floats, budget: np.float32) -> Floats:
    hidden = _encoded(weights, rows, budget)
    for block in _blocks(weights):
        normal = _normal(weights, f"{block}.first", hidden)
        near = _depthwise(weights, f"{block}.near", normal)
        gate = _sigmoid(_linear(weights, f"{block}.gate", near))
        hidden = hidden + gate * near + (1 - gate) * _attend(weights, block, normal)
        normal = _normal(weights, f"{block}.second", hidden)
        hidden = hidden + _linear(weights, f"{block}.down", _relu(_linear(weights, f"{block}.up", normal)))
    return _linear(weights, "keep", hidden)[:, 0]


def _encoded(weights: Weights, rows: Floats, budget: np.float32) -> Floats:
    """The budget is the last feature, the same for every word."""
    first = weights["encode.weight"]
    return _relu(rows @ first[:, :-1].T + (weights["encode.bias"] + first[:, -1] * budget))


def _attend(weights: Weights, block: str, normal: Floats) -> Floats:
    """What all words say to each word; an important word is listened to by all."""
    count, width = normal.shape
    importance = _linear(weights, f"{block}.importance", normal)
    heads = importance.shape[1]
    three = _linear(weights, f"{block}.ask", normal).reshape(count, 3, heads, width // heads)
    query, key, value = three.transpose(1, 2, 0, 3)
    logits = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(width // heads))
    logits = logits + importance.T[:, None, :]
    logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
    heard = (logits / logits.sum(axis=-1, keepdims=True)) @ value
    return _linear(weights, f"{block}.tell", heard.transpose(1, 0, 2).reshape(count, width))


def _blocks(weights: Weights) -> list[str]:
    return sorted({".".join(name.split(".")[:2]) for name in weights if name.startswith("blocks.")})


def _linear(weights: Weights, name: str, rows: Floats) -> Floats:
    result: Floats = rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return result


def _depthwise(weights: Weights, name: str, rows: Floats) -> Floats:
    """Each channel mixes a word with its neighbours; beyond the ends there is nothing."""
    taps = weights[f"{name}.weight"][:, 0]
    reach = taps.shape[1] // 2
    mixed = rows * taps[:, reach] + weights[f"{name}.bias"]
    for tap in range(-reach, reach + 1):
        if tap and abs(tap) < len(rows):
            to = slice(max(0, -tap), len(rows) - max(0, tap))
            source = slice(max(0, tap), len(rows) - max(0, -tap))
            mixed[to] += rows[source] * taps[:, reach + tap]
    return mixed


def _normal(weights: Weights, name: str, rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(1e-5))
    result: Floats = centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return result


def _relu(values: Floats) -> Floats:
    return np.maximum(values, 0)


def _sigmoid(values: Floats) -> Floats:
    gate: Floats = np.reciprocal(np.exp(-values) + np.float32(1))
    return gate
