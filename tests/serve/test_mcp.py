"""The memory verbs as tools, asked by the protocol's own client over HTTP and over stdio."""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.messages import InvalidRequest
from configs.schema import EngineSettings, ModelSettings, Settings
from serve.services import Services
from serve.verbs import VERBS, call_of
from serve.web import build_app

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server over a real store, with two users' keys."""
    from tests.serve.conftest import listening

    home = tmp_path_factory.mktemp("mcp")
    settings = Settings(
        home=home,
        api_keys=("ann:k1", "bob:k2"),
        engine=EngineSettings(kind="scripted"),
        models=ModelSettings(embedder="hash"),
    )
    services = Services(
        settings=settings,
        generator=Generator(settings),
        embedder=Embedder(settings),
        keeper=Keeper(home / "store", settings.documents, memory=settings.memory),
        compressor=Compressor(settings),
    )
    parts = (services.generator, services.embedder, services.keeper)
    for part in parts:
        await part.start()
    async with listening(build_app(services)) as found:
        yield found
    await services.filling.close()
    for part in parts:
        await part.close()


@asynccontextmanager
async def over_http(url: str, key: str, mode: Any = "auto") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=60) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


@asynccontextmanager
async def over_stdio(url: str, key: str, user: str) -> AsyncIterator[Client]:
    command = ["-m", "cluster", "mcp", "--url", url, "--api-key", key, "--user", user]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = StdioServerParameters(command=sys.executable, args=command, env=environment, cwd=ROOT)
    async with Client(server) as client:
        yield client


async def use(client: Client, verb: str, **arguments: Any) -> Any:
    """What a tool gives."""
    result = await client.call_tool(verb, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]
    return result.structured_content


async def refusal(client: Client, verb: str, **arguments: Any) -> str:
    """Why a tool refuses."""
    result = await client.call_tool(verb, arguments)
    assert result.is_error
    return str(result.content[0].text)  # type: ignore[union-attr]


async def every_verb(client: Client, town: str) -> None:
    """A memory's whole life."""
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == list(VERBS)
    assert all(tool.description and "user_id" not in tool.input_schema["properties"] for tool in tools)
    added = await use(client, "add", text=f"I live in {town}.", run_id="s", event_id=f"e-{town}")
    (one,) = added["results"]
    assert one["event"] == "ADD"
    again = await use(client, "add", text=f"I live in {town}.", run_id="s", event_id=f"e-{town}")
    assert again["results"][0]["id"] == one["id"]
    found = await use(client, "search", query="Where do I live?", limit=3)
    assert found["results"][0]["memory"] == f"I live in {town}."
    assert (await use(client, "get", memory_id=one["id"]))["run_id"] == "s"
    await use(client, "update", memory_id=one["id"], text=f"I live near {town}.")
    changes = (await use(client, "history", memory_id=one["id"]))["results"]
    assert [change["event"] for change in changes] == ["ADD", "UPDATE"]
    assert [memory["id"] for memory in (await use(client, "get_all", run_id="s"))["results"]] == [one["id"]]
    would = await use(client, "forget", matching=town, dry_run=True)
    assert would["memory_ids"] == [one["id"]]
    await use(client, "delete", memory_id=one["id"])
    assert "no memory" in await refusal(client, "get", memory_id=one["id"])
    other = await use(client, "add", text=f"{town} is hot.")
    gone = await use(client, "forget", everything=True)
    assert gone["memory_ids"] == [other["results"][0]["id"]]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_every_verb_over_http(url: str, mode: str) -> None:
    async with over_http(url, "k1", mode) as client:
        await every_verb(client, f"Faro{mode}")


async def test_every_verb_over_stdio(url: str) -> None:
    async with over_stdio(url, "k1", "ann") as client:
        await every_verb(client, "Porto")


async def test_a_key_reaches_its_own_users_memories_only(url: str) -> None:
    async with over_http(url, "k1") as ann, over_http(url, "k2") as bob:
        (one,) = (await use(ann, "add", text="My dog is called Biscuit."))["results"]
        assert (await use(bob, "search", query="What is my dog called?"))["results"] == []
        assert "no memory" in await refusal(bob, "get", memory_id=one["id"])
        assert "user_id" in await refusal(bob, "search", query="dog", user_id="ann")
        async with over_stdio(url, "k2", "ann") as thief:
            assert "bob" in await refusal(thief, "search", query="dog")
        await use(ann, "forget", everything=True)


async def test_wrong_calls_say_what_is_wrong(url: str) -> None:
    async with over_http(url, "k1") as client:
        assert "there is no tool 'sing'" in await refusal(client, "sing")
        assert "text" in await refusal(client, "add")
        assert "as_of" in await refusal(client, "search", query="x", as_of="the day after")


async def test_without_a_key_there_is_no_answer(url: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient() as http:
        reply = await http.post(f"{url}/mcp", json=body, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
        keyed = await http.get(f"{url}/mcp", headers={"authorization": "Bearer k1"})
        assert keyed.status_code == 405


@pytest.mark.parametrize(
    ("verb", "arguments", "method", "path"),
    [
        ("add", {"text": "x"}, "POST", "/v1/memories"),
        ("search", {"query": "x"}, "POST", "/v1/memories/search"),
        ("get", {"memory_id": "../x?y"}, "GET", "/v1/memories/..%2Fx%3Fy"),
        ("history", {"memory_id": "m"}, "GET", "/v1/memories/m/history"),
    ],
)
def test_a_verb_is_one_request(verb: str, arguments: Any, method: str, path: str) -> None:
    call = call_of(verb, arguments)
    assert (call.method, call.path) == (method, path)


@pytest.mark.parametrize("arguments", [{}, {"text": ""}, {"text": "x", "user_id": "bob"}, {"text": 5}])
def test_arguments_are_checked(arguments: Any) -> None:
    with pytest.raises(InvalidRequest, match="add: "):
        call_of("add", arguments)


@pytest.mark.ray
async def test_every_verb_through_ray_serve(ray_url: str) -> None:
    async with over_http(ray_url, "none") as client:
        await every_verb(client, "Braga")
