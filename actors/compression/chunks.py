"""A text cut into chunks that training and measuring work on. Knows no policy and no reward."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.compression.features import features
from actors.compression.layout import Mask, touched
from actors.compression.policy import CHUNK
from actors.compression.protect import merged, protect
from actors.compression.reward import Places, find
from actors.compression.words import Word, split

Floats = NDArray[np.float32]
Count = Callable[[str], int]
"""From a word to its tokens."""

_PIECE = 5
"""Characters of a word for each token, where no tokenizer tells."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """At most 256 words of one text, and where in them the answers stand."""

    text: str
    """The id of the text."""
    domain: str
    """What kind of text it is."""
    words: tuple[str, ...]
    rows: Floats
    """Features of each word [T, W]."""
    costs: NDArray[np.int64]
    """Tokens of each word [T]."""
    places: Places
    locked: Mask
    """Words that are kept whatever is chosen [T]."""


def estimate(word: str) -> int:
    """About how many tokens a word has, where no tokenizer is at hand."""
    return max(1, round(len(word) / _PIECE))


def cut(
    id: str,
    domain: str,
    text: str,
    answers: Sequence[Sequence[str]],
    count: Count = estimate,
    protected: bool = False,
) -> list[Chunk]:
    """The chunks of a text. `answers` holds the accepted answers of each question.

    With `protected`, the words that must not change are locked; else no word is.

    A question belongs to the chunks that hold one of its answers whole; one that stands in none is left out.
    """
    words = split(text)
    rows = features(text, words)
    places = [
        sorted({place for answer in accepted for place in find(text, words, answer)}) for accepted in answers
    ]
    locked = _locked(text, words) if protected else np.zeros(len(words), np.bool_)
    return [
        _chunk(id, domain, text, words, rows, places, locked, count, first)
        for first in range(0, len(words), CHUNK)
    ]


def _locked(text: str, words: Sequence[Word]) -> Mask:
    starts, ends = np.array([(word.start, word.end) for word in words], np.int64).reshape(-1, 2).T
    return touched(starts, ends, merged(protect(text)))


def _chunk(
    id: str,
    domain: str,
    text: str,
    words: Sequence[Word],
    rows: Floats,
    places: Sequence[Sequence[tuple[int, int]]],
    locked: Mask,
    count: Count,
    first: int,
) -> Chunk:
    last = min(first + CHUNK, len(words))
    texts = tuple(text[word.start : word.end] for word in words[first:last])
    inside = [[(a - first, b - first) for a, b in one if first <= a and b <= last] for one in places]
    return Chunk(
        id,
        domain,
        texts,
        rows[first:last],
        np.fromiter((count(word) for word in texts), np.int64, len(texts)),
        Places.of(inside),
        locked[first:last],
    )


def select(scores: Floats, costs: NDArray[np.int64], budget: float, locked: Mask | None = None) -> Mask:
    """The locked words and the best others [T] whose tokens stay within the budget, a share of all tokens."""
    kept = np.zeros(len(scores), np.bool_) if locked is None else locked.copy()
    room = budget * costs.sum() - costs[kept].sum()
    order = np.argsort(-scores, kind="stable")
    order = order[~kept[order]]
    kept[order[np.cumsum(costs[order]) <= room]] = True
    return kept


def frequencies(chunks: Iterable[Chunk]) -> Mapping[str, float]:
    """Bits to guess each word of these chunks by its frequency alone; `""` is a word that is not in them."""
    counts = Counter(word.lower() for chunk in chunks for word in chunk.words)
    total = sum(counts.values()) + 1
    return {"": math.log2(total), **{word: math.log2(total / count) for word, count in counts.items()}}


def bits_of(chunk: Chunk, table: Mapping[str, float]) -> Floats:
    """How hard each word is to guess [T], after `frequencies`."""
    return np.array([table.get(word.lower(), table[""]) for word in chunk.words], np.float32)
