"""What can be seen of each word without a language model, as numbers. Knows no weights and no budget."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.compression import lexicon
from actors.compression.words import Word, split

Floats = NDArray[np.float32]

_TRIM = "\"'“”‘’`.,;:!?()[]{}<>*_#|«»…"

_YEAR = re.compile(r"1[0-9]{3}|20[0-9]{2}")
_SYMBOLS = frozenset("%$€£¥°+=/\\@#&^~<>")
_CODE = re.compile(
    r"[{};]\s*$|^\s*(def|class|import|from|return|for|if|const|let|var|func|fn)\b|\w\(|^\s{4}|=>|->|::"
)
_ITEM = re.compile(r"\s*([-*+•]|\d{1,3}[.)])\s")
_BITS = 22.0
"""Surprisal that counts as one."""

SURFACE = (
    "capital",
    "all_capitals",
    "inner_capital",
    "digit",
    "number",
    "year",
    "digits",
    "length",
    "short",
    "long",
    "opens",
    "comma",
    "full_stop",
    "closes",
    "quotes",
    "joined",
    "punctuation",
    "symbol",
    "foreign",
    "of",
    "the",
    "to",
    "vowel_poor",
    *(f"class_{number}" for number in range(len(lexicon.CLASSES))),
    "content",
    *(f"suffix_{number}" for number in range(len(lexicon.SUFFIXES))),
)
"""What a word's own characters say."""
PLACE = (
    "name_inside_sentence",
    "first_of_sentence",
    "from_sentence_start",
    "to_sentence_end",
    "position",
    "first_sentence",
    "first_of_line",
    "line_length",
    "first_line",
    "item",
    "table",
    "code",
    "speaker",
    "parenthesis",
    "quotation",
    "count",
    "first_mention",
    "since_last",
    "text_length",
)
"""What its place in the text says."""
ASKED = ("asked", "in_question", "near_question", "has_surprisal", "surprisal")
"""What a question and a language model say, where there are any."""

NAMES = (*SURFACE, *PLACE, *ASKED)
WIDTH = len(NAMES)
"""Numbers in the row of one word."""


class _Form(NamedTuple):
    row: bytes
    stem: str
    ends: bool
    depth: int
    marks: int
    content: bool


def features(
    text: str, words: Sequence[Word], question: str | None = None, surprisal: Floats | None = None
) -> Floats:
    """One row of `NAMES` for each word [words, WIDTH]; the columns of what is not given are zero.

    `surprisal` [words] is the bits that a language model needs for each word. Raises ValueError if it
    has another length.
    """
    if surprisal is not None and len(surprisal) != len(words):
        raise ValueError(f"{len(surprisal)} surprisals for {len(words)} words")
    rows = np.zeros((len(words), WIDTH), np.float32)
    if not words:
        return rows
    forms = [_form(text[word.start : word.end]) for word in words]
    rows[:, : len(SURFACE)] = np.frombuffer(b"".join([form.row for form in forms]), np.float32).reshape(
        len(words), len(SURFACE)
    )
    places = slice(len(SURFACE), len(SURFACE) + len(PLACE))
    rows[:, places] = np.stack(_places(text, words, forms, rows[:, 0]), axis=1)
    asked = len(SURFACE) + len(PLACE)
    if question is not None:
        rows[:, asked : asked + 3] = _overlap(forms, question)
    if surprisal is not None:
        rows[:, asked + 3] = 1
        rows[:, asked + 4] = np.asarray(surprisal, np.float32) / _BITS
    return rows


def _places(text: str, words: Sequence[Word], forms: Sequence[_Form], capital: Floats) -> list[Floats]:
    count = len(words)
    at = np.arange(count)
    ends = np.fromiter((form.ends for form in forms), bool, count)
    lines, line_columns = _lines(text, words)
    line_start = np.concatenate(([True], lines[1:] != lines[:-1]))
    starts = np.concatenate(([True], ends[:-1])) | line_start
    begin = np.maximum.accumulate(np.where(starts, at, 0))
    stops = np.concatenate((starts[1:], [True]))
    last = np.minimum.accumulate(np.where(stops, at, count)[::-1])[::-1]
    depth = np.cumsum(np.fromiter((form.depth for form in forms), np.int64, count))
    marks = np.cumsum(np.fromiter((form.marks for form in forms), np.int64, count))
    return [
        _floats(capital * ~starts),
        _floats(starts),
        _floats(np.log1p(at - begin) / 4),
        _floats(np.log1p(last - at) / 4),
        _floats(at / count),
        _floats(begin == 0),
        _floats(line_start),
        *line_columns,
        _floats((depth > 0) | (np.diff(depth, prepend=0) < 0)),
        _floats((marks % 2 == 1) | (np.diff(marks, prepend=0) > 0)),
        *_repetition(forms),
        np.full(count, np.log(count) / 8, np.float32),
    ]


def _lines(text: str, words: Sequence[Word]) -> tuple[NDArray[np.int64], list[Floats]]:
    """Each word's line number, and columns of what its line is like."""
    starts = np.fromiter((word.start for word in words), np.int64, len(words))
    texts = text.split("\n")
    borders = np.cumsum([len(line) + 1 for line in texts])
    lines = np.searchsorted(borders, starts, side="right")
    counts = np.bincount(lines, minlength=len(texts))
    kinds = np.array([_line_kind(line) for line in texts], np.float32)
    return lines, [
        _floats(np.log1p(counts)[lines] / 5),
        _floats(lines == lines[0]),
        *kinds[lines].T,
    ]


def _line_kind(line: str) -> tuple[bool, bool, bool, bool]:
    return (
        _ITEM.match(line) is not None,
        line.count("|") >= 2 or line.count("\t") >= 2 or line.count(",") >= 3 * max(1, line.count(" ")),
        _CODE.search(line) is not None and not line.rstrip().endswith("."),
        0 < line.find(":") < 24,
    )


def _repetition(forms: Sequence[_Form]) -> list[Floats]:
    """How often a word's stem is in the text, whether this is the first one, how far the last one is."""
    numbers: dict[str, int] = {}
    ids = np.fromiter((numbers.setdefault(form.stem, len(numbers)) for form in forms), np.int64, len(forms))
    content = np.fromiter((form.content for form in forms), bool, len(forms))
    counts = np.bincount(ids)[ids]
    order = np.argsort(ids, kind="stable")
    since = np.zeros(len(forms), np.int64)
    same = ids[order][1:] == ids[order][:-1]
    since[order[1:]] = np.where(same, np.diff(order), 0)
    return [
        _floats(np.where(content, np.log(counts) / 2, 0)),
        _floats(content & (since == 0) & (counts > 1)),
        _floats(np.where(since > 0, 1 / np.sqrt(np.maximum(since, 1)), 0)),
    ]


def asked_words(text: str, words: Sequence[Word], question: str) -> Floats:
    """1 for each word that says something and is in the question, whatever its ending; else 0 [words]."""
    return _asked([_form(text[word.start : word.end]) for word in words], question)


def _asked(forms: Sequence[_Form], question: str) -> Floats:
    asked = {form.stem for form in map(_form, _texts(question)) if form.content}
    return np.fromiter((form.content and form.stem in asked for form in forms), np.float32, len(forms))


def _overlap(forms: Sequence[_Form], question: str) -> Floats:
    """Whether something is asked, whether each word is in the question, and whether it stands near one."""
    hit = _asked(forms, question)
    near = np.convolve(hit, np.ones(9, np.float32), mode="full")[4 : 4 + len(forms)]
    return np.stack([np.ones(len(forms), np.float32), hit, np.minimum(near / 3, 1)], axis=1)


def _texts(text: str) -> list[str]:
    return [text[word.start : word.end] for word in split(text)]


def _floats(values: NDArray[np.generic]) -> Floats:
    return values.astype(np.float32)


@lru_cache(maxsize=1 << 16)
def _form(word: str) -> _Form:
    core = word.strip(_TRIM)
    lower = core.lower()
    content = bool(lower) and lower not in lexicon.STOP_WORDS
    closed = word.rstrip("\"'”’)]*_")
    abbreviated = lower in lexicon.ABBREVIATIONS or (len(core) == 1 and core.isupper())
    return _Form(
        row=np.array(_surface(word, core, lower, content), np.float32).tobytes(),
        stem=_stem(lower) or word,
        ends=closed[-1:] in set(".!?") and not (closed[-1:] == "." and abbreviated),
        depth=word.count("(") - word.count(")"),
        marks=word.count('"') + word.count("“") + word.count("”"),
        content=content,
    )


def _surface(word: str, core: str, lower: str, content: bool) -> list[float]:
    letters = sum(map(str.isalpha, core))
    digits = sum(map(str.isdigit, core))
    vowels = sum(letter in "aeiouy" for letter in lower)
    return [
        core[:1].isupper(),
        letters > 1 and core.isupper(),
        any(map(str.isupper, core[1:])) and not core.isupper(),
        digits > 0,
        digits > 0 and letters == 0,
        _YEAR.fullmatch(core) is not None,
        digits / max(1, len(core)),
        np.log1p(len(core)) / 3,
        len(core) <= 3,
        len(core) >= 9,
        word[:1] in set("([{<"),
        word[-1:] == ",",
        word[-1:] in set(".!?"),
        word[-1:] in set(")]}>;:"),
        any(mark in word for mark in '"“”`'),
        any(mark in core for mark in "-_/."),
        not core,
        bool(_SYMBOLS.intersection(word)),
        any(ord(character) > 127 for character in core),
        lower == "of",
        lower == "the",
        lower == "to",
        letters > 2 and vowels * 4 < letters,
        *(lower in words for words in lexicon.CLASSES),
        content,
        *(
            any(lower.endswith(end) and len(lower) > len(end) + 2 for end in ends)
            for ends in lexicon.SUFFIXES
        ),
    ]


def _stem(lower: str) -> str:
    """The word without the commonest endings."""
    word = lower.removesuffix("'s").removesuffix("’s")
    for ending in ("ing", "ies", "ed", "es", "s", "y"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word.removesuffix(ending)
    return word
