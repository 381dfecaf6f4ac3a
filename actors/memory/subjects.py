"""Whom or what a noun phrase names: `my sister's dog`, `the port of the server`. Knows no verb's meaning."""

import re
from dataclasses import dataclass

from actors.memory.clauses import ADVERBS, AUXILIARIES, MARKS, Clause, Token, is_past
from actors.memory.frames import PARTICIPLES, VERBS
from actors.memory.slots import ATTRIBUTES, CANONICAL, EVENTS, FORMER, is_being, plural, singular, slot_name
from actors.memory.words import STOP_WORDS

SELF = frozenset(["i", "me", "we", "us", "myself"])
_OWNERS = {"my": "me", "mine": "me", "our": "us", "the": "us", "this": "us", "that": "us"}
_THEIRS = frozenset(["his", "her", "their", "its"])
_THEY = frozenset(["he", "she", "they", "him", "them"])
_STOPS_WORDS = """
    it i you we they he she them me us him how what why there here just and but or because that who
    which whose where so if to from in on at with by since until as than when into under near behind
    after before while per via about
"""
_STOPS = frozenset(_STOPS_WORDS.split())
_NO_NAMES = STOP_WORDS | frozenset(
    [
        "actually",
        "correction",
        "update",
        "yesterday",
        "today",
        "tomorrow",
        "now",
        "sorry",
        "hey",
        "hello",
        "hi",
        "ok",
        "okay",
        "well",
        "yes",
        "no",
        "yeah",
        "please",
        "also",
        "just",
        "recently",
        "currently",
        "finally",
        "fyi",
        "btw",
        "note",
        "remember",
        "reminder",
        "thanks",
        "great",
        "good",
        "news",
        "turns",
        "since",
        "as",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "last",
        "next",
        "favorite",
        "favourite",
        "new",
        "old",
        "current",
        "previous",
        "lately",
        "nowadays",
        "sounds",
        "feels",
        "looks",
        "seems",
        "love",
        "glad",
        "hope",
        "guess",
        "wow",
        "like",
        "haha",
        "yay",
        "agreed",
        "awesome",
        "heads",
        "starting",
        "scratch",
        "if",
        "when",
        "honestly",
        "oh",
        "anyway",
        "forget",
        "scratch",
        "never",
        "maybe",
        "perhaps",
        "apparently",
        "unfortunately",
        "luckily",
        "sadly",
        "quick",
        "small",
    ]
)
_RELATED_WORDS = """
    friend colleague neighbor cousin kid roommate student client teacher coach aunt uncle niece
    nephew
"""
_RELATED = frozenset(_RELATED_WORDS.split())
"""Persons of whom one has several, so that a name says which."""
_LAST_NAME = re.compile(r"\blast name\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A noun phrase: who it starts from (`user`, a name) and what of theirs it leads to, part by part."""

    root: str
    parts: tuple[str, ...] = ()
    former: bool = False
    """`my old address`: what it was before."""
    several: bool = False
    """The last noun is a plural."""
    vague: bool = False
    """Begins with `the`, and so may be anything of anybody's."""

    @property
    def being(self) -> bool:
        """Whether it is somebody (a person, an animal or a name) rather than something."""
        return all(is_being(part) for part in self.parts)

    @property
    def subject(self) -> str:
        """The subject of a statement about it, without the things at its end: `user's sister`."""
        return self._split()[0]

    @property
    def thing(self) -> str:
        """The things at its end as one noun: `server port`; empty for a being."""
        return self._split()[1]

    @property
    def place(self) -> tuple[str, str]:
        """It as a slot of somebody: (`user's sister`, `birthday`); the name of a being is the being."""
        parts = self.parts
        if (
            len(parts) > 1
            and parts[-1] == "name"
            and (is_being(parts[-2]) or parts[-2] in CANONICAL.values())
        ):
            parts = parts[:-1]
        subject, thing = Named(self.root, parts[:-1])._split()
        if parts and parts[-1] == "number" and not thing:
            return subject, "phone"
        return subject, slot_name(f"{thing} {parts[-1]}".strip()) if parts else ""

    def _split(self) -> tuple[str, str]:
        subject = self.root
        for number, part in enumerate(self.parts):
            if not is_being(part):
                return subject, slot_name(" ".join(self.parts[number:]))
            subject = f"{subject}'s {part}"
        return subject, ""


def named_at(
    clause: Clause, at: int, me: str, last: str = "", auxiliary: str = ""
) -> tuple[Named, int] | None:
    """The noun phrase that begins at a token, and the token after it; `last` is who was spoken of last.

    `auxiliary` stands before it, as in a question: a bare verb may follow it, or a form in -ing.
    """
    word = clause.lower(at)
    if word in SELF:
        return Named(me), at + 1
    if word in _THEY and last:
        return Named(last), at + 1
    following = clause.tokens[at + 1] if at + 1 < len(clause.tokens) else None
    if not word or word in MARKS or (word in ("that", "this") and _begins(following)):
        return None
    if word in _OWNERS or word in _THEIRS or _is_name(clause, at):
        end = _end(clause, at, auxiliary)
        found = _bare(clause, at, end, me) or named(clause.between(at, end), me, last)
        return (found, end) if found is not None else None
    if at == 0 or clause.lower(at - 1) in MARKS:
        end = _end(clause, at, auxiliary)
        found = _bare(clause, at, end, me)
        return (found, end) if found is not None else None
    return None


def _bare(clause: Clause, at: int, end: int, me: str) -> Named | None:
    """A noun phrase without an owner that the lexicon knows, such as `Favourite colour` or `Dinner`."""
    if clause.lower(at) in _OWNERS or clause.lower(at) in _THEIRS:
        return None
    slot = slot_name(_without_former(clause.between(at, end)))
    last = slot.split(" ")[-1]
    known = slot.startswith("favorite ") or slot in CANONICAL.values() or last in EVENTS or last in ATTRIBUTES
    rest = clause.tokens[at + 1 : end]
    if (
        not known
        or is_being(slot)
        or "'" in clause.tokens[at].text
        or any(t.capital or t.lower in _OWNERS or "'" in t.text for t in rest)
    ):
        return None
    several = plural(clause.between(at, end))
    return Named(me, (slot,), clause.lower(at) in FORMER, several, vague=True)


def _begins(token: Token | None) -> bool:
    """Whether a token begins a noun phrase of its own: `that` before it joins."""
    return token is not None and (token.capital or token.lower in _OWNERS or token.lower in _THEIRS)


def _is_name(clause: Clause, at: int) -> bool:
    token = clause.tokens[at]
    plain = token.lower.removesuffix("'s").rstrip("'")
    verb = at == 0 and (token.lower in VERBS or plain.endswith(("ing", "ly")))
    return token.capital and token.text[0].isalpha() and plain not in _NO_NAMES and not verb


def _end(clause: Clause, at: int, auxiliary: str = "") -> int:
    """Where a noun phrase ends: before an auxiliary, a verb or a preposition."""
    end = at + 1
    while end < len(clause.tokens):
        token = clause.tokens[end]
        if token.lower in ("of", "for"):
            after = clause.tokens[end + 1] if end + 1 < len(clause.tokens) else None
            typed = end + 2 < len(clause.tokens) and clause.tokens[end + 2].capital
            if after is None or not (after.capital or typed or after.lower in _OWNERS or token.lower == "of"):
                break
        elif (
            (
                token.text in MARKS
                or token.lower in AUXILIARIES
                or token.lower in ADVERBS
                or token.lower in _STOPS
            )
            or (end > at + 1 and _finite(clause, end, auxiliary))
            or (
                end == at + 1
                and clause.tokens[at].capital
                and clause.lower(at) not in _OWNERS
                and _finite(clause, end, auxiliary)
            )
        ):
            break
        end += 1
    return end


def _finite(clause: Clause, at: int, auxiliary: str = "") -> bool:
    """Whether a token reads as a verb with a subject before it, not as a noun."""
    token = clause.tokens[at]
    if token.lower in PARTICIPLES and auxiliary:
        return True
    if token.lower not in VERBS or clause.lower(at + 1) in AUXILIARIES - {"being", "been"}:
        return token.lower in PARTICIPLES and auxiliary != ""
    if token.lower.endswith("ing"):
        return auxiliary in ("am", "is", "are", "was", "were") and clause.lower(at - 1) not in _OWNERS
    if (
        auxiliary in ("do", "does", "did", "can", "should", "will")
        or token.lower != token.lemma
        or is_past(token)
    ):
        return True
    return singular(clause.lower(at - 1)) != clause.lower(at - 1)


def named(phrase: str, me: str, last: str = "", compound: bool = False) -> Named | None:
    """A noun phrase read by itself; None where it starts from nobody known.

    `compound`: a name and a noun may stand together without an `'s`: `Atlas deadline`.

    Example: named("the port of our server", "user") is Named("user", ("server", "port")).
    """
    phrase = re.sub(
        r"\b(of|for) (?:(?=(?:my|our|the|his|her|their)\b|[A-Z])|(?:project|team|server|service) (?=[A-Z]))",
        r"\1 ~",
        phrase.strip(),
    )
    pieces = re.split(r"\s(?:of|for) ~", phrase)
    steps = [
        step
        for piece in reversed(pieces)
        for step in re.split(r"(?<=\w)'s\s|(?<=s)'\s", piece)
        if step.strip()
    ]
    if not steps:
        return None
    words = steps[0].split()
    owner = _root(words[0].lower(), me, last)
    several = plural(steps[-1]) and len(steps[-1].split()) + len(steps) > 1
    former = bool(FORMER & set(steps[-1].lower().split())) and not _LAST_NAME.search(phrase)
    if owner is None:
        if not words[0][0].isupper() or words[0].lower() in _THEIRS:
            return None
        count = next((i for i, word in enumerate(words) if not word[0].isupper()), len(words))
        if count < len(words) and len(steps) == 1 and not compound:
            return None
        return Named(_person(words[:count]), _parts([" ".join(words[count:]), *steps[1:]]), former, several)
    own, name = _apposed(words[1:])
    if name and own and slot_name(own[-1]) in _RELATED:
        return Named(name, _parts(steps[1:]), former, several)
    vague = words[0].lower() in ("the", "this", "that")
    if vague and own and own[0][0].isupper() and len(own) > 1:
        return named(" ".join(own), me, last, compound=True)
    return Named(owner, _parts([" ".join(own), *steps[1:]]), former, several, vague)


def _apposed(words: list[str]) -> tuple[list[str], str]:
    """`sister Ana Silva` as the noun and the name beside it."""
    count = next((i for i, word in enumerate(words) if i and word[0].isupper()), len(words))
    if (
        0 < count < len(words)
        and is_being(slot_name(words[count - 1]))
        and all(w[0].isupper() for w in words[count:])
    ):
        return words[:count], _person(words[count:])
    return words, ""


def _person(words: list[str]) -> str:
    name = " ".join(words).lower().removesuffix("'s").removesuffix("'")
    return name.removeprefix("project ").removeprefix("team ")


def _root(first: str, me: str, last: str) -> str | None:
    if first in _THEIRS:
        return last or None
    owner = _OWNERS.get(first)
    return None if owner is None else me if owner == "me" else "user"


def _parts(steps: list[str]) -> tuple[str, ...]:
    return tuple(part for part in (slot_name(_without_former(step)) for step in steps) if part)


def _without_former(step: str) -> str:
    if _LAST_NAME.search(step):
        return step
    return " ".join(word for word in step.split() if word.lower() not in FORMER)
