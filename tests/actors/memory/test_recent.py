from dataclasses import replace

from actors.memory.recent import TURNS, RecentTurns
from actors.memory.records import Memory

TURN = Memory(
    id="",
    kind="turn",
    text="x" * 10,
    role="user",
    speaker="",
    session="s",
    agent="",
    ordinal=0,
    valid_from=0,
    valid_to=None,
    created_at=0,
    updated_at=0,
)


def turns(*ordinals: int) -> list[Memory]:
    return [replace(TURN, id=f"m{number}", ordinal=number) for number in ordinals]


def held(*ordinals: int, characters: int = 10_000) -> RecentTurns:
    recent = RecentTurns(characters)
    recent.end(recent.begin("u", "s"), turns(*ordinals))
    return recent


def test_the_last_turns_are_at_hand_once_they_were_read() -> None:
    recent = RecentTurns()
    assert recent.last("u", "s", 1) is None
    recent = held(0, 1, 2)
    assert recent.last("u", "s", 2) == turns(1, 2)
    assert recent.last("u", "s", 9) == turns(0, 1, 2)
    assert recent.last("u", "s", 0) == []
    assert recent.last("v", "s", 1) is None
    recent.add("u", "s", turns(3))
    assert recent.last("u", "s", 2) == turns(2, 3)


def test_a_session_longer_than_what_is_held_says_so() -> None:
    recent = held(*range(TURNS - 1))
    recent.add("u", "s", turns(TURNS - 1, TURNS))
    assert recent.last("u", "s", TURNS) == turns(*range(1, TURNS + 1))
    assert recent.last("u", "s", TURNS + 1) is None


def test_what_was_read_before_a_write_is_not_held() -> None:
    for write in ("add", "miss", "drop"):
        recent = RecentTurns()
        filling, others = recent.begin("u", "s"), recent.begin("v", "s")
        {
            "add": lambda recent=recent: recent.add("u", "s", turns(5)),
            "miss": lambda recent=recent: recent.miss("u", "s"),
            "drop": lambda recent=recent: recent.drop("u"),
        }[write]()
        recent.end(filling, turns(0))
        recent.end(others, turns(1))
        assert recent.last("u", "s", 1) is None
        assert recent.last("v", "s", 1) == turns(1)


def test_nothing_stays_of_a_user_after_a_drop_or_out_of_order() -> None:
    recent = held(0, 1)
    assert recent.holds("u", ["m1"])
    assert not recent.holds("u", ["m7"])
    assert not recent.holds("v", ["m1"])
    recent.add("u", "s", turns(1))
    assert recent.last("u", "s", 1) is None
    recent = held(0, 1)
    recent.drop("u")
    assert not recent.has("u", "s")
    recent = held(0)
    recent.miss("u", "s")
    assert not recent.has("u", "s")


def test_the_sessions_asked_for_last_are_held_within_a_budget() -> None:
    recent = held(0, 1, characters=50)
    recent.end(recent.begin("v", "s"), turns(0, 1))
    recent.last("u", "s", 1)
    recent.end(recent.begin("w", "s"), turns(0, 1))
    assert [recent.has(user, "s") for user in "uvw"] == [True, False, True]
    recent.add("u", "s", turns(2, 3, 4, 5))
    assert not recent.has("u", "s") or not recent.has("w", "s")


def test_reading_that_failed_holds_nothing() -> None:
    recent = RecentTurns()
    recent.end(recent.begin("u", "s"), None)
    assert not recent.has("u", "s")
