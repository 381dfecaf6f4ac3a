"""What in a sentence could answer a question: words around nouns, names and numbers. Knows no model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.compression import lexicon

LONGEST = 7
"""Words of an answer at most."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> Mapping[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


PAST = _pairs(
    "became become began begin bent bend bore bear bought buy bound bind broke break brought bring "
    "built build came come caught catch chose choose cost cost created create cut cut dealt deal died die "
    "drew draw drove drive fell fall felt feel fled flee flew fly fought fight found find gave give "
    "got get grew grow held hold hit hit kept keep knew know laid lay led lead left leave lost lose "
    "made make meant mean met meet paid pay put put ran run rose rise said say sang sing sank sink sat sit "
    "saw see sent send set set shot shoot sold sell sought seek spent spend split split spoke speak spread "
    "spread stood stand struck strike taught teach told tell took take thought think threw throw "
    "understood understand went go withdrew withdraw won win wore wear wrote write"
)
"""Past tenses that no rule makes, with what they are made from."""
PRESENT = _words(
    "become becomes contain contains give gives remain remains provide provides refer refers consist "
    "consists allow allows occur occurs require requires produce produces cause causes lead leads include "
    "includes make makes take takes use uses begin begins call calls known seen given taken done written "
    "shown gone born according due such when where who whom which while"
)
"""Other words that no group of words around a noun holds."""
_TOKEN = re.compile(r"[$€£]?\w+(?:[.,:'’/–-]\w+)*%?(?:(?<=\b[A-Z])\.(?=\s[A-Z]))?|[^\w\s]")
_OPENERS = lexicon.DETERMINERS | lexicon.POSSESSIVES
_BEGIN = lexicon.POSSESSIVES | _words("some most only over about every all no around nearly")
_TAKES = _OPENERS | lexicon.PREPOSITIONS | lexicon.AUXILIARIES | {",", "."}
"""What follows a verb and hardly a word that only looks like one."""
_COUNTS = lexicon.NUMBER_WORDS | frozenset(map(str, range(1000)))
_INSIDE = _words("more most least many few other same several various") | lexicon.NUMBER_WORDS


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a sign, at `sentence[start:end]`."""

    text: str
    start: int
    end: int

    @property
    def plain(self) -> str:
        """In small letters."""
        return self.text.casefold()

    @property
    def is_word(self) -> bool:
        """Whether it is no sign."""
        return any(sign.isalnum() for sign in self.text)

    @property
    def is_name(self) -> bool:
        """Whether it is written with a capital or has a digit."""
        return self.text[0].isupper() or any(sign.isdigit() for sign in self.text)

    @property
    def is_content(self) -> bool:
        """Whether it says more than grammar."""
        grammar = self.plain in lexicon.STOP_WORDS and self.plain not in _INSIDE
        return self.is_word and (not grammar or self.text == "May")


@dataclass(frozen=True, slots=True)
class Span:
    """`tokens[first:last]` of a sentence could be an answer."""

    first: int
    last: int


def tokens_of(sentence: str) -> list[Token]:
    """The words and signs of a sentence."""
    return [Token(match.group(), *match.span()) for match in _TOKEN.finditer(sentence)]


def is_verb(tokens: Sequence[Token], place: int) -> bool:
    """Whether a word is likely a verb: by its ending or a list, unless it stands within a noun's group."""
    word = tokens[place].text
    if word[0].isupper():
        return False
    if word in PAST or word in PRESENT:
        return True
    before = tokens[place - 1].plain if place else ""
    follows = place + 1 < len(tokens) and tokens[place + 1].plain in _TAKES
    return word.endswith("ed") and len(word) > 4 and (follows or before not in _OPENERS | _INSIDE)


def spans(tokens: Sequence[Token]) -> list[Span]:
    """Groups around nouns, names and numbers, none within another: those that `of` joins are one."""
    found: list[Span] = []
    for one in _groups(tokens):
        before = found[-1] if found else None
        if before and one.last - before.first <= LONGEST and _joined(tokens, before, one):
            found[-1] = Span(before.first, one.last)
        else:
            found.append(one)
    return [_begun(tokens, one) for one in found]


def _joined(tokens: Sequence[Token], one: Span, other: Span) -> bool:
    between = [token.plain for token in tokens[one.last : other.first]]
    if between[:1] == ["of"]:
        return all(word in _OPENERS for word in between[1:])
    ends, begins = tokens[one.last - 1], tokens[other.first]
    if between in (["to"], ["or"]):
        return ends.plain in _COUNTS and begins.plain in _COUNTS
    return between == ["and"] and ends.is_name and begins.is_name


def _begun(tokens: Sequence[Token], span: Span) -> Span:
    """With the words before it that belong to it: whose it is, or how much of it."""
    first = span.first
    while first and tokens[first - 1].plain in _BEGIN:
        first -= 1
    return Span(first, span.last)


def value(tokens: Sequence[Token], span: Span) -> float:
    """How likely somebody asks for it: names and numbers are asked for first, bare words last."""
    words = tokens[span.first : span.last]
    worth = 2.0 * any(one.is_name and (span.first or len(words) > 1) for one in words)
    worth += 1.0 * any(one.plain in lexicon.NUMBER_WORDS for one in words)
    worth += 0.5 * min(3, sum(one.is_content for one in words))
    worth += 0.5 * (span.last == len(tokens) or not tokens[span.last].is_word)
    return worth - 1.0 * words[-1].plain.endswith(("ing", "ly", "ed"))


def _groups(tokens: Sequence[Token]) -> list[Span]:
    found, first = [], 0
    for place in range(len(tokens) + 1):
        inside = place < len(tokens) and (
            (tokens[place].is_content and not is_verb(tokens, place))
            or (place > first and tokens[place].text in "-–'&" and place + 1 < len(tokens))
        )
        if not inside:
            last = place
            while last > first and not tokens[last - 1].is_word:
                last -= 1
            if 1 <= last - first <= LONGEST:
                found.append(Span(first, last))
            first = place + 1
    return [one for one in found if _says(tokens[one.first : one.last])]


def _says(words: Sequence[Token]) -> bool:
    """Whether words could be an answer at all."""
    return any(
        word.is_name or (len(word.text) > 2 and not word.plain.endswith("ly") and word.plain not in _INSIDE)
        for word in words
    ) or any(word.plain in lexicon.NUMBER_WORDS for word in words)
