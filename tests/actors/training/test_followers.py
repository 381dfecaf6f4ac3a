import asyncio
from dataclasses import replace

import pytest

from actors.messages import InvalidRequest
from actors.training import followers
from actors.training.followers import Followers
from actors.training.versions import Version

ONE = Version(
    id="one",
    base_model="m",
    base_model_hash="",
    parent=None,
    created_at=0.0,
    method="made",
    events=(),
    files={},
    path="",
)
TWO = replace(ONE, id="two")


async def test_a_version_is_prepared_once_every_replica_has_it() -> None:
    known = Followers()
    await known.prepare(ONE, 1)
    calls = [asyncio.create_task(known.follow(name)) for name in "ab"]
    await asyncio.sleep(0)
    preparing = asyncio.create_task(known.prepare(ONE, 60))
    assert await asyncio.gather(*calls) == [ONE, ONE]
    calls = [asyncio.create_task(known.follow("a", "one"))]
    await asyncio.sleep(0.01)
    assert not preparing.done()
    calls.append(asyncio.create_task(known.follow("b", "one")))
    await preparing
    refused = asyncio.create_task(known.prepare(TWO, 60))
    assert await asyncio.gather(*calls) == [TWO, TWO]
    calls = [
        asyncio.create_task(known.follow("a", "two")),
        asyncio.create_task(known.follow("b", "two", "no room")),
    ]
    with pytest.raises(InvalidRequest, match="no room"):
        await refused
    for call in calls:
        call.cancel()


async def test_a_replica_that_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "TURN_S", 0.0)
    monkeypatch.setattr(followers, "LOST_S", 0.0)
    known = Followers()
    assert await known.follow("gone") is None
    await known.prepare(ONE, 60)
