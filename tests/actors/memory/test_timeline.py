from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from actors.memory.timeline import Assertion, Interval, timed, value_words

VALUES = ["porto", "The Porto", "graz", "graz old town", ""]


@st.composite
def assertions(draw, single: bool | None = None) -> list[Assertion]:
    count = draw(st.integers(0, 8))
    return [
        Assertion(
            key=key,
            value=draw(st.sampled_from(VALUES[:-1])) if holds else draw(st.sampled_from(VALUES)),
            holds=holds,
            single=draw(st.booleans()) if single is None else single,
            at=float(draw(st.integers(0, 4))),
            order=key,
        )
        for key, holds in enumerate(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    ]


def intervals(said: Sequence[Assertion]) -> dict[int, Interval]:
    return {one.key: one for one in timed(said)}


def told(key: int, value: str, at: float, **other: bool) -> Assertion:
    return Assertion(key, value, other.get("holds", True), other.get("single", True), at, key)


def test_a_new_value_ends_the_old_one() -> None:
    old, new = timed([told(1, "Porto", 10), told(2, "Graz", 20)])
    assert old == Interval(1, 10, 20, ended_by=2)
    assert new == Interval(2, 20)


def test_what_is_told_late_is_put_in_its_place() -> None:
    new, old = timed([told(1, "Graz", 20), told(2, "Porto", 10)])
    assert new == Interval(1, 20)
    assert old == Interval(2, 10, 20, ended_by=1)


def test_the_same_value_again_ends_nothing() -> None:
    assert timed([told(1, "Porto", 10), told(2, "the porto", 20)]) == [Interval(1, 10), Interval(2, 20)]


def test_a_retraction_ends_the_value_it_names_or_all() -> None:
    nuts, eggs = told(1, "nuts", 1, single=False), told(2, "eggs", 2, single=False)
    named = told(3, "eggs", 3, holds=False, single=False)
    assert [one.valid_to for one in timed([nuts, eggs, named])] == [None, 3, None]
    assert [one.valid_to for one in timed([nuts, eggs, replace(named, value="")])] == [3, 3, None]
    assert [one.valid_to for one in timed([nuts, replace(named, value="milk")])] == [None, None]


def test_at_equal_times_the_later_recorded_wins() -> None:
    first, second = timed([told(1, "Porto", 10), told(2, "Graz", 10)])
    assert first == Interval(1, 10, 10, ended_by=2)
    assert second.valid_to is None


@given(assertions(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(said, chance) -> None:
    shuffled = list(said)
    chance.shuffle(shuffled)
    assert intervals(shuffled) == intervals(said)


@given(assertions(), st.data())
def test_taking_one_away_is_never_having_had_it(said, data) -> None:
    if said:
        gone = data.draw(st.sampled_from(said))
        kept = [one for one in said if one is not gone]
        assert intervals(kept) == {one.key: one for one in timed(kept)}
        assert gone.key not in {one.ended_by for one in timed(kept)}


@given(assertions(single=True))
def test_a_single_slot_holds_one_value_at_a_time(said) -> None:
    found = intervals(said)
    for moment in (at / 2 for at in range(12)):
        held = {
            value_words(one.value)
            for one in said
            if one.holds
            and found[one.key].valid_from <= moment
            and (found[one.key].valid_to is None or moment < found[one.key].valid_to)
        }
        assert len(held) <= 1


@given(assertions(single=True), st.integers(0, 5))
def test_what_holds_is_what_was_said_last(said, moment) -> None:
    """The model: of all that was said by then, in order, the last word counts."""
    known = sorted((one for one in said if one.at <= moment), key=lambda one: (one.at, one.order))
    value: frozenset[str] | None = None
    for one in known:
        words = value_words(one.value)
        if one.holds:
            value = words
        elif value is not None and (words <= value or value <= words):
            value = None
    found = intervals(said)
    held = {
        value_words(one.value)
        for one in said
        if one.holds
        and one.at <= moment
        and (found[one.key].valid_to is None or moment < found[one.key].valid_to)
    }
    assert held == ({value} if value is not None else set())
