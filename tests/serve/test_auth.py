from typing import Any

import pytest

from actors.messages import Unauthorized
from configs.schema import EngineSettings, Settings
from serve.auth import acting_user, identify, read_keys

KEYED = Settings(api_keys=("ann:secret-a", "secret-b"), engine=EngineSettings(kind="scripted"))


def test_entries_are_a_user_and_a_key_or_a_bare_key() -> None:
    assert read_keys(("ann:k:1", "bare")) == {"k:1": "ann", "bare": "default"}


def test_a_key_tells_its_user() -> None:
    users = read_keys(KEYED.api_keys)
    assert identify(users, "Bearer secret-a") == "ann"
    assert identify(users, "bearer secret-b") == "default"


@pytest.mark.parametrize(
    "header", ["", "secret-a", "Basic secret-a", "Bearer ", "Bearer wrong", "Bearer \xff"]
)
def test_anything_else_is_unauthorized(header: str) -> None:
    with pytest.raises(Unauthorized):
        identify(read_keys(KEYED.api_keys), header)


def test_only_an_open_server_believes_the_request_about_its_user() -> None:
    assert acting_user("ann", "bob", KEYED) == "ann"
    assert acting_user("default", "bob", Settings()) == "bob"
    assert acting_user("default", None, Settings()) == "default"


async def test_with_keys_only_health_and_readiness_are_open(make_app: Any, make_client: Any) -> None:
    async with make_app(KEYED) as app, make_client(app) as client:
        for path in ("/health", "/ready"):
            assert (await client.get(path)).status_code == 200
        refused = await client.get("/v1/models")
        allowed = await client.get("/v1/models", headers={"authorization": "Bearer secret-b"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert refused.headers["x-request-id"]
    assert allowed.status_code == 200


async def test_metrics_need_no_key_on_this_machine_only(make_app: Any) -> None:
    import httpx

    async with make_app(KEYED) as app:
        for address, status in (("127.0.0.1", 200), ("10.1.2.3", 401)):
            transport = httpx.ASGITransport(app, client=(address, 4))
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                assert (await client.get("/metrics")).status_code == status


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"host": "rebound.evil.example:8000"}],
)
async def test_an_open_server_refuses_foreign_pages_and_names(client: Any, headers: dict[str, str]) -> None:
    reply = await client.get("/v1/models", headers=headers)
    assert reply.status_code == 403
    assert reply.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://localhost:3000"}, {"host": "localhost:1"}, {"host": "[::1]:8000"}, {"host": "box"}],
)
async def test_an_open_server_answers_this_machine(client: Any, headers: dict[str, str]) -> None:
    assert (await client.get("/v1/models", headers=headers)).status_code == 200
