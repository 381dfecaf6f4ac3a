"""From when to when each statement about one slot of one subject holds. Knows no text, no grammar, no SQL."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+(?:[.:@/+'-]\w+)*|\+(?=\d)")
_LEADING = frozenset(["a", "an", "the", "my", "our", "in", "on", "at", "to"])


@dataclass(frozen=True, slots=True)
class Assertion:
    """One statement about a slot: from `at` (Unix seconds) on, `value` holds, or does not (`holds` false).

    `single`: another value takes its place rather than standing beside it. `order` is the order in which
    statements were recorded; it decides between equal times. A retraction without a value is of all values.
    """

    key: int
    value: str
    holds: bool
    single: bool
    at: float
    order: int


@dataclass(frozen=True, slots=True)
class Interval:
    """When the statement `key` holds: from `valid_from` until before `valid_to`, which `ended_by` brought."""

    key: int
    valid_from: float
    valid_to: float | None = None
    ended_by: int | None = None


def timed(assertions: Sequence[Assertion]) -> list[Interval]:
    """The interval of each statement about one (subject, slot), in the order given.

    It depends on the set of statements alone, not on the order in which they came: what arrives late is put
    in its place, and what is taken away leaves no trace. The same value stated again ends nothing.
    A retraction holds from its time until a value is stated that it does not allow for.
    """
    ordered = sorted(assertions, key=lambda one: (one.at, one.order, one.key))
    found: dict[int, Interval] = {}
    open_: dict[bool, dict[frozenset[str], list[Assertion]]] = {True: {}, False: {}}
    for new in ordered:
        words = value_words(new.value)
        beside = new.holds and not new.single
        for alike in (open_[False],) if beside else open_.values():
            for ended in [w for w, group in alike.items() if _ends(new, words, group[0], w)]:
                found |= {old.key: Interval(old.key, old.at, new.at, new.key) for old in alike.pop(ended)}
        found[new.key] = Interval(new.key, new.at)
        open_[new.holds].setdefault(words, []).append(new)
    return [found[one.key] for one in assertions]


def ends(new: Assertion, old: Assertion) -> bool:
    """Whether a statement, the latest about its slot, ends one that has not ended before it."""
    return _ends(new, value_words(new.value), old, value_words(old.value))


def value_words(value: str) -> frozenset[str]:
    """The words by which two values are compared; case, articles and punctuation say nothing."""
    words = _WORD.findall(value.casefold())
    while len(words) > 1 and words[0] in _LEADING:
        words = words[1:]
    return frozenset(words)


def _ends(new: Assertion, words: frozenset[str], old: Assertion, old_words: frozenset[str]) -> bool:
    if new.holds and old.holds:
        return new.single and words != old_words
    if new.holds:
        return new.single or not old_words or words == old_words
    return old.holds and (not words or words <= old_words or (bool(old_words) and old_words <= words))
