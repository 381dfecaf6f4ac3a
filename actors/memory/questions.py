"""What a question asks for and with which words. Knows no document, no index and no language model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from actors.memory.words import STOP_WORDS, stem, words_of

Kind = Literal["person", "place", "date", "number", "other"]
"""What an answer looks like: a name, a named place, a time, a quantity, or anything."""

_DATE_NOUNS = frozenset(
    ["year", "years", "date", "day", "month", "century", "decade", "era", "season", "period"]
)
_NUMBER_NOUNS = frozenset(
    ["number", "percentage", "percent", "population", "amount", "age", "rate", "size", "temperature", "cost"]
)
_PERSON_NOUNS = frozenset(
    [
        "person",
        "people",
        "man",
        "woman",
        "king",
        "queen",
        "president",
        "author",
        "scientist",
        "actor",
        "leader",
    ]
)
_PLACE_NOUNS = frozenset(
    [
        "country",
        "city",
        "state",
        "place",
        "location",
        "county",
        "region",
        "town",
        "river",
        "continent",
        "nation",
    ]
)
_WH = re.compile(
    r"\b(who|whom|whose|when|where|why|how|what|which)\b(?:['’]s)?\s*(\w*)\s*(\w*)", re.IGNORECASE
)
_QUANTITY = frozenset(
    ["many", "much", "long", "far", "old", "tall", "large", "big", "often", "high", "deep", "fast", "wide"]
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question's content words, and the kind of answer it wants.

    `weights` maps each content stem to its weight (rarer in the documents: heavier; they add up to 1);
    `pairs` are stems of neighbouring content words, `phrases` of any neighbouring words; `names` the stems
    written with a capital or a digit.
    """

    text: str
    words: tuple[str, ...]
    weights: Mapping[str, float]
    pairs: frozenset[tuple[str, str]]
    phrases: frozenset[tuple[str, str]]
    names: frozenset[str]
    kind: Kind


def content_words(text: str) -> list[str]:
    """Words that say what a text is about, each once, in order; all words where only stop words are there."""
    words = words_of(text)
    told = [word.normal for word in words if not word.stop]
    return list(dict.fromkeys(told or [word.normal for word in words]))


def analyse(text: str, rarity: Mapping[str, float]) -> Question:
    """A question's parts; `rarity` gives each content word's weight (unknown words weigh as the rarest)."""
    words = content_words(text)
    rarest = max(rarity.values(), default=1.0)
    raw: dict[str, float] = {}
    for word in words:
        root = stem(word)
        raw[root] = max(raw.get(root, 0.0), rarity.get(word, rarest))
    total = sum(raw.values()) or 1.0
    written = words_of(text)
    told = [word for word in written if not word.stop]
    return Question(
        text=text,
        words=tuple(words),
        weights={root: weight / total for root, weight in raw.items()},
        pairs=neighbours([word.stem for word in told]),
        phrases=neighbours([word.stem for word in written]),
        names=frozenset(word.stem for word in told if word.capital or word.normal[0].isdigit()),
        kind=_kind(text),
    )


def neighbours(stems: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Pairs of stems that stand next to each other."""
    return frozenset(pairwise(stems))


def _kind(text: str) -> Kind:
    match = _WH.search(text)
    if match is None:
        return "other"
    asked, first, second = (part.lower() for part in match.groups())
    if asked in ("who", "whom", "whose"):
        return "person"
    if asked == "when":
        return "date"
    if asked == "where":
        return "place"
    if asked == "how":
        return "number" if first in _QUANTITY else "other"
    if asked in ("what", "which"):
        return _kind_of_noun(first if first not in STOP_WORDS else second)
    return "other"


def _kind_of_noun(noun: str) -> Kind:
    kinds: tuple[tuple[frozenset[str], Kind], ...] = (
        (_DATE_NOUNS, "date"),
        (_NUMBER_NOUNS, "number"),
        (_PERSON_NOUNS, "person"),
        (_PLACE_NOUNS, "place"),
    )
    return next((kind for nouns, kind in kinds if noun in nouns), "other")
