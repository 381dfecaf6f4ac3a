"""The loop over HTTP: who may have it learn, and who sees what it learned."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.rounds import LoopStatus, Rounds
from actors.training.rounds import Round
from configs.schema import EngineSettings, ModelSettings, Settings
from serve.services import Services
from serve.web import build_app

KEYS = {name: {"authorization": f"Bearer {name}-key"} for name in ("ann", "bob")}


class FakeRounds:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.hours = 0.0

    async def ask(self, wanted: Sequence[str] | None = None) -> tuple[str, ...]:
        self.asked.append(wanted)
        return tuple(wanted or ("", "ann"))

    async def schedule(self, hours: float) -> None:
        self.hours = hours

    async def status(self) -> LoopStatus:
        rounds = tuple(Round(id=f"r-{who}", scope=who, created_at=1.0) for who in ("", "ann", "bob"))
        return LoopStatus(running="bob", waiting=("ann", "bob"), next_at=None, fault="no room", rounds=rounds)


@pytest.fixture
def rounds() -> FakeRounds:
    return FakeRounds()


@pytest.fixture
async def client(tmp_path: Path, rounds: FakeRounds) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        home=tmp_path,
        api_keys=("ann:ann-key", "bob:bob-key"),
        engine=EngineSettings(kind="scripted"),
        models=ModelSettings(embedder="hash"),
    )
    generator = Generator(settings)
    await generator.start()
    services = Services(
        settings=settings,
        generator=generator,
        embedder=cast(Embedder, None),
        keeper=cast(Keeper, None),
        compressor=cast(Compressor, None),
        rounds=cast(Rounds, rounds),
    )
    transport = httpx.ASGITransport(build_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def asked(client: httpx.AsyncClient, who: str, method: str, path: str, **body: Any) -> httpx.Response:
    given = {"json": body} if method != "GET" else {}
    return await client.request(method, f"/v1/train/{path}", headers=KEYS[who], **given)  # type: ignore[arg-type]


async def test_users_have_it_learn_for_themselves_and_who_runs_it_for_all(
    client: httpx.AsyncClient, rounds: FakeRounds
) -> None:
    assert (await asked(client, "bob", "POST", "interactions")).status_code == 403
    assert (await asked(client, "bob", "POST", "interactions", user_id="ann")).status_code == 403
    reply = await asked(client, "bob", "POST", "interactions", user_id="bob")
    assert (reply.status_code, reply.json()) == (202, {"waiting": ["bob"]})
    assert (await asked(client, "ann", "POST", "interactions")).json() == {"waiting": ["", "ann"]}
    assert rounds.asked == [["bob"], None]


async def test_users_see_their_own_rounds(client: httpx.AsyncClient) -> None:
    every = (await asked(client, "ann", "GET", "status")).json()
    assert [one["user_id"] for one in every["rounds"]] == ["", "ann", "bob"]
    assert (every["running"], every["fault"]) == ("bob", "no room")
    own = (await asked(client, "bob", "GET", "status")).json()
    assert [one["id"] for one in own["rounds"]] == ["r-bob"]
    assert (own["running"], own["waiting"], own["fault"]) == ("bob", ["bob"], "")


async def test_who_runs_it_sets_the_clock(client: httpx.AsyncClient, rounds: FakeRounds) -> None:
    assert (await asked(client, "bob", "PUT", "schedule", every_hours=1)).status_code == 403
    assert (await asked(client, "ann", "PUT", "schedule", every_hours=-1)).status_code == 422
    assert (await asked(client, "ann", "PUT", "schedule", every_hours=24)).status_code == 200
    assert rounds.hours == 24
