"""Questions made by rule: a name, number, date, quotation or noun group is blanked out of its sentence."""

import re
from dataclasses import dataclass
from random import Random

from actors.compression import lexicon
from actors.compression.words import split
from tune.records import Question

BLANK = "____"
WORDS_A_QUESTION = 25
"""A text gets one question for so many words, at least one."""

_NUMBER = re.compile(r"[$€£]?\d[\d,.:/–-]*\d(?:st|nd|rd|th|s|%)?|[$€£]?\d(?:st|nd|rd|th|s|%)?")
_NAME = re.compile(r"(?:[A-Z][\w’'.-]*)(?:\s(?:(?:of|the|de|von|van|and)\s)?[A-Z][\w’'.-]*)*")
_QUOTED = re.compile(r"[\"“`]([^\"”`\n]{2,60})[\"”`]")
_IDENTIFIER = re.compile(r"\b[A-Za-z]+(?:[_./][A-Za-z0-9]+)+\b|--[a-z][a-z-]+\b|\b[A-Z]{2,}(?:_[A-Z]+)+\b")
_CELL = re.compile(r"(?<=\|)\s*([^|\n]{1,40}?)\s*(?=\|)")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_EDGES = " .,;:!?-–'\"`()[]"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """`text[start:end]` could be an answer."""

    start: int
    end: int


def questions(text: str, seed: str) -> tuple[Question, ...]:
    """Questions about a text, the same for the same seed; none where no span could answer."""
    chance = Random(seed)
    kinds = [names(text), numbers(text), noun_groups(text), marked(text)]
    wanted = max(1, len(split(text)) // WORDS_A_QUESTION)
    chosen: list[Span] = []
    while len(chosen) < wanted and any(kinds):
        kind = chance.choice([kind for kind in kinds if kind])
        span = kind.pop(chance.randrange(len(kind)))
        if all(span.end <= other.start or other.end <= span.start for other in chosen):
            chosen.append(span)
    return tuple(_question(text, span) for span in sorted(chosen))


def names(text: str) -> list[Span]:
    """Runs of capitalised words, but for a single one that begins a sentence."""
    found = []
    for match in _NAME.finditer(text):
        before = text[: match.start()].rstrip(" \"'“(*#>-")
        opens = not before or before[-1] in ".!?:\n|"
        if not (opens and " " not in match.group()):
            found.append(_trimmed(text, *match.span()))
    return _long_enough(found)


def numbers(text: str) -> list[Span]:
    """Numbers, with the unit or month that follows or precedes."""
    found = []
    for match in _NUMBER.finditer(text):
        end = match.end()
        unit = re.match(r"\s([A-Za-z%]+)", text[end:])
        if unit and unit.group(1).lower() in lexicon.UNITS | lexicon.CALENDAR:
            end += unit.end()
        found.append(_trimmed(text, match.start(), end))
    return [span for span in found if span.end > span.start]


def noun_groups(text: str) -> list[Span]:
    """One to three words of content between words of grammar."""
    found: list[Span] = []
    run: list[Span] = []
    for word in split(text):
        bare = text[word.start : word.end].strip(_EDGES).lower()
        if bare.isalpha() and bare not in lexicon.STOP_WORDS and not bare.endswith(("ly", "ing", "ed")):
            run.append(Span(word.start, word.end))
        if bare in lexicon.STOP_WORDS or text[word.end - 1 : word.end] in set(".,;:!?)"):
            if 1 <= len(run) <= 3:
                found.append(_trimmed(text, run[0].start, run[-1].end))
            run = []
    return [span for span in _long_enough(found) if "\n" not in text[span.start : span.end]]


def marked(text: str) -> list[Span]:
    """What stands in quotes, looks like an identifier, or fills a cell of a table."""
    found = [_trimmed(text, *match.span(1)) for match in _QUOTED.finditer(text)]
    found += [_trimmed(text, *match.span(1)) for match in _CELL.finditer(text)]
    found += [_trimmed(text, *match.span()) for match in _IDENTIFIER.finditer(text)]
    return _long_enough(found)


def _long_enough(spans: list[Span]) -> list[Span]:
    return [span for span in spans if span.end - span.start >= 3]


def _trimmed(text: str, start: int, end: int) -> Span:
    while start < end and text[start] in _EDGES:
        start += 1
    while end > start and text[end - 1] in _EDGES:
        end -= 1
    return Span(start, end)


def _question(text: str, span: Span) -> Question:
    first, last = 0, len(text)
    for match in _SENTENCE.finditer(text):
        if match.start() <= span.start < match.end():
            first, last = match.start(), max(match.end(), span.end)
            break
    blanked = f"{text[first : span.start]}{BLANK}{text[span.end : last]}"
    return Question(" ".join(blanked.split()), (text[span.start : span.end],))
