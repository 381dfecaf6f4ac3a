"""What a memory's wording tells of its use as evidence, whatever it is about (English). Knows no weights."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from actors.memory.words import stem, words_of

CUES = (
    *("asks", "question", "time", "when_time", "number", "first_person", "past", "thanks"),
    *("kin", "pair"),
)
READ_TEXTS = 20_000
"""Texts whose wording is kept at hand: reading one anew costs about as much as all else done with it."""
PREFIX = 4
"""Letters that two words must share to count as kin."""
_TIME_WORDS = """
    yesterday today tonight tomorrow last next ago week weekend month year day morning evening afternoon night
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december recently soon since summer winter spring fall autumn birthday
    anniversary holiday christmas
"""
_NUMBER_WORDS = "one two three four five six seven eight nine ten twice once couple several dozen"
_PAST_WORDS = """
    went had was were did got took made bought found saw came gave won met left began been done ate ran wrote
    read felt told lost built taught brought thought knew kept held spent sent chose grew
"""
_TIMES = frozenset(_TIME_WORDS.split())
_NUMBERS = frozenset(_NUMBER_WORDS.split())
_PAST = frozenset(_PAST_WORDS.split())
_FIRST_PERSON = frozenset(["i", "my", "me", "we", "our", "us", "mine", "myself"])
_ASKS_WHEN = re.compile(
    r"\b(?:when|(?:what|which) (?:date|day|month|year|time)|how (?:long|often)"
    r"|how many (?:days|weeks|months|years))\b",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(r"\bhow (?:many|much)\b", re.IGNORECASE)
_THANKS = re.compile(
    r"\s*(?:thanks|thank you|wow|that's (?:great|awesome|amazing|cool)|sounds|awesome|cool|great|congrats"
    r"|nice|yeah|yep|absolutely|definitely)\b",
    re.IGNORECASE,
)
_FEW = 3
_TIME, _NUMBER, _PAST_TENSE, _OF_ME = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question asks of the wording: its kind, and its words' stems two by two."""

    when: bool
    number: bool
    pairs: tuple[tuple[str, str], ...]
    prefixes: frozenset[str]


def wanted(question: str, terms: Sequence[str]) -> Wanted:
    """Read from a question and its content words."""
    stems = tuple(stem(term) for term in terms)
    prefixes = frozenset(one[:PREFIX] for one in stems if len(one) >= PREFIX)
    return Wanted(
        when=_ASKS_WHEN.search(question) is not None,
        number=_ASKS_NUMBER.search(question) is not None,
        pairs=tuple(pairwise(stems)),
        prefixes=prefixes,
    )


@dataclass(frozen=True, slots=True)
class Wording:
    """A text as it is compared with a question: its content words (stem → word), and kinds of words."""

    words: dict[str, str]
    prefixes: frozenset[str]
    asks: bool
    question: bool
    time: bool
    number: bool
    past: bool
    thanks: bool
    of_me: float
    """Words of the first person, up to a few: 0 to 1."""


@lru_cache(maxsize=READ_TEXTS)
def wording(text: str) -> Wording:
    """Read a text once; what is returned is shared, so nobody writes to it."""
    held: dict[str, str] = {}
    kinds, of_me = 0, 0
    for word in words_of(text):
        kind = _kind(word.normal)
        kinds |= kind
        of_me += kind >= _OF_ME
        if not word.stop:
            held[word.stem] = word.normal
    return Wording(
        words=held,
        prefixes=frozenset(one[:PREFIX] for one in held),
        asks=asks(text),
        question="?" in text,
        time=bool(kinds & _TIME),
        number=bool(kinds & _NUMBER),
        past=bool(kinds & _PAST_TENSE),
        thanks=_THANKS.match(text) is not None,
        of_me=min(_FEW, of_me) / _FEW,
    )


def let_go() -> None:
    """Keep no text at hand: some were forgotten."""
    wording.cache_clear()


def asks(text: str) -> bool:
    """Whether a turn hands over with a question."""
    return text.rstrip().endswith("?")


def cues(said: Wording, want: Wanted) -> tuple[float, ...]:
    """The values of CUES, each 0 to 1.

    kin: share of the question's words that the text has by their first letters; pair: share of its pairs of
    neighbouring words of which the text has both.
    """
    words = said.words
    return (
        said.asks,
        said.question,
        said.time,
        said.time and want.when,
        said.number and want.number,
        said.of_me,
        said.past,
        said.thanks,
        len(want.prefixes & said.prefixes) / max(1, len(want.prefixes)),
        sum([a in words and b in words for a, b in want.pairs]) / max(1, len(want.pairs)),
    )


@lru_cache(maxsize=65536)
def _kind(word: str) -> int:
    """The kinds of a normal word, as bits."""
    year = len(word) == 4 and word.isdecimal()
    return (
        _TIME * (word in _TIMES or year)
        + _NUMBER * (word in _NUMBERS or word.isdecimal())
        + _PAST_TENSE * (word in _PAST or (len(word) > 3 and word.endswith("ed")))
        + _OF_ME * (word in _FIRST_PERSON)
    )
