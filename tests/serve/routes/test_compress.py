"""POST /v1/compress over the scripted engine's tokenizer and the shipped policy."""

from typing import Any

import httpx
import pytest

from actors.compression.counting import ScriptedCounter
from configs.schema import CompressionSettings, EngineSettings, Settings

PROSE = (
    "The old harbour of Geneva was rebuilt in 1815 by people who came from other towns of the country, and "
    "the ships that carried grain, wine and stone did not have to wait outside any more when the wind was "
    "strong. Its light can be seen over 22 km and is described at https://example.com/light by its keepers. "
)
COUNT = ScriptedCounter().count


async def ask(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/compress", json=body)


@pytest.mark.parametrize("budget", [0.4, 0.5, 0.7])
async def test_a_text_is_cut_to_its_budget_with_its_facts_whole(
    client: httpx.AsyncClient, budget: float
) -> None:
    reply = await ask(client, text=PROSE, budget=budget)
    assert reply.status_code == 200, reply.text
    found = reply.json()
    assert not found["bypassed"]
    assert found["tokens_before"] == COUNT(PROSE)
    assert found["tokens_after"] == COUNT(found["text"])
    assert abs(found["tokens_after"] / found["tokens_before"] - budget) <= 0.02
    for fact in ("1815", "not have to wait", "22 km", "https://example.com/light"):
        assert fact in found["text"]
    assert all(PROSE[start:end] in found["text"] for start, end in found["kept"])


async def test_auto_is_the_default_tier(client: httpx.AsyncClient) -> None:
    assert (await ask(client, text=PROSE, budget="auto")).json()["budget"] == 0.5


async def test_a_short_text_comes_back_whole_unless_forced(client: httpx.AsyncClient) -> None:
    text = "The very first of many short texts about cats and dogs."
    whole = (await ask(client, text=text, budget=0.5)).json()
    forced = (await ask(client, text=text, budget=0.5, force=True)).json()
    assert whole["bypassed"]
    assert whole["text"] == text
    assert whole["kept"] == [[0, len(text)]]
    assert whole["why"]
    assert not forced["bypassed"]
    assert forced["tokens_after"] < forced["tokens_before"]


async def test_a_question_changes_what_is_kept(client: httpx.AsyncClient) -> None:
    asked = await ask(client, text=PROSE, budget=0.4, question="Who carried grain, wine and stone?")
    assert {"grain,", "wine", "stone"} <= set(asked.json()["text"].split())


async def test_what_is_protected_is_kept_beyond_the_budget(client: httpx.AsyncClient) -> None:
    found = (await ask(client, text="12.5 kg of 7 metres on 3 May 1999, " * 10, budget=0.2)).json()
    assert found["over_budget"]
    assert found["protected"] >= 30


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"text": "", "budget": 0.5}, "text"),
        ({"text": " \n", "budget": 0.5}, "text"),
        ({"text": "a", "budget": 0}, "budget"),
        ({"text": "a", "budget": -0.5}, "budget"),
        ({"text": "a", "budget": 1.01}, "budget"),
        ({"text": "a", "budget": "half"}, "budget"),
        ({"text": "a", "budget": None}, "budget"),
        ({"text": "a"}, "budget"),
        ({"budget": 0.5}, "text"),
        ({"text": ["a"], "budget": 0.5}, "text"),
        ({"text": "a", "budget": 0.5, "ratio": 2}, "ratio"),
        ({"text": "a", "budget": 0.5, "force": "yes"}, "force"),
    ],
)
async def test_bad_requests_name_their_fault(client: httpx.AsyncClient, body: Any, param: str) -> None:
    reply = await client.post("/v1/compress", json=body)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == param


async def test_a_text_past_the_limit_is_refused(make_app: Any, make_client: Any) -> None:
    limit = CompressionSettings(max_characters=1000)
    async with make_app(_scripted(limit)) as app, make_client(app) as client:
        reply = await ask(client, text="a " * 501, budget=0.5)
    assert reply.status_code == 413
    assert "compression.max_characters" in reply.json()["error"]["message"]


async def test_compression_can_be_off(make_app: Any, make_client: Any) -> None:
    off = _scripted(CompressionSettings(enabled=False))
    async with make_app(off) as app, make_client(app) as client:
        reply = await ask(client, text=PROSE, budget=0.5)
        ready = await client.get("/ready")
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "not_available"
    assert ready.json()["parts"]["compressor"]["ok"]


async def test_tokens_and_seconds_are_counted(client: httpx.AsyncClient) -> None:
    found = (await ask(client, text=PROSE, budget=0.5)).json()
    metrics = (await client.get("/metrics")).text
    assert f'palimpsest_compress_tokens_total{{when="before"}} {found["tokens_before"]}.0' in metrics
    assert f'palimpsest_compress_tokens_total{{when="after"}} {found["tokens_after"]}.0' in metrics
    assert 'palimpsest_compress_seconds_count{bypassed="false"} 1.0' in metrics


async def test_it_is_described_and_needs_a_key(
    client: httpx.AsyncClient, make_app: Any, make_client: Any
) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths["/v1/compress"]) == {"post"}
    keyed = Settings(engine=_scripted(CompressionSettings()).engine, api_keys=("ann:k1",))
    async with make_app(keyed) as app, make_client(app) as other:
        assert (await ask(other, text=PROSE, budget=0.5)).status_code == 401


def _scripted(compression: CompressionSettings) -> Settings:
    return Settings(engine=EngineSettings(kind="scripted"), compression=compression)
