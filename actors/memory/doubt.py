"""Puts the newest of several memories on one matter first where no rule could read what changed.

Knows no grammar beyond cue words and no SQL.
"""

import re
from collections.abc import Mapping, Sequence

from actors.memory.asking import Asked
from actors.memory.aspects import unreal
from actors.memory.currency import State
from actors.memory.matter import Told, Weights, likely
from actors.memory.records import Memory
from actors.memory.slots import plural
from actors.memory.vectors import Vectors

MOST = 16
"""Memories that are looked at, from the first."""
PROBABLE = 0.5
"""How likely an older memory must be to follow the newest on a matter at once."""
_PAST = re.compile(
    r"\b(?:did|was|were|had|been|why|ever|used to|before|previous(?:ly)?|former(?:ly)?|original(?:ly)?|ago|"
    r"last|first|earlier|yesterday|how (?:many|often|(?:much|long) (?:have|has))|no longer|which of|all)\b",
    re.IGNORECASE,
)
_MANY = re.compile(
    r"\b(?:what|which)\s+((?:[\w'’-]+\s+){0,2}?[\w'’-]+)\s+(?:do|does|can|am|are|have|has|should)\b",
    re.IGNORECASE,
)
_PAIRS = frozenset(
    ["shoes", "boots", "trainers", "sneakers", "glasses", "contacts", "headphones", "trousers"]
)
"""Plurals of one thing."""
_ASKING_AGAIN = re.compile(
    r"\b(?:did I (?:say|tell you|mention)|(?:was|were)(?= (?:it|that) again)|(?:was|were)(?=\W*$)|"
    r"(?:have )?I (?:said|told you|mentioned)|(?:was|were)(?=\b.* again\W*$))\b",
    re.IGNORECASE,
)


def told(
    memory: Memory,
    number: int,
    score: float,
    parts: Mapping[str, float],
    near: float,
    states: Sequence[State],
    questions: Sequence[Asked],
) -> Told:
    """A memory with what its own facts have to do with what is asked.

    `states` are those of all memories found; `parts` the ranking's features, where it was ranked.
    """
    asked = {(one.subject, one.slot) for one in questions}
    subjects = {one.subject for one in questions}
    stated = {(one.subject, one.slot) for one in states}
    likeliest = next((one for one in questions if (one.subject, one.slot) in stated), None)
    mine = [one for one in states if one.memory == number]
    bearing = [one for one in mine if (one.subject, one.slot) in asked]
    slots = frozenset((one.subject, one.slot) for one in mine)
    return Told(
        number=number,
        text=memory.text,
        at=memory.valid_from,
        speaker=f"{memory.role} {memory.speaker}",
        score=score,
        near=near,
        own=parts.get("own", 0.0),
        pair=parts.get("pair", 0.0),
        answers=likeliest is not None and (likeliest.subject, likeliest.slot) in slots,
        related=bool(bearing),
        holds=any(one.ended_by is None for one in bearing),
        elsewhere=bool(mine) and not bearing,
        other=bool(mine and subjects) and not any(one.subject in subjects for one in mine),
        ended=bool(mine) and all(one.ended_by is not None for one in mine),
        slots=slots,
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
    if many is not None and plural(many[1]) and many[1].split()[-1].lower() not in _PAIRS:
        return False
    return _PAST.search(_ASKING_AGAIN.sub(" ", question)) is None


def newest_first(
    question: str, told: Sequence[Told], vectors: Vectors, weights: Weights | None = None
) -> list[int]:
    """The numbers that go first, newest first; empty where the order is good as it is.

    First goes the memory that is likeliest to be the newest on the matter of the question, then older ones on
    it. `told` is in the order of the answer, with unit vectors of shape (len(told), dimensions).
    """
    told = told[:MOST]
    if len(told) < 2 or not present(question):
        return []
    chances = likely(question, told, vectors[:MOST], weights).tolist()
    supposed = [not one.slots and unreal(one.text) for one in told]
    if not all(supposed):
        chances = [0.0 if wish else chance for wish, chance in zip(supposed, chances, strict=True)]
    lead = 0 if chances[0] > PROBABLE else max(range(len(told)), key=lambda at: (chances[at], -at))
    order = sorted(range(len(told)), key=lambda at: (-told[at].at, at))
    newest, none_newer, best = lead, 1.0, 0.0
    for at in order:
        if told[at].speaker != told[lead].speaker:
            continue
        if none_newer * chances[at] > best:
            newest, best = at, none_newer * chances[at]
        none_newer *= 1 - chances[at]
    if newest == 0:
        return []
    older = [at for at in order if told[at].at < told[newest].at and chances[at] > PROBABLE]
    return [told[at].number for at in (newest, *older)]
