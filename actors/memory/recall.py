"""Finds the passages that answer a query: by words and by vector, then one ranking. Writes nothing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.memory.documents import DocumentStore
from actors.memory.words import STOP_WORDS, tokens
from actors.messages import Passage

Vectors = NDArray[np.float32]

CANDIDATES = 100
"""Passages taken from each of the two indexes before ranking."""


def search(
    store: DocumentStore,
    user: str,
    query: str,
    vector: Vectors,
    store_ids: Sequence[str] | None,
    k: int,
) -> list[Passage]:
    """The k best passages of the user's documents, best first; fewer where there are fewer.

    Raises NotFound for a store that is not there, InvalidRequest for an empty user.
    """
    words = list(dict.fromkeys(tokens(query)))
    terms = [word for word in words if word not in STOP_WORDS] or words
    hits = {hit.chunk_id: hit for hit in store.lexical(user, terms, store_ids, CANDIDATES)}
    near = dict(store.nearest(user, vector, store_ids, CANDIDATES))
    near |= store.cosines(user, vector, [chunk for chunk in hits if chunk not in near])
    if not near:
        return []
    best_text = max((hit.text for hit in hits.values()), default=0.0) or 1.0
    cosines = np.array(list(near.values()))
    middle, spread = float(cosines.mean()), float(cosines.std()) or 1.0
    scores = {
        chunk: 1.5 * (hits[chunk].text / best_text if chunk in hits else 0.0) + (cosine - middle) / spread / 4
        for chunk, cosine in near.items()
    }
    ranked = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:k]
    return [
        Passage(
            document_id=row.document_id,
            filename=row.filename,
            start=row.start,
            end=row.end,
            text=row.text,
            heading=row.heading,
            score=scores[row.id],
            parts={"text": hits[row.id].text if row.id in hits else 0.0, "cosine": near[row.id]},
        )
        for row in store.chunks(user, ranked)
    ]
