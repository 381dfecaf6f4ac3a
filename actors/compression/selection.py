"""Picks the words to keep so that the text made of them has the tokens asked for. Knows no policy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from actors.compression.counting import TokenCounter
from actors.compression.layout import Layout, Mask, Numbers, estimate, join, join_after, lay_out
from actors.compression.words import Word

Floats = NDArray[np.float32]

TOLERANCE = 0.02
"""Share of the text's tokens that the result may be off the budget."""
_STRICTLY = 0.0198
"""What is tried for, so that no rounding spoils it."""
_NEAR = 0.01
"""Share that is near enough to stop at once."""
_ROUNDS = 6
_FILL = 64
_WINDOW = 20
_TRIES = 48


@dataclass(frozen=True)
class Selection:
    """The shorter text and what it is made of."""

    text: str
    kept: tuple[tuple[int, int], ...]
    """Places of the original that the text is made of, in order, each in it byte for byte."""
    mask: Mask
    """Which words are in it [words]."""
    tokens_before: int
    tokens_after: int
    over_budget: bool = False
    """What is protected takes more than the budget: it is kept, and nothing else is."""


def select(
    text: str,
    words: Sequence[Word],
    scores: Floats,
    protected: Sequence[tuple[int, int]],
    budget: float,
    counter: TokenCounter,
    token_starts: Numbers | None = None,
) -> Selection:
    """The protected words and the best of the others, as many as fit `budget` of the text's tokens.

    Tokens are counted in the text as it is joined. A word stands or falls whole; only where no choice of
    whole words comes within TOLERANCE, one is cut. `protected` is sorted and does not overlap; of equal
    scores the earlier word is better. `token_starts` are the counter's, where they are known.
    """
    starts = counter.starts(text) if token_starts is None else token_starts
    layout = lay_out(text, words, protected, starts)
    if budget >= 1 or not words:
        whole = ((0, len(text)),) if text else ()
        return Selection(text, whole, np.ones(len(words), bool), layout.tokens, layout.tokens)
    search = _Search(layout, np.asarray(scores, np.float32), budget * layout.tokens, counter)
    best = search.run()
    over = best.tokens > search.goal + search.tolerance and not (best.mask & ~layout.locked).any()
    return Selection(best.text, best.kept, best.mask, layout.tokens, best.tokens, over)


@dataclass(frozen=True)
class _Try:
    mask: Mask
    text: str
    kept: tuple[tuple[int, int], ...]
    tokens: int


class _Search:
    """The search for one text's words; `best` is the try nearest to the goal so far."""

    def __init__(self, layout: Layout, scores: Floats, goal: float, counter: TokenCounter) -> None:
        self.layout = layout
        self.goal = goal
        self.tolerance = _STRICTLY * layout.tokens
        self.order: Numbers = np.argsort(-scores, kind="stable")
        self.order = self.order[~layout.locked[self.order]]
        self.counter = counter
        self.best: _Try | None = None
        self.tried: set[bytes] = set()

    def run(self) -> _Try:
        """Correct the estimate until it is near; then change single words; then cut one."""
        best = self._corrected()
        stuck = not (best.mask & ~self.layout.locked).any() and best.tokens > self.goal
        if self._is_off(best) and best.mask.all():
            best = self._loosened(best)
        if self._is_off(best) and not stuck:
            best = self._repaired(best)
        if self._is_off(best) and not stuck:
            best = self._cut(best)
        return best

    def _is_off(self, found: _Try) -> bool:
        return abs(found.tokens - self.goal) > self.tolerance

    def _tested(self, layout: Layout, mask: Mask) -> _Try:
        """The text of `mask`, counted; remembered if it is the best so far."""
        return self._counted(mask, *join(layout, mask))

    def _counted(self, mask: Mask, text: str, kept: tuple[tuple[int, int], ...]) -> _Try:
        found = _Try(mask, text, kept, self.counter.count(text))
        if text and (self.best is None or abs(found.tokens - self.goal) < abs(self.best.tokens - self.goal)):
            self.best = found
        return found

    def _corrected(self) -> _Try:
        near = max(0.5, _NEAR * self.layout.tokens)
        aim = self.goal
        for _ in range(_ROUNDS):
            mask = self._fitting(aim)
            key = mask.tobytes()
            if key in self.tried:
                break
            self.tried.add(key)
            found = self._tested(self.layout, mask)
            error = found.tokens - self.goal
            if abs(error) <= near:
                break
            aim -= error
        assert self.best is not None
        return self.best

    def _fitting(self, aim: float) -> Mask:
        """Locked words and as many of the best others as are estimated to fit `aim` tokens; at least one."""
        layout, order = self.layout, self.order
        low, high = 0, len(order)
        while low < high:
            middle = (low + high + 1) // 2
            if estimate(layout, self._first(middle)) <= aim:
                low = middle
            else:
                high = middle - 1
        mask = self._first(low)
        room = aim - estimate(layout, mask)
        for word in order[low : low + _FILL].tolist():
            if room < 1:
                break
            if layout.costs[word] <= room:
                mask[word] = True
                room = aim - estimate(layout, mask)
                if room < 0:
                    mask[word] = False
                    room = aim - estimate(layout, mask)
        if not mask.any():
            mask[order[0]] = True
        return mask

    def _first(self, number: int) -> Mask:
        mask = self.layout.locked.copy()
        mask[self.order[:number]] = True
        return mask

    def _loosened(self, best: _Try) -> _Try:
        """All words are kept and that is too little: leave white space as it was, from the start on."""
        low, high = 0, len(self.layout.text)
        while low < high:
            middle = (low + high + 1) // 2
            found = self._counted(best.mask, *join_after(self.layout, middle))
            if found.tokens <= self.goal:
                low = middle
            else:
                high = middle - 1
        assert self.best is not None
        return self.best

    def _repaired(self, best: _Try) -> _Try:
        """Add, drop or exchange words near the threshold, the likeliest changes first."""
        for _ in range(3):
            for mask in self._changes(best):
                found = self._tested(self.layout, mask)
                if not self._is_off(found):
                    return found
            assert self.best is not None
            if self.best is best:
                break
            best = self.best
        return best

    def _changes(self, best: _Try) -> Iterator[Mask]:
        costs, need = self.layout.costs, self.goal - best.tokens
        kept = [word for word in self.order[::-1].tolist() if best.mask[word]][:_WINDOW]
        left = [word for word in self.order.tolist() if not best.mask[word]][:_WINDOW]
        changes: list[tuple[float, tuple[int, ...]]] = [(abs(need - costs[word]), (word,)) for word in left]
        changes += [(abs(need + costs[word]), (word,)) for word in kept]
        changes += [(abs(need - costs[add] + costs[drop]), (add, drop)) for add in left for drop in kept]
        for _, flipped in sorted(changes, key=lambda change: (change[0], len(change[1])))[:_TRIES]:
            mask = best.mask.copy()
            mask[list(flipped)] ^= True
            if mask.any():
                yield mask

    def _cut(self, best: _Try) -> _Try:
        """Keep only the beginning of one word."""
        for word, end in self._cuts(best):
            mask, ends = best.mask.copy(), self.layout.ends.copy()
            mask[word], ends[word] = True, end
            found = self._tested(replace(self.layout, ends=ends), mask)
            if not self._is_off(found):
                return found
        assert self.best is not None
        return self.best

    def _cuts(self, best: _Try) -> list[tuple[int, int]]:
        """Words and where to cut them, the likeliest first."""
        layout = self.layout
        found: list[tuple[float, int, int]] = []
        for word in self.order[layout.costs[self.order] >= 2][: 4 * _WINDOW].tolist():
            rest = best.tokens - (layout.costs[word] if best.mask[word] else 0)
            inside = (layout.token_starts > layout.begins[word]) & (layout.token_starts < layout.ends[word])
            for number, end in enumerate(np.unique(layout.token_starts[inside]).tolist(), 1):
                found.append((abs(rest + number - self.goal), word, end))
        found.sort(key=lambda one: one[0])
        return [(word, end) for _, word, end in found[:_TRIES]]
