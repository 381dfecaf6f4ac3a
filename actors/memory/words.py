"""Words of a text and their stems, as ranking compares them. Knows no index and no language model."""

import re
from dataclasses import dataclass
from functools import lru_cache

_STOP = """
    a an the of in on at to for from by with without into onto upon about as is are was were be been being am
    do does did done has have had having can could will would shall should may might must not no nor it its
    itself he him his she her hers they them their theirs this that these those there here and or but if then
    than so such also any some all each both either own same other another i me my we us our you your one
    what which who whom whose when where why how s t
"""
STOP_WORDS = frozenset(_STOP.split())
_COUNTING = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds
    thousand thousands million millions billion billions dozen dozens half third quarter percent
    double twice once
"""
_NUMBERS = frozenset(_COUNTING.split())
_MONTHS_AND_DAYS = """
    january february march april may june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday bc bce ad ce
"""
_CALENDAR = frozenset(_MONTHS_AND_DAYS.split())
_DATES = frozenset(["century", "centuries", "decade", "decades", "spring", "summer", "autumn", "winter"])
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*[^\W_]*|[^\W\d_]+(?:\d[^\W_]*|['’][^\W\d_]+)?")
"""A code such as `BA117` is one word, as it is to the full-text index."""
_SUFFIXES = (
    ("ational", "at"), ("ization", "iz"), ("isation", "iz"), ("fulness", ""), ("iveness", "iv"),
    ("ations", "at"), ("ation", "at"), ("ators", "at"), ("ator", "at"), ("ating", "at"), ("ated", "at"),
    ("ates", "at"), ("ate", "at"), ("ments", ""), ("ment", ""), ("ities", ""), ("ity", ""), ("ously", "ous"),
    ("izing", "iz"), ("ising", "iz"), ("ized", "iz"), ("ised", "iz"), ("izes", "iz"), ("ises", "iz"),
    ("ions", ""), ("ion", ""), ("ances", ""), ("ance", ""), ("ences", ""), ("ence", ""), ("ants", ""),
    ("ant", ""), ("ents", ""), ("ent", ""), ("ively", "iv"), ("ives", "iv"), ("ive", "iv"), ("ically", "ic"),
    ("ical", "ic"), ("ingly", ""), ("ings", ""), ("ing", ""), ("edly", ""), ("ied", "i"), ("ies", "i"), 
    ("ics", ""), ("ic", ""),
    ("ers", ""), ("ors", ""), ("er", ""), ("or", ""), ("ed", ""), ("ness", ""), ("ly", ""), ("ous", ""),
    ("al", ""), ("es", ""), ("s", ""), ("e", ""),
)  # fmt: skip
_BY_LETTER = {
    letter: tuple(one for one in _SUFFIXES if one[0][-1] == letter)
    for letter in {suffix[-1] for suffix, _ in _SUFFIXES}
}
"""Endings by their last letter, in order."""
_INFLECTIONS = {"s": 3, "es": 2, "ed": 2, "ing": 2, "ings": 2, "e": 2, "ies": 2, "ied": 2}
"""Endings that a short word takes too, and how much must be left of it; other endings leave four letters."""
_SHORTEST_WORD = 3


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """A word as written, seen as ranking sees it; the same object for every time it is written."""

    normal: str
    stem: str
    stop: bool
    capital: bool
    number: bool
    date: bool


def words_of(text: str) -> list[Word]:
    """Every word and number of a text, in order."""
    return [look_up(written) for written in _TOKEN.findall(text)]


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers of a text in order; "Tesla's" is "tesla", "1,000" is "1000"."""
    return [word.normal for word in words_of(text)]


@lru_cache(maxsize=65536)
def look_up(written: str) -> Word:
    """What there is to know of a word by itself."""
    plain = normal(written)
    capital = written[0].isupper()
    year = len(plain) == 4 and plain.isdigit() and plain[0] in "12"
    named = plain in _DATES or (capital and plain in _CALENDAR)
    return Word(
        normal=plain,
        stem=stem(plain),
        stop=plain in STOP_WORDS and not (capital and plain in _CALENDAR),
        capital=capital,
        number=written[0].isdigit() or plain in _NUMBERS,
        date=year or named or (written[0].isdigit() and written.endswith("0s")),
    )


def normal(word: str) -> str:
    """A word as it is compared: lower case, no possessive, no digit grouping."""
    word = word.lower()
    if word[0].isdigit():
        return word.replace(",", "").removesuffix("s")
    return word.split("'")[0].split("’")[0]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The part of a normal word that its forms share (`founded`, `founder`, `founding` → `found`)."""
    if not word.isalpha() or len(word) < _SHORTEST_WORD:
        return word
    for suffix, replacement in _BY_LETTER.get(word[-1], ()):
        if word.endswith(suffix) and _can_stand(word[: -len(suffix)] + replacement, suffix):
            if suffix == "s" and word.endswith(("ss", "us", "is")):
                break
            word = word[: -len(suffix)] + replacement
            break
    if len(word) > _SHORTEST_WORD and word[-1] == word[-2] and word[-1] not in "lsz":
        return word[:-1]
    return word[:-1] if len(word) > _SHORTEST_WORD and word[-1] in "iy" else word


def _can_stand(stem: str, suffix: str) -> bool:
    shortest = _INFLECTIONS.get(suffix, 4)
    return len(stem) >= shortest and any(letter in "aeiouy" for letter in stem)
