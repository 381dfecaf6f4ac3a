"""Puts the newest of several memories on one matter first where no rule could read what changed.

Knows no grammar beyond cue words and no SQL.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from actors.memory.asking import Asked
from actors.memory.currency import State
from actors.memory.records import Memory
from actors.memory.slots import plural
from actors.memory.vectors import Vectors
from actors.memory.words import Word, words_of

MOST = 10
"""Memories that are looked at, from the first."""
ASIDE = 3.0
"""What it costs a memory in score, for the first place, that it is unreal or speaks of somebody else."""
_SETTLED = {
    "near": 3.4,
    "nearer": 2.0,
    "alike": 9.3,
    "score": 0.24,
    "names": 0.15,
    "changes": 0.95,
    "elsewhere": -1.0,
    "other": -0.3,
    "person": 0.55,
    "length": -1.9,
    "bias": -6.3,
}
"""What `measured` weighs where the first memory states the slot asked for."""
_OPEN = {
    "near": 8.3,
    "nearer": 0.7,
    "alike": 5.7,
    "score": 0.44,
    "asked": 1.1,
    "shared": 0.3,
    "names": 0.6,
    "changes": 0.9,
    "elsewhere": 0.15,
    "other": -2.1,
    "person": 0.2,
    "length": -1.35,
    "bias": -6.3,
}
"""The same where no slot is known. Both are logistic regressions on pairs of memories of the memory suite,
with the cosines of the default embedder: with another, more or fewer of the same results change places."""
_MY = frozenset(["i", "my", "me", "we", "our", "us", "mine", "myself", "ours", "ourselves"])
_PAST = re.compile(
    r"\b(?:did|was|were|had|been|why|ever|used to|before|previous(?:ly)?|former(?:ly)?|original(?:ly)?|ago|"
    r"last|first|earlier|yesterday|how (?:many|much|long|often)|no longer|which of|all)\b",
    re.IGNORECASE,
)
_MANY = re.compile(
    r"\b(?:what|which)\s+((?:[\w'’-]+\s+){0,2}?[\w'’-]+)\s+(?:do|does|can|am|are|have|has|should)\b",
    re.IGNORECASE,
)
_ASKING_AGAIN = re.compile(
    r"\b(?:did I (?:say|tell you|mention)|(?:was|were)(?= (?:it|that) again)|(?:was|were)(?=\W*$)|"
    r"(?:have )?I (?:said|told you|mentioned))\b",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"\b(?:if|unless|wish|wishes|imagine|suppose|hope|maybe|perhaps|might|would|could|should|dream(?:t|ed)?|"
    r"pretend|wonder(?:ing)?|thinking of|considering|someday|almost|nearly|joking|"
    r"(?:he|she|they|[A-Z]\w+|(?:brother|sister|friend|boss|colleague|neighbou?r)) "
    r"(?:says?|said|thinks?|thought|asked|heard|claims?|claimed))\b",
)
_CHANGE = re.compile(
    r"\b(?:now|nowadays|these days|lately|since|instead|any ?more|any longer|no longer|no more|new|as of|"
    r"from now on|going forward|from (?:today|here)|today|new|became|made (?:me|him|her|us|them)|"
    r"end(?:ed|s|ing) up|turned|used to|took over|taken up|picked up|done with|got rid|gave up|"
    r"given up|put aside|over with|"
    r"switch\w*|chang\w*|mov(?:ed|ing)|replac\w+|left|quit|stopp?\w*|dropp?\w*|swap\w*|trad(?:ed|ing)|sold|"
    r"gone|got|started|finished|began|cancel\w*|updat\w+|upgrad\w+|rais\w+|transfer\w*|join\w*|hired|ditch\w*|"
    r"migrat\w+|relocat\w+|resched\w+|(?:isn|aren|don|doesn|wasn|won)['’]t|not)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One of the memories answered with, as it was found.

    `near`: cosine with the question. `elsewhere`: what it states is of no slot asked for; `other`: of nobody
    asked about. `ended`: all it states has ended.
    """

    number: int
    text: str
    at: float
    speaker: str
    score: float
    near: float
    elsewhere: bool = False
    other: bool = False
    ended: bool = False


def told(
    memory: Memory,
    number: int,
    score: float,
    near: float,
    states: Sequence[State],
    questions: Sequence[Asked],
) -> Told:
    """A memory with what its own facts (all of `states`) have to do with what is asked."""
    asked = {(one.subject, one.slot) for one in questions}
    subjects = {one.subject for one in questions}
    return Told(
        number=number,
        text=memory.text,
        at=memory.valid_from,
        speaker=f"{memory.role} {memory.speaker}",
        score=score,
        near=near,
        elsewhere=bool(states) and not any((one.subject, one.slot) in asked for one in states),
        other=bool(states and subjects) and not any(one.subject in subjects for one in states),
        ended=bool(states) and all(one.ended_by is not None for one in states),
    )


def sure(states: Sequence[State], questions: Sequence[Asked]) -> bool:
    """Whether the newest is no answer: the past is asked for, or a slot holds several values side by side."""
    if any(question.past for question in questions):
        return True
    for question in questions:
        held = {
            state.value
            for state in states
            if (state.subject, state.slot) == (question.subject, question.slot)
            if state.says and state.ended_by is None
        }
        if len(held) > 1:
            return True
    return False


def present(question: str) -> bool:
    """Whether a question asks how one thing is, rather than what happened, how much, why or which ones."""
    many = _MANY.search(question)
    if many is not None and plural(many[1]):
        return False
    return _PAST.search(_ASKING_AGAIN.sub(" ", question)) is None


def newest_first(question: str, told: Sequence[Told], vectors: Vectors, settled: bool) -> list[int]:
    """The numbers that go first, newest first; empty where the order is good as it is.

    `told` is in the order of the answer, with unit vectors of shape (len(told), dimensions). `settled`: the
    first states the slot asked for and holds as far as is known; it stays among the first then.
    """
    told = told[:MOST]
    if len(told) < 2 or not present(question):
        return []
    lead = 0 if settled else max(range(len(told)), key=lambda at: (_worth(told[at]), -at))
    first = told[lead]
    matter = [lead]
    for at, one in enumerate(told):
        if at != lead and one.speaker == first.speaker and not one.ended and not unreal(one.text):
            alike = float(vectors[lead] @ vectors[at])
            newer = one.at > first.at
            if (newer or not settled) and same_matter(question, first, one, alike, settled) > 0:
                matter.append(at)
    matter.sort(key=lambda at: (told[at].at, -at), reverse=True)
    return [] if matter == [0] else [told[at].number for at in matter]


def same_matter(question: str, first: Told, other: Told, alike: float, settled: bool) -> float:
    """Log-odds that a memory speaks of what another tells in answer to a question."""
    weights = _SETTLED if settled else _OPEN
    return sum(
        weights.get(name, 0.0) * value for name, value in measured(question, first, other, alike).items()
    )


def measured(question: str, first: Told, other: Told, alike: float) -> dict[str, float]:
    """What speaks for two memories being about one matter; `alike` is their cosine."""
    asked, one, two = words_of(question), words_of(first.text), words_of(other.text)
    wanted, common = _stems(asked), _stems(one) & _stems(two)
    return {
        "near": other.near,
        "nearer": other.near - first.near,
        "score": other.score,
        "alike": alike,
        "asked": len(wanted & _stems(two)) / max(1, len(wanted)),
        "shared": float(min(2, len(common - wanted))),
        "names": _agreement(_names(asked[1:]), _names(two)),
        "changes": float(_CHANGE.search(other.text) is not None),
        "elsewhere": float(other.elsewhere),
        "other": float(other.other),
        "person": float(_of_me(asked) == _of_me(two)),
        "length": len(two) / 10,
        "bias": 1.0,
    }


def unreal(text: str) -> bool:
    """Whether a text asks, wishes, supposes or tells what another said."""
    return text.rstrip().endswith("?") or _UNREAL.search(text) is not None


def _worth(one: Told) -> float:
    return one.score - ASIDE * (unreal(one.text) + one.other)


def _stems(words: Sequence[Word]) -> set[str]:
    return {word.stem for word in words if not word.stop and word.normal not in _MY}


def _names(words: Sequence[Word]) -> set[str]:
    return {word.normal for word in words if word.capital and not word.stop and not word.date}


def _agreement(asked: set[str], said: set[str]) -> float:
    if not asked:
        return 0.0
    return 1.0 if asked & said else -1.0


def _of_me(words: Sequence[Word]) -> bool:
    return any(word.normal in _MY for word in words)
