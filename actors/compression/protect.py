"""Finds what is always kept whole: numbers, identifiers, code, quotations, negations. Knows no budget."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import get_args

from actors.compression import patterns
from actors.compression.blocks import code_blocks, lines_of, table_rows
from configs.schema import ProtectKind

KINDS: tuple[ProtectKind, ...] = get_args(ProtectKind)
"""Everything that can be protected."""
QUOTE_CHARACTERS = 100
"""Longest quotation that is protected, unless told otherwise."""
_SHORT = 64
"""Characters of a word whose signs are remembered."""
_WORD = re.compile(r"\S+")
_CLOSERS = ".,;:!?\"'”’»*_"
_PAIRS = {")": "(", "]": "[", "}": "{"}


Places = Iterator[tuple[int, int]]


@dataclass(frozen=True, slots=True, order=True)
class Protected:
    """`text[start:end]` is kept byte for byte, because it is a `kind`."""

    start: int
    end: int
    kind: ProtectKind


def protect(
    text: str, kinds: Collection[ProtectKind] = KINDS, quote_characters: int = QUOTE_CHARACTERS
) -> list[Protected]:
    """What must not change in a text, in order; places of different kinds may overlap. Linear in the text."""
    lines = lines_of(text) if "code" in kinds or "table" in kinds else []
    by_kind: dict[ProtectKind, Places] = {
        "number": _numbers(text),
        "code": chain(code_blocks(lines), _inline_code(text)),
        "table": table_rows(lines),
        "quote": _quotations(text, quote_characters),
    }
    found = {Protected(*place, kind) for kind in kinds if kind in by_kind for place in by_kind[kind]}
    found.update(span for span in _in_words(text) if span.kind in kinds)
    return sorted(found)


def merged(spans: Sequence[Protected]) -> list[tuple[int, int]]:
    """The places of `spans`, sorted; those that overlap have become one."""
    joined: list[tuple[int, int]] = []
    for span in sorted(spans):
        if joined and span.start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], span.end))
        else:
            joined.append((span.start, span.end))
    return joined


def _numbers(text: str) -> Places:
    end = 0
    for match in patterns.NUMBER.finditer(text):
        first = max(end, match.start() - patterns.LONGEST_BEFORE_NUMBER)
        mark = text[first : match.start()].rstrip()[-1:]
        is_marked = mark in patterns.MARKS_BEFORE_NUMBER or mark.isupper()
        before = patterns.BEFORE_NUMBER.search(text, first, match.start()) if is_marked else None
        end = match.end()
        yield before.start() if before else match.start(), end


def _inline_code(text: str) -> Places:
    if "`" in text:
        for pattern in (patterns.INLINE_CODE, patterns.INLINE_CODE_TWICE):
            yield from (match.span() for match in pattern.finditer(text))


def _quotations(text: str, characters: int) -> Places:
    for mark, pattern in patterns.quotations(characters) if characters else ():
        if mark in text:
            yield from (match.span() for match in pattern.finditer(text))


def _in_words(text: str) -> Iterator[Protected]:
    """What can be told from one word, and what begins with a word that can."""
    dated = 0
    for match in _WORD.finditer(text):
        signs = _signs(match[0])
        if not signs:
            continue
        start = match.start()
        for sign in signs:
            first, end = start + sign.start, start + sign.end
            if sign.kind == "negation":
                follow = patterns.NEGATED.match(text, end)
                end = follow.end() if follow else end
            elif sign.kind == "date":
                date = patterns.DATE.match(text, first) if first >= dated else None
                if date is None:
                    continue
                end = dated = date.end()
            yield Protected(first, end, sign.kind)


def _signs(word: str) -> tuple[Protected, ...]:
    """What is in a word without white space, by its places there; of negations and dates the beginning."""
    return _signs_of_short(word) if len(word) <= _SHORT else tuple(_all_signs(word))


@lru_cache(maxsize=1 << 16)
def _signs_of_short(word: str) -> tuple[Protected, ...]:
    return tuple(_all_signs(word))


def _all_signs(word: str) -> Iterator[Protected]:
    for match in patterns.IDENTIFIER.finditer(word):
        yield Protected(*match.span(), "identifier")
    if "@" in word:
        for match in patterns.EMAIL.finditer(word):
            yield Protected(*match.span(), "email")
    for match in patterns.URL.finditer(word):
        yield Protected(match.start(), match.start() + len(_without_closers(match[0])), "url")
    for match in patterns.PATH.finditer(word):
        found = _without_closers(match[0])
        if patterns.is_path(found):
            yield Protected(match.start(), match.start() + len(found), "path")
    for match in patterns.NEGATING.finditer(word):
        yield Protected(*match.span(), "negation")
    dating = patterns.DATING.search(word)
    if dating is not None:
        yield Protected(*dating.span(), "date")


def _without_closers(found: str) -> str:
    """Without the punctuation that belongs to the sentence around it."""
    unopened = {closer: found.count(closer) - found.count(opener) for closer, opener in _PAIRS.items()}
    end = len(found)
    while end:
        last = found[end - 1]
        if unopened.get(last, 0) > 0:
            unopened[last] -= 1
        elif last not in _CLOSERS:
            break
        end -= 1
    return found[:end]
