"""A sentence as tokens: contractions written out, verbs reduced to their base. Knows no slot and no fact."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from actors.memory.frames import LEMMAS, OF_BEINGS, lemma, matching

_SHORT = (
    (r"\b[Ii]['\s]?m\b(?=\s)", "I am"),
    (r"\bcan't\b|\bcant\b|\bcan not\b", "cannot"),
    (r"\bwon't\b", "will not"),
    (r"\bain't\b", "is not"),
    (r"\b(do|does|did|is|are|was|were|has|have|had|would|should|could)n'?t\b", r"\1 not"),
    (r"'m\b", " am"),
    (r"'re\b", " are"),
    (r"'ve\b|(?<=\bI)ve\b", " have"),
    (r"'ll\b", " will"),
    (r"\b(I|he|she|they|we)'d\b", r"\1 would"),
    (r"\b(it|he|she|that|what|who|where|when|how|there|here|which|this|why)'s\b", r"\1 is"),
    (r"\b(what|who|where|when|how)s\b", r"\1 is"),
    (
        r"'s(?=\s(?:a|an|the|now|not|in|on|at|been|moved|called|named|my|no|still|just|always|actually|also)\b)",
        " is",
    ),
    (r"(?<=\b[Nn]ame)'s(?=\s)|(?<=\b(?:lour|olor))'s(?=\s)", " is"),
    (r"\b(name|number|email|birthday|address|color|colour)'s(?=\s[\w+@-]+\W*$)", r"\1 is"),
    (
        r"\b(?:happens?|turned out|has got|got) to be\b|\bended up being\b"
        r"|\bwould (?:have to )?be(?= \w+\W*$)",
        "is",
    ),
    (r"\b(?:remains|continues to be|stays)\b", "is"),
    (r"\b(?:have |has |had )?ceased? to be\b", "is no longer"),
    (r"\b(appointment|meeting|call|session) with (?:the|my|our) ([\w]+)\b", r"\2 \1"),
    (r"\bgonna\b", "going to"),
    (r"\bwanna\b", "want to"),
    (r"\bany more\b|\bany longer\b", "anymore"),
    (r"\bi\b(?=\s|$|,)", "I"),
)
_EXPANSIONS = tuple((re.compile(pattern, re.IGNORECASE), new) for pattern, new in _SHORT)
_APOSTROPHE = re.compile(r"[’‘`´]")
_SHORTENED = re.compile(
    r"'|\bto be\b|\bbeing\b|\bbe\b|\b(?:[Ii]\s?m|"
    r"[ci]ant|ain|remains|continues|stays|with|gonna|wanna|can|any|(?-i:i)|"
    r"I?ve|whats|wheres"
    r"|whos|whens|hows|(?:do|does|did|is|are|was|were|has|have|had|would|should|could)nt)\b",
    re.IGNORECASE,
)
"""Whether anything of what is written out may stand in a text."""
_TOKEN = re.compile(
    r"https?://\S+|\d{1,2}[:.h]\d{2}(?:\s?[ap]m)?\b|[^\s,;:()\[\]\"“”—–!?…]+(?:[:,](?=\d)[^\s,;:()"
    r"\[\]\"“”—–!?…]+)*"
    r"|[,;:()\[\]\"“”—–!?…]"
)
MARKS = frozenset(',;:()[]"“”—–!?…-')
_AUXILIARIES_WORDS = """
    am is are was were be been being have has had do does did will would shall should can could may
    might must used going cannot
"""
AUXILIARIES = frozenset(_AUXILIARIES_WORDS.split())
_ADVERBS_WORDS = """
    now currently just recently also still really finally actually officially presently already
    always usually mostly mainly basically only even both all since lately normally generally
    typically primarily simply permanently formerly previously once not no longer so then absolutely
    definitely totally personally honestly proudly very deeply severely highly mildly never ever
    again newly gladly happily temporarily hereby nowadays today yesterday sadly luckily
    unfortunately fortunately apparently originally legally technically slightly extremely quite
    pretty completely strictly both instead too however soon
"""
ADVERBS = frozenset(_ADVERBS_WORDS.split()) - {"originally", "too"}
DEGREES = frozenset(
    [
        "so",
        "very",
        "quite",
        "pretty",
        "extremely",
        "slightly",
        "completely",
        "such",
        "too",
        "absolutely",
        "totally",
    ]
)
"""Adverbs before an opinion."""
_PASTS = frozenset(
    form
    for form, verb in LEMMAS.items()
    if form != verb and not form.endswith(("s", "ing")) and form != "born"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or mark of an expanded sentence: as written, in lower case, as a verb's base form."""

    text: str
    lower: str
    lemma: str
    start: int
    end: int

    @property
    def capital(self) -> bool:
        """Whether it is written with a capital."""
        return self.text[0].isupper()


@dataclass(frozen=True, slots=True)
class Clause:
    """A sentence's tokens, and the expanded text they are places in."""

    text: str
    tokens: tuple[Token, ...]

    def lower(self, at: int) -> str:
        """The token at a place in lower case; empty past the end."""
        return self.tokens[at].lower if 0 <= at < len(self.tokens) else ""

    def after(self, at: int) -> str:
        """The text from a token on."""
        return self.text[self.tokens[at].start :] if at < len(self.tokens) else ""

    def between(self, at: int, end: int) -> str:
        """The text of tokens at to end (exclusive)."""
        return self.text[self.tokens[at].start : self.tokens[end - 1].end] if end > at else ""

    def at_offset(self, offset: int) -> int:
        """The first token that begins at or after an offset of the text."""
        return next((i for i, token in enumerate(self.tokens) if token.start >= offset), len(self.tokens))

    @property
    def lemmas(self) -> tuple[str, ...]:
        """The lemmas of all tokens."""
        return tuple(token.lemma for token in self.tokens)


def clause_of(sentence: str) -> Clause:
    """A sentence with its contractions written out, cut into tokens."""
    text = _APOSTROPHE.sub("'", sentence)
    if _SHORTENED.search(text):
        for pattern, new in _EXPANSIONS:
            text = pattern.sub(new, text)
    return Clause(text, tuple(_tokens(text)))


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        word = match.group()
        if (
            len(word) > 1
            and word.endswith((".", "'"))
            and not re.fullmatch(r"(?:\w\.)+|[A-Z]\.|Dr\.|St\.|Mr\.|Ms\.", word)
        ):
            word = word.rstrip(".'")
        if word.strip("*_~`"):
            lower = word.lower()
            yield Token(word, lower, lemma(lower), match.start(), match.start() + len(word))


@dataclass(frozen=True, slots=True)
class Tense:
    """What the words between a subject and its verb say: negated, over, only thought of, and the copula."""

    end: int
    copular: bool = False
    negated: bool = False
    past: bool = False
    perfect: bool = False
    unreal: bool = False
    ceased: bool = False
    """`no longer`, `not ... anymore`, `used to`."""


_UNREAL = frozenset(["would", "should", "could", "may", "might", "must", "going", "will", "shall", "can"])


def tense_at(clause: Clause, at: int) -> Tense:
    """Read auxiliaries and adverbs from `at` on, as far as they go."""
    words: list[str] = []
    end = at
    while end < len(clause.tokens):
        word = clause.lower(end)
        if word == "to" and words and words[-1] in ("used", "going"):
            words.append(word)
        elif (
            (
                word == "have"
                and clause.lower(end - 1) in ("do", "not", "did")
                and clause.lower(end + 1) != "to"
            )
            or (word in ("have", "has", "had") and not _perfect(clause, end))
            or (
                word in ("do", "did")
                and clause.lower(end + 1) not in ("not", *ADVERBS)
                and clause.lower(end + 1) not in LEMMAS
            )
        ):
            break
        elif (
            word in ("get", "gets", "got")
            and clause.lower(end + 1).endswith("ed")
            and not matching(clause.lemmas, end, OF_BEINGS)
        ):
            words.append("is")
        elif word in AUXILIARIES or word in ADVERBS:
            words.append(word)
        else:
            break
        end += 1
    return _summed(words, end, "anymore" in [token.lower for token in clause.tokens[end:]])


def _perfect(clause: Clause, at: int) -> bool:
    """Whether a form of have is an auxiliary: a participle, been or an adverb and a verb follow."""
    place = at + 1
    while clause.lower(place) in ADVERBS:
        place += 1
    following = clause.lower(place)
    return (
        following == "been"
        or following in _PASTS
        or following.endswith("ed")
        or following in ("become", "quit", "set")
    )


def _summed(words: list[str], end: int, anymore: bool) -> Tense:
    told = [word for word in words if word in AUXILIARIES]
    negated = "not" in words or "never" in words or "cannot" in words
    longer = "longer" in words or ("no" in words and anymore)
    used = "used" in words and "to" in words
    return Tense(
        end=end,
        copular=bool(told) and told[-1] in ("am", "is", "are", "was", "were", "be", "been", "being"),
        negated=negated,
        past=used
        or any(word in words for word in ("was", "were", "had", "did", "formerly", "previously", "once")),
        perfect=bool(told) and told[0] in ("have", "has"),
        unreal=any(word in _UNREAL for word in told),
        ceased=longer or used or (negated and anymore),
    )


def is_past(token: Token) -> bool:
    """Whether a verb's form is its past."""
    return token.lower in _PASTS
