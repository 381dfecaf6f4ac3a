"""Puts what holds before what has ended in a ranked list of memories. Knows no ranking and no SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.memory.asking import Asked

MOST = 5
"""Memories that are put first for one question; the rest stay where the ranker has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one fact of a memory is at the moment asked about.

    `says`: the memory says that the value holds; false: that it no longer does. `ended_by` is the memory
    whose statement ended it by then; None: as far as is known at that moment, it is so.
    """

    memory: int
    subject: str
    slot: str
    value: str
    says: bool
    valid_from: float
    ended_by: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A memory in its place. `score` never rises down the list; `why` is empty where it was not moved.

    `answers`: it states what is asked for.
    """

    number: int
    score: float
    why: str = ""
    answers: bool = False


def ordered(
    ranked: Sequence[tuple[int, float]], states: Sequence[State], questions: Sequence[Asked]
) -> list[Placed]:
    """The order in which ranked memories (number, score; best first) are answered with.

    `states` are all facts, known at the moment asked about, of every (subject, slot) that a ranked memory
    states something of or that `questions` ask for. First comes what states the value asked for, newest
    first; it is put in where the ranker missed it. A memory all of whose facts have ended never stands before
    the one that ended them. All else keeps the ranker's order.
    """
    order = [number for number, _ in ranked]
    why: dict[int, str] = {}
    first = _answering(states, questions, why)
    order = [*first, *(number for number in order if number not in first)]
    settled = frozenset(first)
    successors = _successors(states)
    placed: list[int] = []
    for number in order:
        if number in placed:
            continue
        before = () if number in settled else successors.get(number, ())
        for successor in before:
            if successor not in placed:
                placed.append(successor)
                why.setdefault(successor, "states what took the place of an older one")
        placed.append(number)
    return _scored(placed, dict(ranked), why, settled)


def moved_up(placed: Sequence[Placed], first: Sequence[int], reason: str) -> list[Placed]:
    """The same memories with some first, in the order given; `reason` is why, for the first of all."""
    if not first:
        return list(placed)
    why = {one.number: one.why for one in placed}
    why[first[0]] = why[first[0]] or reason
    order = [*first, *(one.number for one in placed if one.number not in first)]
    answers = frozenset(one.number for one in placed if one.answers)
    return _scored(order, {one.number: one.score for one in placed}, why, answers)


def _answering(states: Sequence[State], questions: Sequence[Asked], why: dict[int, str]) -> list[int]:
    """Memories that state what is asked for, best first; the first question that finds any decides."""
    for question in questions:
        stated = [
            state for state in states if (state.subject, state.slot) == (question.subject, question.slot)
        ]
        stated.sort(key=lambda state: (state.valid_from, state.memory), reverse=True)
        held = [state for state in stated if state.says and state.ended_by is None]
        ended = [state for state in stated if state.says and state.ended_by is not None]
        retracted = [state for state in stated if not state.says and state.ended_by is None]
        past = [state for state in stated if not state.says and state.value]
        chosen = [*ended, *past] if question.past else held or retracted
        name = question.slot if question.subject == "user" else f"{question.subject}'s {question.slot}"
        for state in chosen:
            said = "was" if question.past else "is" if state.says else "is no longer"
            why.setdefault(state.memory, f"says what {name} {said}")
        if chosen:
            return list(dict.fromkeys(state.memory for state in chosen))[:MOST]
    return []


def _successors(states: Sequence[State]) -> Mapping[int, tuple[int, ...]]:
    """Of each memory that states nothing that holds: the memories that hold in its facts' place."""
    by_slot: dict[tuple[int, str, str], list[State]] = {}
    by_memory: dict[int, list[State]] = {}
    for state in states:
        by_slot.setdefault((state.memory, state.subject, state.slot), []).append(state)
        by_memory.setdefault(state.memory, []).append(state)
    found = {}
    for memory, facts in by_memory.items():
        if all(fact.ended_by is not None for fact in facts):
            last = (_last(fact, by_slot) for fact in facts)
            found[memory] = tuple(dict.fromkeys(one for one in last if one != memory and one in by_memory))
    return found


def _last(fact: State, by_slot: Mapping[tuple[int, str, str], Sequence[State]]) -> int:
    """The memory at the end of the chain of those that ended a fact and each other."""
    seen = {fact.memory}
    number = fact.memory
    after: State | None = fact
    while after is not None and after.ended_by is not None and after.ended_by not in seen:
        number = after.ended_by
        seen.add(number)
        there = by_slot.get((number, fact.subject, fact.slot), ())
        after = None if any(one.ended_by is None for one in there) else next(iter(there), None)
    return number


def _scored(
    order: Sequence[int], scores: Mapping[int, float], why: Mapping[int, str], answers: frozenset[int]
) -> list[Placed]:
    """Scores that never rise down the list: a memory that was moved up has its follower's."""
    placed: list[Placed] = []
    least = min(scores.values(), default=0.0)
    for number in reversed(order):
        least = max(least, scores.get(number, least))
        placed.append(Placed(number, least, why.get(number, ""), number in answers))
    return placed[::-1]
