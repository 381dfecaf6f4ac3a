"""Several keepers as one: each user's calls reach one of them, whoever makes them."""

import inspect
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from actors.keeper import Keeper
from actors.keepers import Keepers, routed
from actors.memory.layout import opened
from actors.memory.partitions import partition_of
from actors.messages import Health, InvalidRequest, Locked, NotFound
from actors.spawn import Placement, here, node_id, on_ray, stop
from configs.schema import DocumentSettings

EXACT = DocumentSettings(vector_cache=False)
USERS = [f"user-{number}" for number in range(12)]


class Noting:
    """A keeper that says who it is."""

    def __init__(self, name: str, waiting: int = 0, detail: str = "") -> None:
        self.name = name
        self.waiting = waiting
        self.detail = detail

    async def get_file(self, user: str, file_id: str) -> str:
        return f"{self.name} {user} {file_id}"

    async def unembedded(self, limit: int = 256) -> list[tuple[str, str, str]]:
        return [(self.name, str(number), "") for number in range(min(limit, self.waiting))]

    async def memory_users(self) -> list[str]:
        return [self.name]

    async def health(self) -> Health:
        return Health(ok=self.detail != "ill", detail=self.detail)


def stand_in(*keepers: Noting) -> Keeper:
    return routed(cast(list[Keeper], list(keepers)))


def test_every_call_of_a_keeper_is_routed_or_asks_all() -> None:
    methods = [name for name, _ in inspect.getmembers(Keeper, inspect.isfunction) if not name.startswith("_")]
    keepers = stand_in(Noting("a"), Noting("b"))
    assert [name for name in methods if not callable(getattr(keepers, name, None))] == []
    for missing in ("_open", "no_such_call"):
        with pytest.raises(AttributeError):
            getattr(keepers, missing)


async def test_a_call_goes_to_the_users_partition() -> None:
    keepers = stand_in(Noting("0"), Noting("1"), Noting("2"))
    for user in USERS:
        expected = f"{partition_of(user, 3)} {user} f"
        assert await keepers.get_file(user, "f") == await keepers.get_file(user=user, file_id="f") == expected
    assert {partition_of(user, 3) for user in USERS} == {0, 1, 2}


async def test_what_concerns_all_is_asked_of_all() -> None:
    keepers = stand_in(Noting("a", 3), Noting("b", 1), Noting("c", 0))
    assert await keepers.unembedded(3) == [("a", "0", ""), ("b", "0", ""), ("a", "1", "")]
    assert await keepers.memory_users() == ["a", "b", "c"]
    assert await keepers.health() == Health(ok=True)
    assert await stand_in(Noting("a"), Noting("b", detail="ill")).health() == Health(
        ok=False, detail="partition 0: ; partition 1: ill"
    )


def test_one_keeper_stands_for_itself_and_several_can_be_sent() -> None:
    one = cast(Keeper, Noting("a"))
    assert routed([one]) is one
    sent = pickle.loads(pickle.dumps(Keepers([one, one])))
    assert isinstance(sent, Keepers)
    assert [keeper.name for keeper in cast(Any, sent)._keepers] == ["a", "a"]


@pytest.fixture(params=["here", pytest.param("ray", marks=pytest.mark.ray)])
async def keepers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Keeper]]:
    """Two partitions, in this process or as actors."""
    if request.param == "ray":
        request.getfixturevalue("ray_runtime")
    with opened(tmp_path, 2) as directories:
        made = [
            here(Keeper, directory, EXACT)
            if request.param == "here"
            else on_ray(
                Keeper,
                directory,
                EXACT,
                placement=Placement(name=f"{tmp_path.name}-{number}", num_cpus=0, node=node_id()),
            )
            for number, directory in enumerate(directories)
        ]
        yield made
        for keeper in made:
            await stop(keeper)


async def test_two_keepers_serve_their_users(keepers: list[Keeper], adder: Any) -> None:
    both = routed(keepers)
    await both.start()
    add = adder(both)
    stored = {user: await add("a.txt", f"the harbour of {user}", user=user, event="e") for user in USERS}
    query = np.eye(1, 16, dtype=np.float32)[0]
    for user, info in stored.items():
        (found,) = await both.search(user, "harbour", query)
        assert found.text == f"the harbour of {user}"
        other = 1 - partition_of(user, 2)
        assert await keepers[other].list_files(user) == []
        with pytest.raises(NotFound):
            await keepers[other].get_file(user, info.id)
    with pytest.raises(InvalidRequest):
        await both.list_files("")
    await both.cache_settled()
    assert await both.health() == Health(ok=True, detail="vector cache: not wanted")


async def test_one_that_cannot_be_opened_keeps_none_half_open(tmp_path: Path) -> None:
    with opened(tmp_path, 2) as directories:
        taken = Keeper(directories[1], EXACT)
        await taken.start()
        both = routed([Keeper(directory, EXACT) for directory in directories])
        with pytest.raises(Locked):
            await both.start()
        await both.close()
        await taken.close()
        await both.start()
        await both.close()
