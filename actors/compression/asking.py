"""Favours the sentences of a text that are nearest to a question. Knows no policy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actors.compression.features import asked_words
from actors.compression.words import Word
from actors.memory.sentences import sentences

Floats = NDArray[np.float32]

SENTENCE = 4.0
"""Standard deviations of the scores that words of the nearest sentence gain."""
BESIDE = 2.0
"""The same, of the words that stand nearest to words of the question."""
REACH = 8
"""Words away at which a word of the question counts 1/e."""
_FURTHEST = 3 * REACH
_KERNEL = np.exp(-np.abs(np.arange(-_FURTHEST, _FURTHEST + 1)) / REACH).astype(np.float32)


def favoured(text: str, words: Sequence[Word], scores: Floats, question: str) -> Floats:
    """Keep-scores [words], raised where the question's words are: an answer seldom repeats the question, but
    stands in a sentence that does.

    The strengths were chosen on the articles that the shipped policy was trained on.
    """
    hits = asked_words(text, words, question)
    if not hits.any():
        return scores
    beside = np.convolve(hits, _KERNEL)[_FURTHEST : _FURTHEST + len(hits)]
    gain = SENTENCE * _sentences(text, words, hits) ** 2 + BESIDE * beside / beside.max()
    raised: Floats = (scores + scores.std() * gain).astype(np.float32)
    return raised


def _sentences(text: str, words: Sequence[Word], hits: Floats) -> Floats:
    """How many words of the question its sentence has, for each word [words]; of the nearest sentence 1."""
    borders = [start for start, _ in sentences(text)][1:]
    of = np.searchsorted(borders, [word.start for word in words], side="right")
    counts = np.bincount(of, hits)
    found: Floats = (counts / counts.max())[of].astype(np.float32)
    return found
