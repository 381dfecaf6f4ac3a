"""Where sentences begin and end in plain text. Knows no document and no language model."""

import re

Span = tuple[int, int]

_ALWAYS = """
    mr mrs ms dr prof rev fr hon st mt ft gen col lt maj capt sgt cmdr adm gov sen rep pres supt vs e.g i.e cf
    approx ca c nos vol vols fig figs eq ch sec pp p ed eds trans art op cit viz bros dept univ assn est
    jan feb mar apr jun jul aug sep sept oct nov dec
"""
_SOMETIMES = "etc al a.m p.m u.s u.k u.n d.c b.c a.d ph.d m.d b.a m.a inc ltd co corp jr sr no min max"
_STARTING = """
    the a an in on at by for from to it he she they we you i this that these those there his her its their
    but and or as if when while after before during however although since because with one some many most
    all both each other another such
"""
_NEVER_LAST = frozenset(_ALWAYS.split())
_MAYBE_LAST = frozenset(_SOMETIMES.split())
_STARTERS = frozenset(_STARTING.split())
_END = re.compile(
    r"""(?P<wide>[。！？]["”’」』）]*+)"""
    r"""|(?<![.!?…])(?P<marks>[.!?…]++)"""
    r"""(?P<close>["'”’»)\]]*+(?:\[[^\]\n]{1,12}\]|:\d[\d–,-]{0,12})*+)(?=(?P<gap>\s+)|\Z)"""
    r"""|(?P<item>\n(?=[ \t]*(?:[-*+•]|\d{1,3}\.)[ \t]))"""
)
_LAST_TOKEN = re.compile(r"[^\s(\[\"'“‘]+$")
_OPENING = "\"'“‘«([—–-*_¿¡"


def sentences(text: str) -> list[Span]:
    """Spans (start, end) of the sentences of `text`, trimmed of white space, in order, not overlapping.

    Abbreviations, initials, decimals and dotted names do not end a sentence; list items each stand alone.
    """
    spans: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if match.group("marks") is not None and not _ends_sentence(text, start, match):
            continue
        _append(spans, text, start, match.end())
        start = match.end()
    _append(spans, text, start, len(text))
    return spans


def _append(spans: list[Span], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        spans.append((start, end))


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    following = text[match.end() : match.end() + 64].lstrip()
    if not following:
        return True
    gap = match.group("gap") or ""
    if gap.count("\n") > 1:
        return True
    head = following.lstrip(_OPENING)
    if head[:1].islower():
        return False
    if match.group("marks") != "." or match.group("close"):
        return True
    return not _abbreviated(text[max(start, match.start() - 40) : match.start()], head)


def _abbreviated(before: str, after: str) -> bool:
    found = _LAST_TOKEN.search(before)
    if found is None:
        return False
    token = found.group()
    if len(token) == 1 and token.isalpha() and token.isupper():
        return not _starts_new(after)
    word = token.lower()
    dotted = re.fullmatch(r"(?:[a-z]\.)+[a-z]", word) is not None
    if word in _MAYBE_LAST or dotted:
        return not _starts_new(after)
    if word in _NEVER_LAST:
        return True
    return len(token) <= 3 and token.isdigit() and before.strip() == token


def _starts_new(after: str) -> bool:
    word = re.match(r"\w+", after)
    return word is not None and word.group().lower() in _STARTERS
