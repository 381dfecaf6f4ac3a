"""Holds the embedding model and batches what it is given. Knows no document and no user."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.messages import Health
from configs.schema import Settings

Vectors = NDArray[np.float32]


class Embedder:
    """Sentence embeddings from an ONNX model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Load the model. Raises NotReady if it is not on disk."""
        raise NotImplementedError

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit-length vectors, shape (len(texts), dimensions), float32. Text past the model's window is cut."""
        raise NotImplementedError

    async def count(self, texts: Sequence[str]) -> int:
        """Tokens in all texts together, uncut."""
        raise NotImplementedError

    async def health(self) -> Health:
        """Whether it can embed now."""
        raise NotImplementedError

    async def close(self) -> None:
        """Free the model."""
