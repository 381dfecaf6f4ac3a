"""Vectors of texts, computed once and kept. Knows no ranking."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from actors.memory.source import Vectors
from actors.models.encoder import Encoder

BATCH = 8


class Vectorised:
    """An encoder that keeps what it computed, in a file too when one is given."""

    def __init__(self, encoder: Encoder, cache: Path | None = None) -> None:
        self._encoder = encoder
        self._cache = cache
        self._known: dict[str, Vectors] = {}
        if cache is not None and cache.is_file():
            with np.load(cache) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit-length vectors, shape (len(texts), dimensions)."""
        keys = [hashlib.sha256(text.encode()).hexdigest()[:24] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        by_length = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(by_length), BATCH):
            some = by_length[start : start + BATCH]
            found = self._encoder.vectors(self._encoder.tokens([missing[key] for key in some]))
            self._known |= dict(zip(some, found, strict=True))
        return np.array([self._known[key] for key in keys], np.float32)

    def save(self) -> None:
        """Write all to the file, if there is one; it appears once it is whole."""
        if self._cache is not None:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            draft = self._cache.with_suffix(".draft.npz")
            np.savez(draft, keys=np.array(list(self._known)), vectors=np.array(list(self._known.values())))
            draft.replace(self._cache)
