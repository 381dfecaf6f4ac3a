"""Where a value ends in a sentence, and what it looks like: a time, a place, a list. Knows no slot."""

import re

_ENDS = re.compile(
    r"""\s*(?:[;()\[\]\n!?"“”]|:\s|\s[—–-]+\s|—|\.{2,}|…|[.](?=\s+[A-Z])"""
    r"""|,?\s(?:because|since|as\sof|starting|effective|so\sthat|so|but|although|though|even\sthough"""
    r"""|and\s(?:I|my|we|our|it|that|this|now|the|he|she|they|his|her|their|not|am|have|also|been|so|then|"
    r"will|was|is|had)\b"""
    r"""|when|while|whenever|unless|until|till|if|which|where|who|whose|instead|rather\sthan|as\swell"""
    r"""|these\sdays|now|nowadays|at\sthe\smoment|at\spresent|right\snow|for\snow|currently|anymore|again"""
    r"""|by\sthe\sway|btw|please|going\sforward|from\snow\son|moving\sforward|recently|lately|too|also|"
    r"still|actually|thanks"""
    r"""|haha|lol|already|temporarily|permanently|full[- ]time|part[- ]time|for\sa\sliving|as\sit\shappens"""
    r"""|for\s(?:the\s(?:past|last)|about|over|almost|nearly|\d+|a\s(?:few|couple|while|long|year|month)|"
    r"several|many"""
    r"""|two|three|four|five|six|seven|eight|nine|ten|years|ages|good)\b.*"""
    r"""|a\s(?:few|couple\sof|year|month|week)\s?\w*\sago|\w+\s(?:days?|weeks?|months?|years?)\sago"""
    r"""|(?:last|this)\s(?:week|month|year|spring|summer|autumn|fall|winter|weekend|season|january|"
    r"february|march|april"""
    r"""|may|june|july|august|september|october|november|december|monday|tuesday|wednesday|thursday|"
    r"friday|saturday"""
    r"""|sunday))\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_DAY_ENDS = re.compile(
    r"\s(?:today|yesterday|tomorrow|tonight|next (?:week|month|year|spring|summer|fall|autumn|winter)"
    r"|(?:back )?in (?:19|20)\d\d|in (?:early |late )?(?:january|february|march|april|may|june|july|august"
    r"|september|october|november|december)(?: \d{4})?|on (?:mon|tues|wednes|thurs|fri|satur|sun)day)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:january|february|march|april|june|july|august|"
    r"september"
    r"|october|november|december|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)\b|\bmay \d|\d (?:of )?"
    r"may\b"
    r"|\b\d{1,2}(?:[:.]\d\d)?\s?(?:am|pm|a\.m|p\.m)\b|\b\d{1,2}:\d\d\b|\bnoon\b|\bmidnight\b|\btomorrow\b|"
    r"\btonight\b"
    r"|\bo'?clock\b|\b(?:next|this) (?:week|month|year|weekend|morning|afternoon|evening)\b|\bquarter (?"
    r":past|to)\b"
    r"|\bhalf past\b|\b\d{1,2}(?:st|nd|rd|th)\b|\b\d{4}-\d\d-\d\d\b|\b(?:morning|afternoon|evening)s?\b"
    r"|\b(?:early|mid|late)[- ](?:january|february|march|april|may|june|july|august)|^(?:at )?\d{1,2}$",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"^(?:in|at|on|under|underneath|near|behind|inside|next to|beside|above|below|between|opposite|by|around"
    r"|outside|across from|over at|down in|up in)\s+\S",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"^(?:some|a little|a bit of|basic|fluent|now|still|currently|actually|just|really|definitely|probably|"
    r"called|named|a|an|none other than|"
    r"no other than"
    r"|undoubtedly|always|been|is|to be|officially|simply|over|out|as|that of|at present|,)\s+",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"\s*,\s*(?:and|or|plus)\s+|\s*,\s*|\s+(?:and|or|plus|as well as)\s+|\s*&\s*",
    re.IGNORECASE,
)
_NOT = re.compile(r",?\s+(?:and\s+)?not\s+(?:a\s+|an\s+|the\s+|in\s+)?(.+)$", re.IGNORECASE)
_NOT_BUT = re.compile(r"^(?:not\s+)(.+?),?\s+but\s+(?:rather\s+)?(.+)$", re.IGNORECASE)
_COMMA = re.compile(r",\s*")
_OWN_CLAUSE = re.compile(
    r"^(?:I|my|we|our|it|that|this|he|she|they|so|and|but|not|which|who|where|the|you|thanks|please|just|"
    r"though|if|by|for|as|because|haha|lol|right|ok|okay|actually|since|instead|now|in case|see|there|is|"
    r"are|was|"
    r"remember|don't|do|note)\b",
    re.IGNORECASE,
)
_COMPANY = re.compile(
    r",?\s(?:together\s|along\s)?with\s(?:my|our|his|her|their|the\s(?:kids|children|family|dog|cat)|"
    r"(?:two|three|four|some|other|a\sfew)\s\w+)\b.*$",
    re.IGNORECASE,
)
LONGEST = 12
"""Words of a value; more are a tale, not a value."""


def value_of(text: str, *, time: bool = False, listed: bool = False) -> tuple[str, int]:
    """The value at the beginning of a text, trimmed, and how far it reached; empty where there is none.

    `time` keeps days and dates, `listed` keeps what commas join.
    """
    end = len(text)
    for pattern in (_ENDS,) if time else (_ENDS, _DAY_ENDS):
        found = pattern.search(text, 1 if text[:1].isalnum() else 0)
        if found is not None:
            end = min(end, found.start())
    end = _comma(text[:end], listed)
    value = text[:end].strip(" .,;:'\"*_`")
    while (trimmed := _LEADING.sub("", value)) != value:
        value = trimmed
    return (value, end) if len(value.split()) <= LONGEST else ("", end)


def _comma(text: str, listed: bool) -> int:
    """Where a value ends, by its commas: `Porto, Portugal` and lists go on, a new clause does not."""
    for comma in _COMMA.finditer(text):
        rest = text[comma.end() :]
        part = _COMMA.split(rest)[0].split()
        if not part or _OWN_CLAUSE.match(rest) or len(part) > 4:
            return comma.start()
        if not listed and not all(word[0].isupper() or word[0].isdigit() for word in part):
            return comma.start()
    return len(text)


def corrected(value: str) -> tuple[str, str]:
    """The value that holds and the one denied, of `not A but B` and `B, not A`; else nothing is denied."""
    found = _NOT_BUT.match(value)
    if found is not None:
        return found.group(2).strip(), found.group(1).strip(" ,")
    found = _NOT.search(value)
    if found is not None:
        return value[: found.start()].strip(" ,"), found.group(1).strip(" ,.")
    return value, ""


def listed(value: str) -> list[str]:
    """The values of a list: `peanuts, eggs and milk`."""
    parts = [
        re.sub(r"^(?:both|either|a|an|the|some|to|also|on)\s+", "", part.strip())
        for part in _LIST.split(value)
    ]
    return [part for part in parts if part]


def alone(value: str) -> str:
    """A value without those in whose company it is so: `Porto` of `Porto with my dog`."""
    return _COMPANY.sub("", value)


def is_timed(value: str) -> bool:
    """Whether a value is a time or a day."""
    return _TIME.search(value) is not None


def is_placed(value: str) -> bool:
    """Whether a value says where something is."""
    return _PLACE.match(value) is not None
