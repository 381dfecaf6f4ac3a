"""Embeds many texts, some at a time. Knows not what they are for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.embedder import Embedder

BATCH = 64
"""Texts embedded in one call, so that questions of other users come in between."""


async def embed_all(embedder: Embedder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, shape (len(texts), dimensions); of no text, shape (0, 0)."""
    batches = [await embedder.embed(texts[first : first + BATCH]) for first in range(0, len(texts), BATCH)]
    return np.concatenate(batches) if batches else np.zeros((0, 0), dtype=np.float32)
