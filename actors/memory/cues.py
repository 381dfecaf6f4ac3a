"""What a memory's wording tells of its use as evidence, whatever it is about (English). Knows no weights."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from actors.memory.words import stem, words_of

CUES = (
    "asks",
    "question",
    "time",
    "when_time",
    "number",
    "first_person",
    "past",
    "thanks",
    "kin",
    "pair",
)
PREFIX = 4
"""Letters that two words must share to count as kin."""
_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|week|weekend|month|year|day|morning|evening|afternoon"
    r"|night|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july"
    r"|august|september|october|november|december|recently|soon|since|summer|winter|spring|fall|autumn|\d{4}"
    r"|birthday|anniversary|holiday|christmas)\b",
    re.IGNORECASE,
)
_ASKS_WHEN = re.compile(
    r"\b(?:when|(?:what|which) (?:date|day|month|year|time)|how (?:long|often)"
    r"|how many (?:days|weeks|months|years))\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twice|once|couple|several|dozen)\b",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(r"\bhow (?:many|much)\b", re.IGNORECASE)
_FIRST_PERSON = re.compile(r"\b(?:I|my|me|we|our|us|mine|myself)\b")
_PAST = re.compile(
    r"\b(?:\w+ed|went|had|was|were|did|got|took|made|bought|found|saw|came|gave|won|met|left|began|been|done|ate|ran"
    r"|wrote|read|felt|told|lost|built|taught|brought|thought|knew|kept|held|spent|sent|chose|grew)\b",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"\s*(?:thanks|thank you|wow|that's (?:great|awesome|amazing|cool)|sounds|awesome|cool|great|congrats"
    r"|nice|yeah|yep|absolutely|definitely)\b",
    re.IGNORECASE,
)
_FEW = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question asks of the wording: its kind and its words' stems."""

    when: bool
    number: bool
    stems: tuple[str, ...]
    prefixes: frozenset[str]


def wanted(question: str, terms: Sequence[str]) -> Wanted:
    """Read from a question and its content words."""
    stems = tuple(stem(term) for term in terms)
    prefixes = frozenset(one[:PREFIX] for one in stems if len(one) >= PREFIX)
    return Wanted(bool(_ASKS_WHEN.search(question)), bool(_ASKS_NUMBER.search(question)), stems, prefixes)


def asks(text: str) -> bool:
    """Whether a turn hands over with a question."""
    return text.rstrip().endswith("?")


def words_held(text: str) -> dict[str, str]:
    """The content words of a text: stem → word."""
    return {word.stem: word.normal for word in words_of(text) if not word.stop}


def cues(text: str, held: dict[str, str], want: Wanted) -> tuple[float, ...]:
    """The values of CUES, each 0 to 1; `held` is `words_held(text)`.

    kin: share of the question's words that the text has by their first letters; pair: share of its pairs of
    neighbouring words of which the text has both.
    """
    time = float(bool(_TIME.search(text)))
    pairs = list(pairwise(want.stems))
    kin = want.prefixes & {one[:PREFIX] for one in held} if want.prefixes else ()
    return (
        float(asks(text)),
        float("?" in text),
        time,
        time * want.when,
        float(want.number and bool(_NUMBER.search(text))),
        min(_FEW, len(_FIRST_PERSON.findall(text))) / _FEW,
        float(bool(_PAST.search(text))),
        float(bool(_THANKS.match(text))),
        len(kin) / max(1, len(want.prefixes)),
        sum(a in held and b in held for a, b in pairs) / max(1, len(pairs)),
    )
