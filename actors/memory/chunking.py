"""Cuts a document's text into passages at paragraphs and sentences. Knows no store and no model."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from actors.memory.sentences import Span, sentences
from actors.messages import ChunkText

SMALL_WORDS = 20
"""A block with fewer words joins its neighbour under the same heading."""
HEADED_TYPES = frozenset({"text/markdown", "text/x-markdown", "text/html", "application/xhtml+xml"})
"""Media types whose text marks headings with `#`."""
TITLE_CHARACTERS = 120
"""Longest part of one heading that is kept as context."""

_WIDE = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(f"[{_WIDE}]|[^\\s{_WIDE}]{{1,40}}")
_BLANK = re.compile(r"\n(?:[^\S\n]*\n)+|\f")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+([^\s#].*)$", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    end: int
    heading: str
    heading_span: Span | None
    childless: bool


def chunk(text: str, media_type: str, max_words: int) -> list[ChunkText]:
    """Passages of at most `max_words` words, in order, `text[start:end] == passage.text`.

    Paragraphs stay whole where they fit; longer ones are cut between sentences into parts of like size; a
    sentence is cut only where it alone is too long. In types that mark headings, the path of headings
    above a passage ("Guide > Install") is its `heading`, and no passage crosses one.
    """
    passages: list[ChunkText] = []
    fences = [match.span() for match in _FENCE.finditer(text)] if media_type in HEADED_TYPES else []
    for section in _sections(text, media_type, fences):
        pieces = [piece for block in _blocks(text, section, fences) for piece in _fit(text, block, max_words)]
        if not pieces and section.heading_span is not None and section.childless:
            pieces = list(_fit(text, section.heading_span, max_words))
        for start, end in _join_small(text, pieces, max_words):
            passages.append(ChunkText(start, end, text[start:end], section.heading))
    return passages


def embedding_text(passage: ChunkText, filename: str) -> str:
    """What is embedded for a passage: its place (file and headings) before its text."""
    stem = filename.rsplit("/", 1)[-1].rsplit(".", 1)[0].replace("_", " ").replace("-", " ").strip()
    place = " > ".join(part for part in (stem, passage.heading) if part)
    return f"{place}\n{passage.text}" if place else passage.text


def count_words(text: str) -> int:
    """Words as `chunk` counts them: wide characters, and runs without white space (one per 40 characters)."""
    return sum(1 for _ in _WORD.finditer(text))


def _sections(text: str, media_type: str, fences: list[Span]) -> Iterator[_Section]:
    marks = [
        match
        for match in (_HEADING.finditer(text) if media_type in HEADED_TYPES else ())
        if not _inside(fences, match.start())
    ]
    yield _Section(0, marks[0].start() if marks else len(text), "", None, True)
    path: list[tuple[int, str]] = []
    for index, match in enumerate(marks):
        level = len(match.group(1))
        path = [item for item in path if item[0] < level] + [(level, _title(match.group(2)))]
        following = marks[index + 1] if index + 1 < len(marks) else None
        yield _Section(
            match.end(),
            following.start() if following else len(text),
            " > ".join(title for _, title in path if title),
            match.span(),
            following is None or len(following.group(1)) <= level,
        )


def _title(line: str) -> str:
    return line.rstrip().rstrip("#").rstrip()[:TITLE_CHARACTERS]


def _inside(spans: list[Span], position: int) -> bool:
    index = bisect_right(spans, position, key=lambda span: span[0]) - 1
    return index >= 0 and position < spans[index][1]


def _blocks(text: str, section: _Section, fences: list[Span]) -> Iterator[Span]:
    start = section.start
    for match in _BLANK.finditer(text, section.start, section.end):
        if _inside(fences, match.start()):
            continue
        yield from _trimmed(text, start, match.start())
        start = match.end()
    yield from _trimmed(text, start, section.end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    body = text[start:end]
    stripped = body.strip()
    if stripped:
        offset = start + len(body) - len(body.lstrip())
        yield offset, offset + len(stripped)


def _fit(text: str, block: Span, max_words: int) -> Iterator[Span]:
    total = count_words(text[block[0] : block[1]])
    if total <= max_words:
        yield block
        return
    spans = [(block[0] + low, block[0] + high) for low, high in sentences(text[block[0] : block[1]])]
    units = [piece for span in spans for piece in _cut(text, span, max_words)]
    parts = -(-total // max_words)
    yield from _pack(text, units, max_words, total / parts)


def _cut(text: str, span: Span, max_words: int) -> Iterator[Span]:
    words = [(match.start(), match.end()) for match in _WORD.finditer(text, *span)]
    if len(words) <= max_words:
        yield span
        return
    for first in range(0, len(words), max_words):
        last = min(first + max_words, len(words)) - 1
        yield words[first][0], words[last][1]


def _pack(text: str, units: Iterable[Span], max_words: int, target: float) -> Iterator[Span]:
    """Joins neighbouring units into spans of about `target` words, never above `max_words`."""
    current: Span | None = None
    size = 0
    for start, end in units:
        words = count_words(text[start:end])
        full = size + words > max_words or size + words / 2 > target
        if current is not None and full:
            yield current
            current, size = None, 0
        current = (start if current is None else current[0], end)
        size += words
    if current is not None:
        yield current


def _join_small(text: str, pieces: Iterable[Span], max_words: int) -> Iterator[Span]:
    """Joins a span with fewer than SMALL_WORDS words to the next one where both fit."""
    current: Span | None = None
    size = 0
    for start, end in pieces:
        words = count_words(text[start:end])
        small = min(size, words) < SMALL_WORDS
        if current is not None and not (small and size + words <= max_words):
            yield current
            current, size = None, 0
        current = (start if current is None else current[0], end)
        size += words
    if current is not None:
        yield current
