"""Finds the passages that answer a query: candidates by words and vector, one ranking. Writes nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory.documents import ChunkRow, DocumentStore
from actors.memory.questions import analyse, content_words
from actors.memory.ranking import Found, features, score
from actors.messages import KeepScores, Passage

Vectors = NDArray[np.float32]

CANDIDATES = 100
"""Passages taken from each of the two indexes."""
RANKED = 30
"""Candidates that are read and ranked by all features."""
MOST_WORDS = 64
"""Content words of a query that are looked up; more say nothing new."""
LEAD_CHARACTERS = 160
"""How much of a document's beginning counts as its name."""
COSINE_WEIGHT = 4.0
"""Weight of the cosine beside BM25 relative to the best (times TEXT_WEIGHT) in the fixed fusion that picks
what is ranked: 0.963 of right SQuAD paragraphs in its first five, 0.995 in its first thirty."""
TEXT_WEIGHT = 1.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored passage: its score in the fixed fusion, its features, the rarity of the query's words."""

    row: ChunkRow
    lead: str
    rarity: Mapping[str, float]
    fused: float
    values: dict[str, float]


def search(
    store: DocumentStore, user: str, query: str, vector: Vectors, store_ids: Sequence[str] | None, k: int
) -> list[Passage]:
    """The k best passages of the user's documents, best first; fewer where there are fewer.

    Raises NotFound for a store that is not there, InvalidRequest for an empty user.
    """
    found = candidates(store, user, query, vector, store_ids, max(k, RANKED))
    scored = [(score(one.values), one) for one in found]
    scored.sort(key=lambda pair: (-pair[0], pair[1].row.id))
    keep = store.keep_scores([one.row.id for _, one in scored[:k]])
    return [passage_of(one, value, keep.get(one.row.id)) for value, one in scored[:k]]


def passage_of(one: Candidate, value: float, keep: KeepScores | None = None) -> Passage:
    """A candidate as a result with this score."""
    return Passage(
        document_id=one.row.document_id,
        filename=one.row.filename,
        start=one.row.start,
        end=one.row.end,
        text=one.row.text,
        heading=one.row.heading,
        lead=one.lead,
        score=value,
        parts=one.values,
        keep=keep,
    )


def rarity(store: DocumentStore, user: str, text: str, store_ids: Sequence[str] | None) -> dict[str, float]:
    """Inverse document frequency of each content word of a text; a word that is nowhere weighs most."""
    words = content_words(text)[:MOST_WORDS]
    size = store.chunk_count(user, store_ids)
    frequencies = store.frequencies(user, words, store_ids)
    return {word: math.log(1 + (size - held + 0.5) / (held + 0.5)) for word, held in frequencies.items()}


def candidates(
    store: DocumentStore, user: str, query: str, vector: Vectors, store_ids: Sequence[str] | None, limit: int
) -> list[Candidate]:
    """The `limit` best passages by the fixed fusion of words and vector, with the features of each."""
    terms = content_words(query)[:MOST_WORDS]
    reach = max(CANDIDATES, limit)
    hits = {hit.chunk_id: hit for hit in store.lexical(user, terms, store_ids, reach)}
    cosines = dict(store.nearest(user, vector, store_ids, reach))
    cosines |= store.cosines(user, vector, [chunk for chunk in hits if chunk not in cosines])
    text = _relative({chunk: hit.text for chunk, hit in hits.items()})
    window = _relative({chunk: hit.window for chunk, hit in hits.items()})
    fused = {
        chunk: TEXT_WEIGHT * text.get(chunk, 0.0) + COSINE_WEIGHT * cosine
        for chunk, cosine in cosines.items()
    }
    chosen = sorted(fused, key=lambda chunk: (-fused[chunk], chunk))[:limit]
    rows = store.chunks(user, chosen)
    leads = store.leads(user, list({row.document_id for row in rows}), LEAD_CHARACTERS)
    rarities = rarity(store, user, query, store_ids)
    question = analyse(query, rarities)

    def candidate(row: ChunkRow) -> Candidate:
        lead = leads.get(row.document_id, "")
        found = Found(
            text=row.text,
            place=f"{row.filename} {row.heading} {lead}",
            bm25_text=text.get(row.id, 0.0),
            bm25_window=window.get(row.id, 0.0),
            cosine=cosines[row.id],
        )
        return Candidate(row, lead, rarities, fused[row.id], features(question, found))

    return [candidate(row) for row in rows]


def _relative(scores: dict[int, float]) -> dict[int, float]:
    best = max(scores.values(), default=0.0)
    return {chunk: one / best for chunk, one in scores.items()} if best > 0 else scores
