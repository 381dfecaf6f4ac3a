"""Texts to shorter texts: scores, protected places and selection put together. Knows no process."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.compression.asking import favoured
from actors.compression.counting import TokenCounter
from actors.compression.features import features
from actors.compression.keepscores import REFERENCE_BUDGET, check_length, decode, encode
from actors.compression.layout import Mask, Numbers
from actors.compression.policy import Policy
from actors.compression.protect import KINDS, QUOTE_CHARACTERS, Protected, merged, protect
from actors.compression.selection import select
from actors.compression.words import Word, split
from configs.schema import CompressionSettings, ProtectKind

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shortened:
    """A shorter text, and all that can be said of how it came about."""

    text: str
    kept: tuple[tuple[int, int], ...]
    """Places of the original that the text is made of, in order, each in it byte for byte."""
    tokens_before: int
    tokens_after: int
    over_budget: bool
    """What is protected takes more than the budget: it was kept, and nothing else."""
    words: tuple[Word, ...]
    mask: Mask
    """Which words were kept [words]."""
    scores: Floats
    """Log-odds of keeping each word [words]."""
    protected: tuple[Protected, ...]


def shorten(
    text: str,
    stored: bytes,
    budget: float,
    counter: TokenCounter,
    kinds: Sequence[ProtectKind] = KINDS,
    quote_characters: int = QUOTE_CHARACTERS,
) -> Shortened:
    """A text cut to `budget` by the keep-scores that `Shortener.stored_scores` made of it: no policy runs.

    The same text, scores and budget always give the same result. Raises InvalidRequest if the scores are of
    another text.
    """
    words = split(text)
    check_length(stored, len(words))
    return _shortened(text, words, decode(stored), budget, counter, kinds, quote_characters)


class Shortener:
    """A policy and a way to count tokens, with the settings of what is protected. Safe between threads."""

    def __init__(self, policy: Policy, counter: TokenCounter, settings: CompressionSettings) -> None:
        self._policy = policy
        self.identity = policy.identity
        self._settings = settings
        self.least_tokens = settings.least_tokens
        self.counter = counter

    def stored_scores(self, text: str) -> bytes:
        """One byte for each word of a text, for any question and budget."""
        return encode(self._scores(text, split(text), REFERENCE_BUDGET))

    def shorten(
        self,
        text: str,
        budget: float,
        question: str | None = None,
        stored: bytes | None = None,
        token_starts: Numbers | None = None,
    ) -> Shortened:
        """A text cut to `budget` by `stored` scores, or with its words scored now.

        With a `question` the sentences nearest to it gain. Raises InvalidRequest if the stored scores are
        of another text.
        """
        words = split(text)
        scores = self.word_scores(text, words, stored, budget)
        if question is not None and words:
            scores = favoured(text, words, scores, question)
        kinds, most = self._settings.protect, self._settings.quote_characters
        return _shortened(text, words, scores, budget, self.counter, kinds, most, token_starts)

    def word_scores(
        self, text: str, words: Sequence[Word], stored: bytes | None, budget: float = REFERENCE_BUDGET
    ) -> Floats:
        """Log-odds of keeping each word [words], as `stored` or computed now. Raises InvalidRequest."""
        if stored is None:
            return self._scores(text, words, budget)
        check_length(stored, len(words))
        return decode(stored)

    def protected(self, text: str) -> list[Protected]:
        """The places of a text that are kept whole, as the settings say."""
        return protect(text, self._settings.protect, self._settings.quote_characters)

    def _scores(self, text: str, words: Sequence[Word], budget: float) -> Floats:
        return self._policy.scores(features(text, words), budget)


def _shortened(
    text: str,
    words: Sequence[Word],
    scores: Floats,
    budget: float,
    counter: TokenCounter,
    kinds: Sequence[ProtectKind],
    quote_characters: int,
    token_starts: Numbers | None = None,
) -> Shortened:
    found = protect(text, kinds, quote_characters)
    chosen = select(text, words, scores, merged(found), budget, counter, token_starts)
    return Shortened(
        text=chosen.text,
        kept=chosen.kept,
        tokens_before=chosen.tokens_before,
        tokens_after=chosen.tokens_after,
        over_budget=chosen.over_budget,
        words=tuple(words),
        mask=chosen.mask,
        scores=scores,
        protected=tuple(found),
    )
