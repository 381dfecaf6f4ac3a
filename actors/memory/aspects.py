"""What of a text's wording tells whether two texts are of one matter (English). Knows no weights."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from actors.memory.topics import Topics, topics_of
from actors.memory.words import Word, words_of

_MY = frozenset(["i", "my", "me", "we", "our", "us", "mine", "myself", "ours", "ourselves"])
_PEOPLE = """
    sister; brother; sibling; mother mum mom mama mummy; father dad papa daddy; parent; son boy;
    daughter girl; child kid children kids; baby; wife; husband; spouse; partner; girlfriend; boyfriend;
    fiance fiancee; uncle; aunt; niece; nephew; cousin; grandmother grandma granny nana;
    grandfather grandpa grandad granddad; friend mate; roommate flatmate; neighbour neighbor;
    colleague coworker; boss manager; landlord; teacher; team
"""
_KIN = {word: group.split()[0] for group in _PEOPLE.split(";") for word in group.split()}
"""Words for people → one word for all that mean the same."""
_CHANGES, _DENIES, _PASSES, _PLACES, _OF_ME, _DATED, _NUMBERED = 1, 2, 4, 8, 16, 32, 64
_CHANGE_WORDS = """
    now nowadays lately since instead anymore new today became become turned history former formerly left
    quit moved moving swap sold gone got started finished began join joined joining hired broke split lost
    retired closed traded trading isn aren don doesn won swapped
"""
_CHANGE_STEMS = """
    switch chang replac stop drop cancel updat upgrad rais transfer ditch migrat relocat resched postpon
    exchang convert
"""
_DENIAL_WORDS = """
    never not anymore isn aren don doesn didn won wasn weren hasn haven hadn can't quit cancelled canceled
    left sold over off gone forget stopped stop stopping dropped drop
"""
_PASSING_WORDS = """
    today yesterday tonight let again was were said says told talked watched read heard saw thinking dream
    dreamt dreamed
"""
_PLACE_WORDS = "in at to from near into on"
_PHRASES = """
    these days: 1; no longer: 3; no more: 3; any more: 3; any longer: 3; as of: 1; on from: 1; from now: 1;
    going forward: 1; from today: 1; from here: 1; made me: 1; made him: 1; made her: 1; ended up: 1;
    ends up: 1; used to: 1; took over: 1; taken up: 1; taken over: 1; picked up: 1; done with: 3; got rid: 1;
    gave up: 3; given up: 3; put aside: 1; over with: 1; last night: 4; this morning: 4; this afternoon: 4;
    this evening: 4; we should: 4; one day: 4; some point: 4; out of: 8
"""
_UNREAL = re.compile(
    r"\b(?:if|unless|wish|wishes|imagine|suppose|hope|maybe|perhaps|might|would|could|should|dream(?:t|ed)?|"
    r"pretend|wonder(?:ing)?|thinking of|considering|someday|almost|nearly|joking|"
    r"(?:he|she|they|[A-Z]\w+|(?:brother|sister|friend|boss|colleague|neighbou?r)) "
    r"(?:says?|said|thinks?|thought|asked|heard|claims?|claimed))\b",
)
_WHO = re.compile(r"\b(?:who|whom|whose)\b|\bname\b|\bcalled\b", re.IGNORECASE)
_WHEN = re.compile(r"\b(?:when|what time|(?:what|which) (?:day|date|time|month)|date)\b", re.IGNORECASE)
_COUNT = re.compile(r"\bhow (?:much|many|long|old)\b|\bnumber\b|\bcode\b", re.IGNORECASE)
_WHERE = re.compile(r"\b(?:where|(?:what|which) (?:city|town|place|country))\b", re.IGNORECASE)
READ_TEXTS = 5_000
"""Texts whose wording is kept at hand."""
_BEGINNING = 4
"""Letters that two words share to be taken for kin."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A text as it is compared; `passing`: it tells of a moment rather than of how things are."""

    stems: frozenset[str]
    names: frozenset[str]
    kin: frozenset[str]
    beginnings: frozenset[str]
    topics: Topics
    of_me: bool
    dated: bool
    numbered: bool
    length: int
    unreal: bool
    changes: bool
    denies: bool
    passing: bool
    placed: bool


@lru_cache(maxsize=READ_TEXTS)
def worded(text: str, question: bool = False) -> Wording:
    """Read a text's words; a question's first word is no name."""
    words = words_of(text)
    senses = [_sense(word) for word in words]
    stems = frozenset([sense.stem for sense in senses if sense.stem])
    traits = 0
    pairs: Mapping[str, int] | None = None
    for word, sense in zip(words, senses, strict=True):
        traits |= sense.traits
        if pairs is not None:
            traits |= pairs.get(word.normal, 0)
        pairs = sense.pairs
    return Wording(
        stems=stems,
        names=frozenset([sense.name for sense in (senses[1:] if question else senses) if sense.name]),
        kin=frozenset([sense.kin for sense in senses if sense.kin]),
        beginnings=frozenset([stem[:_BEGINNING] for stem in stems if len(stem) >= _BEGINNING]),
        topics=topics_of(words),
        of_me=bool(traits & _OF_ME),
        dated=bool(traits & _DATED),
        numbered=bool(traits & _NUMBERED),
        length=len(words),
        unreal=unreal(text),
        changes=bool(traits & _CHANGES),
        denies=bool(traits & _DENIES),
        passing=bool(traits & _PASSES),
        placed=bool(traits & _PLACES),
    )


def let_go() -> None:
    """Keep no text at hand: some were forgotten."""
    worded.cache_clear()


def unreal(text: str) -> bool:
    """Whether a text asks, wishes, supposes or tells what another said."""
    return text.rstrip().endswith("?") or _UNREAL.search(text) is not None


def fitting(question: str) -> Callable[[Wording], bool] | None:
    """What tells whether a text can hold an answer of the kind asked for; None: any can."""
    for asks, fits in _KINDS:
        if asks.search(question):
            return fits
    return None


def _american(stem: str) -> str:
    """`favour` and `favor` as one."""
    return (
        stem.replace("our", "or") if stem.startswith(("favour", "colour", "flavour", "neighbour")) else stem
    )


class _Sense(NamedTuple):
    """What a word by itself tells; texts are empty where it tells nothing."""

    stem: str
    name: str
    kin: str
    traits: int
    pairs: Mapping[str, int] | None
    """Traits of it and the word that follows."""


@lru_cache(maxsize=65536)
def _sense(word: Word) -> _Sense:
    mine, kin = word.normal in _MY, _KIN.get(word.normal, "")
    named = word.capital and not (word.stop or word.date or mine or kin)
    return _Sense(
        stem="" if word.stop or mine else _american(word.stem),
        name=word.normal if named else "",
        kin=kin,
        traits=_KINDS_OF.get(word.normal, 0)
        | _CHANGES * word.stem.startswith(_CHANGED)
        | _OF_ME * mine
        | _DATED * word.date
        | _NUMBERED * (word.number or word.normal[:1].isdigit()),
        pairs=_KINDS_OF_PAIRS.get(word.normal),
    )


def _kinds_of() -> dict[str, int]:
    """Words and what they tell, as bits."""
    found: dict[str, int] = {}
    told = (
        (_CHANGE_WORDS, _CHANGES),
        (_DENIAL_WORDS, _DENIES),
        (_PASSING_WORDS, _PASSES),
        (_PLACE_WORDS, _PLACES),
    )
    for words, kind in told:
        for word in words.split():
            found[word] = found.get(word, 0) | kind
    return found


def _kinds_of_pairs() -> dict[str, dict[str, int]]:
    """The same of two words, by the first of them."""
    found: dict[str, dict[str, int]] = {}
    for phrase in _PHRASES.split(";"):
        words, _, kinds = phrase.partition(":")
        first, second = words.split()
        found.setdefault(first, {})[second] = int(kinds)
    return found


_KINDS_OF = _kinds_of()
_CHANGED = tuple(_CHANGE_STEMS.split())
_KINDS_OF_PAIRS = _kinds_of_pairs()
_KINDS: tuple[tuple[re.Pattern[str], Callable[[Wording], bool]], ...] = (
    (_WHEN, lambda said: said.dated or said.numbered),
    (_COUNT, lambda said: said.numbered),
    (_WHO, lambda said: bool(said.names)),
    (_WHERE, lambda said: bool(said.names) or said.placed),
)
