"""Takes what is likeliest to answer a question from several texts into one room. Knows no store.

Legend: U units, the sentences of all texts; none cuts what is protected.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log1p

import numpy as np
from numpy.typing import NDArray

from actors.compression.asking import favoured
from actors.compression.layout import Layout, Mask, Numbers, join, lay_out
from actors.compression.protect import merged
from actors.compression.selection import select
from actors.compression.shortening import Shortener
from actors.compression.words import Word, split
from actors.memory.ranking import stems_of
from actors.memory.sentences import sentences
from actors.memory.words import words_of

Floats = NDArray[np.float64]

FIRST, DEPTH, ASKED = -3.41, -2.09, 5.07
"""Log-odds that a sentence holds the answer: in the best text, less for each e-fold of the tokens before its
text, and more with the share of the question's words in it, rare ones counting more.

Fitted on the articles that the shipped policy was trained on.
"""
STEP = 100
"""Tokens before a text that count as little as none."""
LEAST = 8
"""Tokens of room that are worth a part of a sentence."""
CUTS = 8
"""Sentences too long for what is left that are tried in part."""


@dataclass(frozen=True)
class Part:
    """What is left of one text; empty where nothing is."""

    text: str
    kept: tuple[tuple[int, int], ...]
    """Places of the original that the text is made of, in order, each in it byte for byte."""
    tokens_before: int
    tokens_after: int
    words: tuple[Word, ...]
    mask: Mask
    """Which words were kept [words]."""
    protected: int
    """Protected places of the original; one whose sentence is kept is whole."""


def gather(
    shortener: Shortener,
    texts: Sequence[str],
    stored: Sequence[bytes | None],
    question: str,
    room: int,
    between: int = 0,
) -> list[Part]:
    """What fits `room` tokens of texts that come best first, each with `between` more tokens around it.

    Whole sentences, those first that most likely hold the answer for their length: nearly all of the best
    texts, and of later ones what is near to the question. The last bit of room goes to the words of one more
    sentence. Never more than `room`; what is protected is whole or away with its sentence. `stored` are the
    keep-scores beside the texts. Raises InvalidRequest if those are of another text.
    """
    if not texts:
        return []
    pieces = [_Piece(shortener, text, scores) for text, scores in zip(texts, stored, strict=True)]
    worth_U = _worth(pieces, question)
    owners = [(piece, unit) for piece in pieces for unit in range(len(piece.tokens))]
    filling = _Room(pieces, room, between)
    for number in np.argsort(-worth_U, kind="stable").tolist():
        piece, unit = owners[number]
        filling.offer(piece, unit, question)
    filling.settle()
    return [piece.made() for piece in pieces]


class _Room:
    """Fills the room: by estimates as long as sentences fit by these, by exact counts from then on."""

    def __init__(self, pieces: Sequence["_Piece"], room: int, between: int) -> None:
        self._pieces, self._room, self._between = pieces, room, between
        self._left, self._cuts, self._exact = room, 0, False
        self._taken: list[tuple[_Piece, Mask]] = []

    def offer(self, piece: "_Piece", unit: int, question: str) -> None:
        """Take a sentence if it fits, or such words of it as do where little room is left."""
        around, mask = 0 if piece.mask.any() else self._between, piece.of == unit
        if not self._exact and piece.tokens[unit] + around > self._left:
            self.settle()
        tokens = piece.added(mask) if self._exact and piece.tokens[unit] <= self._left else piece.tokens[unit]
        if tokens + around > self._left:
            if self._left < LEAST + around or self._cuts == CUTS:
                return
            self._cuts += 1
            mask = piece.part(unit, question, self._left - around)
            tokens = piece.added(mask)
        if mask.any():
            piece.mask |= mask
            self._taken.append((piece, mask))
            self._left -= int(tokens) + around

    def settle(self) -> None:
        """Count what was taken, and give back what came last where that is too much."""
        self._exact = True
        while (left := self._room - self._used()) < 0 and self._taken:
            piece, mask = self._taken.pop()
            piece.mask &= ~mask
        self._left = left

    def _used(self) -> int:
        return sum(piece.count(piece.mask) + self._between for piece in self._pieces if piece.mask.any())


class _Piece:
    """One text, its sentences, and which of its words are taken."""

    def __init__(self, shortener: Shortener, text: str, stored: bytes | None) -> None:
        self.text = text
        self.words = split(text)
        self._shortener, self._stored = shortener, stored
        self.spans = shortener.protected(text)
        places = merged(self.spans)
        starts = shortener.counter.starts(text)
        self.layout: Layout = lay_out(text, self.words, places, starts)
        borders = self._borders(places) if len(starts) > shortener.least_tokens else []
        ends = [0, *borders, len(text)]
        self.units = [text[begin:end] for begin, end in pairwise(ends)]
        self.of: Numbers = np.searchsorted(borders, [word.start for word in self.words], side="right")
        self.tokens: Numbers = np.bincount(
            self.of, self.layout.costs + self.layout.gaps, minlength=len(borders) + 1
        ).astype(np.int64)
        self.mask: Mask = np.zeros(len(self.words), bool)
        self._counted: dict[bytes, int] = {}

    def _borders(self, protected: Sequence[tuple[int, int]]) -> list[int]:
        """Where its second and later sentences begin, but for places within what is protected."""
        return [
            start
            for start, _ in sentences(self.text)[1:]
            if not any(first < start < last for first, last in protected)
        ]

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        return self._shortener.word_scores(self.text, self.words, self._stored)

    def joined(self, mask: Mask) -> tuple[str, tuple[tuple[int, int], ...]]:
        if self.words and mask.all():
            return self.text, ((0, len(self.text)),)
        return join(self.layout, mask)

    def count(self, mask: Mask) -> int:
        """Tokens of the text that the words in `mask` make."""
        key = mask.tobytes()
        if key not in self._counted:
            self._counted[key] = self._shortener.counter.count(self.joined(mask)[0])
        return self._counted[key]

    def added(self, mask: Mask) -> int:
        """Tokens that more words make beside those taken."""
        return self.count(self.mask | mask) - self.count(self.mask)

    def part(self, unit: int, question: str, room: int) -> Mask:
        """The words of a sentence that fit `room` tokens beside those taken; none where that cannot be."""
        inside = np.flatnonzero(self.of == unit)
        begin, end = self.words[inside[0]].start, self.words[inside[-1]].end
        words = [Word(self.words[at].start - begin, self.words[at].end - begin) for at in inside]
        places = [
            (max(0, span_begin - begin), min(end, span_end) - begin)
            for span_begin, span_end in merged(self.spans)
            if span_begin < end and begin < span_end
        ]
        text = self.text[begin:end]
        scores = favoured(self.text, self.words, self.scores, question)[inside]
        found = select(text, words, scores, places, room / int(self.tokens[unit]), self._shortener.counter)
        mask = np.zeros(len(self.words), bool)
        mask[inside] = found.mask & (not found.over_budget)
        words_left = [at for at in inside[np.argsort(scores)] if mask[at] and not self.layout.locked[at]]
        while mask.any() and self.added(mask) > room:
            if not words_left:
                return np.zeros(len(self.words), bool)
            mask[words_left.pop(0)] = False
        return mask

    def made(self) -> Part:
        """What is left."""
        text, kept = self.joined(self.mask)
        before = self.layout.tokens
        after = self.count(self.mask)
        return Part(text, kept, before, after, tuple(self.words), self.mask, len(self.spans))


def _worth(pieces: Sequence[_Piece], question: str) -> Floats:
    """The logarithm of the chance that a sentence holds the answer, for each of its tokens [U]."""
    asked = {word.stem for word in words_of(question) if not word.stop}
    said = [stems_of(text) & asked for piece in pieces for text in piece.units]
    known = Counter(stem for stems in said for stem in stems)
    rarity = {stem: log1p(len(said) / (1 + times)) for stem, times in known.items()}
    whole = sum(rarity.values()) or 1.0
    asked_U = np.array([sum(rarity[stem] for stem in stems) / whole for stems in said])
    before = np.cumsum([0, *(piece.layout.tokens for piece in pieces)])[:-1]
    counts = [len(piece.tokens) for piece in pieces]
    before_U, tokens_U = np.repeat(before, counts), np.concatenate([piece.tokens for piece in pieces])
    odds_U = FIRST + DEPTH * np.log1p(before_U / STEP) + ASKED * asked_U
    worth: Floats = -np.log1p(np.exp(-odds_U)) - np.log(np.maximum(tokens_U, 1))
    return worth
