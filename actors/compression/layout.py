"""A text's words as arrays, and the text that some of them make. Knows no score and no budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.compression.words import Word

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_SEPARATORS = ("", " ", "\n", "\n\n", "")
_NOTHING, _SPACE, _BREAK, _BLANK, _AS_IT_IS = range(5)


@dataclass(frozen=True)
class Layout:
    """Where N words are, what is before each, and what each costs. All arrays are [N]."""

    text: str
    begins: Numbers
    """First character that is kept with a word: its own, or that of the indentation which is kept with it."""
    ends: Numbers
    lines: Numbers
    paragraphs: Numbers
    runs: Numbers
    """Words of one run have no white space between them."""
    locked: Mask
    """Words that touch a protected place."""
    held: Mask
    """Words before which the white space is kept as it is, where the word before them is kept."""
    costs: Numbers
    """Tokens of a word, with the space before it."""
    gaps: Numbers
    """Tokens of the white space before a word, where that is more than a space."""
    tokens: int
    """Of the whole text."""
    token_starts: Numbers


def lay_out(
    text: str, words: Sequence[Word], protected: Sequence[tuple[int, int]], token_starts: Numbers
) -> Layout:
    """The layout of a text whose protected places are sorted and do not overlap."""
    count = len(words)
    starts = np.fromiter((word.start for word in words), np.int64, count)
    ends = np.fromiter((word.end for word in words), np.int64, count)
    before = np.concatenate(([0], ends[:-1])) if count else starts
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    newlines = np.flatnonzero(codes == ord("\n"))
    lines = np.searchsorted(newlines, starts)
    locked, held, begins = _protected(starts, ends, before, protected)
    of_token = np.searchsorted(ends, token_starts, side="right")
    inside = of_token < count
    of_token, at = of_token[inside], token_starts[inside]
    stops = np.append(token_starts[1:], len(text))[inside]
    is_space = (starts - before == 1) & (codes[np.maximum(starts - 1, 0)] == ord(" ")) if count else locked
    own = (stops > begins[of_token]) | (at >= begins[of_token]) | is_space[of_token]
    costs = np.bincount(of_token[own], minlength=count)
    gaps = np.bincount(of_token[~own], minlength=count)
    return Layout(
        text=text,
        begins=begins,
        ends=ends,
        lines=lines,
        paragraphs=np.cumsum(np.diff(lines, prepend=lines[:1]) > 1),
        runs=np.cumsum(starts > before),
        locked=locked,
        held=held,
        costs=costs + np.where(held, gaps, 0),
        gaps=gaps,
        tokens=len(token_starts),
        token_starts=token_starts,
    )


def touched(starts: Numbers, ends: Numbers, places: Sequence[tuple[int, int]]) -> Mask:
    """Words that share a character with one of the places, which are sorted and do not overlap [N]."""
    if not places:
        return np.zeros(len(starts), bool)
    first_P, last_P = np.array(places, np.int64).T
    near = np.searchsorted(first_P, ends) - 1
    found: Mask = (near >= 0) & (last_P[near] > starts)
    return found


def _protected(
    starts: Numbers, ends: Numbers, before: Numbers, protected: Sequence[tuple[int, int]]
) -> tuple[Mask, Mask, Numbers]:
    """Locked words, held white space, and where each word begins with what is protected before it."""
    begins = starts.copy()
    held = np.zeros(len(starts), bool)
    if not protected or not len(starts):
        return held.copy(), held, begins
    first_P, last_P = np.array(protected, np.int64).T
    locked = touched(starts, ends, protected)
    around = np.searchsorted(first_P, before, side="right") - 1
    held = (around >= 0) & (last_P[around] > starts) & (first_P[around] < before)
    opening = np.searchsorted(first_P, starts, side="right") - 1
    opens = (opening >= 0) & (first_P[opening] >= before) & (last_P[opening] > starts) & ~held
    begins[opens] = np.minimum(starts, first_P[opening])[opens]
    return locked, held, begins


def estimate(layout: Layout, mask: Mask) -> int:
    """Tokens that the words in `mask` make, nearly."""
    kept = np.flatnonzero(mask)
    if not len(kept):
        return 0
    breaks = (np.diff(layout.lines[kept]) > 0) & ~(layout.held[kept[1:]] & (np.diff(kept) == 1))
    return int(layout.costs[kept].sum() + breaks.sum())


def join(layout: Layout, mask: Mask) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The text of the words in `mask`, and the places that it is made of: each is in it byte for byte.

    Words are one space apart, lines one break and paragraphs two; within protected places, and where it is
    held, white space is as it was.
    """
    kept = np.flatnonzero(mask)
    if not len(kept):
        return "", ()
    before, after = kept[:-1], kept[1:]
    neighbours = after == before + 1
    separators = _separators(layout, before, after)
    widths = layout.begins[after] - layout.ends[before]
    same = neighbours & (separators == _AS_IT_IS)
    maybe = np.flatnonzero(neighbours & ~same & (widths == np.array([0, 1, 1, 2, -1])[separators]))
    same[maybe] = [
        layout.text[end:begin] == _SEPARATORS[kind]
        for end, begin, kind in zip(
            layout.ends[before[maybe]], layout.begins[after[maybe]], separators[maybe], strict=True
        )
    ]
    breaks = np.flatnonzero(~same)
    begins = [int(layout.begins[kept[0]]), *layout.begins[after[breaks]].tolist()]
    ends = [*layout.ends[before[breaks]].tolist(), int(layout.ends[kept[-1]])]
    places = tuple(zip(begins, ends, strict=True))
    parts = [layout.text[begins[0] : ends[0]]]
    for (begin, end), kind in zip(places[1:], separators[breaks].tolist(), strict=True):
        parts.append(_SEPARATORS[kind])
        parts.append(layout.text[begin:end])
    return "".join(parts), places


def _separators(layout: Layout, before: Numbers, after: Numbers) -> Numbers:
    """What stands between kept words, as indices of _SEPARATORS or _AS_IT_IS."""
    kinds = np.full(len(after), _SPACE)
    kinds[layout.runs[after] == layout.runs[before]] = _NOTHING
    kinds[layout.lines[after] > layout.lines[before]] = _BREAK
    kinds[layout.paragraphs[after] > layout.paragraphs[before]] = _BLANK
    kinds[(after == before + 1) & layout.held[after]] = _AS_IT_IS
    return kinds


def join_after(layout: Layout, place: int) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The text of all words, with all before `place`, or up to the end of the word there, as it was."""
    count = len(layout.ends)
    next_word = int(np.searchsorted(layout.ends, place, side="right"))
    if next_word < count and layout.begins[next_word] < place:
        place = int(layout.ends[next_word])
        next_word += 1
    if 0 < next_word < count and layout.held[next_word]:
        place = int(layout.begins[next_word])
    rest, places = join(layout, np.arange(count) >= next_word)
    separator = ""
    if 0 < next_word < count and place == layout.ends[next_word - 1]:
        pair = np.array([next_word - 1, next_word])
        separator = _SEPARATORS[_separators(layout, pair[:1], pair[1:])[0]]
    return layout.text[:place] + separator + rest, ((0, place), *places) if place else places
