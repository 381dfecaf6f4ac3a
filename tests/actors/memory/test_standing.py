from typing import Any

from actors.keeper import Keeper
from actors.memory import standing
from actors.memory.asking import Asked
from actors.memory.records import NewMemory

HOME = ("user", "home")


async def test_facts_of_what_is_found_and_of_what_is_asked(keeper: Keeper) -> None:
    for moment, text in enumerate(
        ["I live in Porto.", "I moved to Lisbon.", "My cat is called Nero."], start=1
    ):
        await keeper.remember("u", f"e{moment}", [NewMemory(text=text, said_at=float(moment))])
    await keeper.remember("other", "e", [NewMemory(text="I live in Faro.", said_at=1.0)])

    async def found(numbers: list[int], *asked: Asked, as_of: float | None = None) -> Any:
        states = await keeper._open.read(standing.states, 1, numbers, asked, as_of)
        return [(one.memory, one.value, one.ended_by) for one in states if (one.subject, one.slot) == HOME]

    both = [(2, "Lisbon", None), (1, "Porto", 2)]
    assert await found([1]) == await found([], Asked(*HOME)) == both
    assert await found([3]) == await found([4]) == []
    assert await found([2], as_of=1.5) == [(1, "Porto", None)]
    assert await found([1], as_of=0.5) == []
