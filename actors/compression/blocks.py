"""Finds the lines that must be kept whole: code blocks and rows of tables. Knows no words and no budget."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import eq

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_LIST = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s")
_CODE = re.compile(
    r"[{};]\s*$|\w[(\[]\S*[)\]]|[=!<>+\-*/|&]=|\s[=]\s|=>|->|//|::"
    r"|^\s*(?:def|class|return|import|from|elif|else:|for|while|if|try:|const|let|var|func|fn|async|await|@\w|\$\s|#!?\s?\w)\b.*"
)
_RULE = re.compile(r"[\s|:+=\-]*[-=][\s|:+=\-]*")
_BORDER = re.compile(r"\s*[+┌├└╔╠╚][-+=─┬┼┴┐┤┘═╦╬╩╗╣╝]{3,}\s*")
_GAP = re.compile(r"(?<=\S)(?<![.!?:;] ) {2,}(?=\S)")
_INDENT = 4
_LEAST_CSV = 3


@dataclass(frozen=True, slots=True)
class Line:
    """`text[start:end]` without its line break and the white space before that."""

    start: int
    end: int
    text: str
    indent: int

    @property
    def blank(self) -> bool:
        """Whether there is nothing on it."""
        return not self.text.strip()


def lines_of(text: str) -> list[Line]:
    """The lines of a text."""
    lines = []
    start = 0
    for raw in text.split("\n"):
        body = raw.rstrip()
        opening = body[: len(body) - len(body.lstrip())]
        lines.append(Line(start, start + len(body), body, len(opening.expandtabs(4))))
        start += len(raw) + 1
    return lines


def code_blocks(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Fenced blocks with their fences, and lines of indented code, as places in the text."""
    fenced = list(_fenced(lines))
    taken = {number for first, last in fenced for number in range(first, last + 1)}
    for first, last in fenced:
        yield lines[first].start, lines[last].end
    yield from _indented(lines, taken)


def table_rows(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """Rows of tables with pipes, tabs, commas or aligned columns, as places in the text."""
    rows: set[int] = set()
    for marks, finder in (("|│║+┌╔├└╠╚", _pipes), ("\t", _tabs), (",", _commas), (" ", _columns)):
        if any(mark in line.text for mark in marks for line in lines):
            rows.update(finder(lines))
    for number in sorted(rows):
        line = lines[number]
        yield line.start + len(line.text) - len(line.text.lstrip()), line.end


def _fenced(lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    unclosed: dict[str, int] = {}
    number = 0
    while number < len(lines):
        found = _FENCE.fullmatch(lines[number].text)
        last = None
        if found and len(found[1]) < unclosed.get(found[1][0], 1 << 30):
            last = _closing(lines, number + 1, found[1])
            if last is None:
                unclosed[found[1][0]] = len(found[1])
        if last is not None:
            yield number, last
            number = last
        number += 1


def _closing(lines: Sequence[Line], first: int, fence: str) -> int | None:
    for number in range(first, len(lines)):
        found = lines[number].text.strip()
        if found.startswith(fence) and not found.strip(fence[0]):
            return number
    return None


def _indented(lines: Sequence[Line], taken: set[int]) -> Iterator[tuple[int, int]]:
    """Indented lines that look like code, or stand as a block of their own outside of a list."""
    in_margin = any(line.text and line.indent < _INDENT for line in lines)
    in_list = in_code = False
    after_blank = True
    for number, line in enumerate(lines):
        if line.blank:
            after_blank = True
            continue
        if line.indent < _INDENT or number in taken:
            in_list = _LIST.match(line.text) is not None or (in_list and not after_blank)
            in_code = after_blank = False
            continue
        own_block = in_margin and not in_list and (after_blank or in_code)
        in_code = own_block or _CODE.search(line.text) is not None
        after_blank = False
        if in_code:
            yield line.start, line.end


def _pipes(lines: Sequence[Line]) -> Iterator[int]:
    counts = [line.text.count("|") for line in lines]
    for number, line in enumerate(lines):
        stripped = line.text.strip()
        if _BORDER.fullmatch(line.text) or (counts[number] >= 2 and stripped[:1] in "|│║"):
            yield number
        elif counts[number] and _RULE.fullmatch(stripped):
            yield number
            for near in (number - 1, number + 1):
                if 0 <= near < len(lines) and counts[near]:
                    yield near
        elif any(mark in stripped for mark in "│║") or (
            counts[number] and _near(counts, number, partial(eq, counts[number]))
        ):
            yield number


def _tabs(lines: Sequence[Line]) -> Iterator[int]:
    counts = [line.text.strip().count("\t") for line in lines]
    for number, count in enumerate(counts):
        if count >= 2 or (count and _near(counts, number, lambda other: other > 0)):
            yield number


def _commas(lines: Sequence[Line]) -> Iterator[int]:
    counts = [0 if ", " in line.text else line.text.count(",") for line in lines]
    first = 0
    for number in range(1, len(counts) + 1):
        if number == len(counts) or counts[number] != counts[first]:
            if counts[first] >= 2 and number - first >= _LEAST_CSV:
                yield from range(first, number)
            first = number


def _columns(lines: Sequence[Line]) -> Iterator[int]:
    """Lines whose cells, two or more spaces apart, begin or end where a neighbour's do."""
    before: frozenset[int] = frozenset()
    for number, line in enumerate(lines):
        edges = _edges(line.text) if "  " in line.text else frozenset()
        if edges & before:
            yield from (number - 1, number)
        before = edges


def _edges(line: str) -> frozenset[int]:
    """Where cells begin, and as negative numbers where they end; nothing for a line of one cell."""
    edges = {edge for gap in _GAP.finditer(line) for edge in (gap.end(), -gap.start())}
    return frozenset({*edges, -len(line)} if edges else ())


def _near(counts: Sequence[int], number: int, fits: Callable[[int], bool]) -> bool:
    return any(0 <= near < len(counts) and fits(counts[near]) for near in (number - 1, number + 1))
