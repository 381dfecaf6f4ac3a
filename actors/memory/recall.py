"""Finds the passages that answer a query: candidates by words and vector, one ranking. Writes nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.memory.documents import ChunkRow, DocumentStore
from actors.memory.questions import Question, analyse, content_words
from actors.memory.ranking import Found, features, score
from actors.messages import Passage

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
    """A stored passage with its features and its score in the fixed fusion."""

    row: ChunkRow
    lead: str
    fused: float
    values: dict[str, float]


def search(
    store: DocumentStore, user: str, query: str, vector: Vectors, store_ids: Sequence[str] | None, k: int
) -> list[Passage]:
    """The k best passages of the user's documents, best first; fewer where there are fewer.

    Raises NotFound for a store that is not there, InvalidRequest for an empty user.
    """
    found = candidates(store, user, query, vector, store_ids, max(k, RANKED))
    ranked = sorted(found, key=lambda one: (-score(one.values), one.row.id))
    return [
        Passage(
            document_id=one.row.document_id,
            filename=one.row.filename,
            start=one.row.start,
            end=one.row.end,
            text=one.row.text,
            heading=one.row.heading,
            lead=one.lead,
            score=score(one.values),
            parts=one.values,
        )
        for one in ranked[:k]
    ]


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
    question = analyse(query, rarity(store, user, query, store_ids))
    return [
        _candidate(
            question,
            row,
            leads.get(row.document_id, ""),
            fused[row.id],
            Found(
                text=row.text,
                place=f"{row.filename} {row.heading} {leads.get(row.document_id, '')}",
                bm25_text=text.get(row.id, 0.0),
                bm25_window=window.get(row.id, 0.0),
                cosine=cosines[row.id],
            ),
        )
        for row in rows
    ]


def _candidate(question: Question, row: ChunkRow, lead: str, fused: float, found: Found) -> Candidate:
    return Candidate(row, lead, fused, features(question, found))


def _relative(scores: dict[int, float]) -> dict[int, float]:
    best = max(scores.values(), default=0.0)
    return {chunk: one / best for chunk, one in scores.items()} if best > 0 else scores
