import asyncio
import json
from typing import Any

import pytest

from actors.messages import Health
from configs.schema import EngineSettings, ServeSettings, Settings
from serve.catalog import served_name

CHAT = "/v1/chat/completions"


async def test_models_are_listed_and_found_by_name(client: Any) -> None:
    listed = (await client.get("/v1/models")).json()
    assert [one["id"] for one in listed["data"]] == ["smollm2-135m", "minilm-l6"]
    assert (await client.get("/v1/models/smollm2-135m")).json() == listed["data"][0]
    missing = await client.get("/v1/models/a/b")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_a_model_given_by_path_is_served_under_its_last_part() -> None:
    assert served_name(Settings(engine=EngineSettings(model="/models/small/"))) == "small"
    assert served_name(Settings(engine=EngineSettings(model="Org/Small"))) == "Org/Small"


async def test_a_retry_under_the_same_request_id_gets_the_same_reply_id(
    make_app: Any, make_client: Any
) -> None:
    keyed = Settings(api_keys=("ann:a", "bob:b"), engine=EngineSettings(kind="scripted"))

    async def ids(key: str, request_id: str, **body: Any) -> tuple[str, str]:
        headers = {"authorization": f"Bearer {key}", "x-request-id": request_id}
        said = {"messages": [{"role": "user", "content": "[[tool:f {}]]"}], **body, "model": "smollm2-135m"}
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        whole = (await client.post(CHAT, headers=headers, json={**said, "tools": [tool]})).json()
        return whole["id"], whole["choices"][0]["message"]["tool_calls"][0]["id"]

    async with make_app(keyed) as app, make_client(app) as client:
        first = await ids("a", "r1")
        assert await ids("a", "r1") == first
        others = [await ids("b", "r1"), await ids("a", "r2"), await ids("a", "r1", seed=1)]
    assert len({one for pair in (first, *others) for one in pair}) == 8


async def test_requests_of_one_id_at_once_do_not_disturb_each_other(client: Any, ask: Any) -> None:
    headers = {"x-request-id": "same"}
    bodies = [ask("[[text:a b c]][[delay:0.01]]"), ask("[[text:a b c]][[delay:0.01]]"), ask("[[text:d e]]")]
    replies = await asyncio.gather(*(client.post(CHAT, json=body, headers=headers) for body in bodies))
    texts = [reply.json()["choices"][0]["message"]["content"] for reply in replies]
    assert texts == ["a b c", "a b c", "d e"]


async def test_a_fixed_clock_makes_bodies_the_same_bytes(make_app: Any, make_client: Any, ask: Any) -> None:
    fixed = Settings(engine=EngineSettings(kind="scripted"), serve=ServeSettings(fixed_clock=1700000000))
    seen = []
    for _ in range(2):
        async with make_app(fixed) as app, make_client(app, headers={"x-request-id": "r"}) as client:
            replies = [
                await client.post(CHAT, json=ask("hello")),
                await client.post(CHAT, json=ask("hello", stream=True)),
                await client.post("/v1/completions", json={"model": "smollm2-135m", "prompt": "once"}),
                await client.get("/v1/models"),
            ]
        assert all(b"1700000000" in reply.content for reply in replies)
        seen.append([reply.content for reply in replies])
    assert seen[0] == seen[1]


async def test_readiness_tells_what_is_missing(
    app: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get("/ready")).status_code == 200

    async def sick() -> Health:
        return Health(ok=False, detail="loading")

    monkeypatch.setattr(app.state.services.generator, "health", sick)
    reply = await client.get("/ready")
    assert (reply.status_code, reply.json()["error"]["message"]) == (503, "generator: loading")
    assert reply.headers["retry-after"]
    assert (await client.get("/health")).status_code == 200


async def test_metrics_count_generations_under_vllms_names(client: Any, ask: Any) -> None:
    await client.post(CHAT, json=ask("[[text:a b]]"))
    text = (await client.get("/metrics")).text
    for line in (
        'vllm:generation_tokens_total{model_name="smollm2-135m"} 2.0',
        'vllm:request_success_total{finished_reason="stop",model_name="smollm2-135m"} 1.0',
        'vllm:time_to_first_token_seconds_count{model_name="smollm2-135m"} 1.0',
        'vllm:num_requests_running{model_name="smollm2-135m"} 0.0',
        'palimpsest_http_requests_total{route="/v1/chat/completions",status="200"} 1.0',
    ):
        assert line in text


async def test_every_reply_has_a_request_id(client: Any) -> None:
    given = await client.get("/health", headers={"x-request-id": "mine-1"})
    assert given.headers["x-request-id"] == "mine-1"
    forged = await client.get("/nowhere", headers={"x-request-id": "a b"})
    assert forged.headers["x-request-id"] not in ("", "a b")
    assert forged.json()["error"]["code"] == "unknown_url"


async def test_other_methods_and_bugs_are_error_objects(
    app: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = await client.get(CHAT)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["error"]["code"] == "method_not_allowed"

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(app.state.catalog, "created", broken)
    reply = await client.get("/v1/models", headers={"x-request-id": "r1"})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert "r1" in reply.json()["error"]["message"]
    assert reply.headers["x-request-id"] == "r1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"model": "\xc3"}',
        b'{"model": NaN}',
        b'{"model": 1' + b"0" * 5000 + b"}",
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"[" * 1_000_000,
        b'{"model": "\\ud800"}',
        b"{" + b",".join(b'"k%d":1' % number for number in range(20000)) + b"}",
    ],
)
async def test_hostile_bodies_are_a_400(client: Any, body: bytes) -> None:
    for path in (CHAT, "/v1/completions", "/v1/embeddings"):
        reply = await client.post(path, content=body, headers={"content-type": "application/json"})
        assert reply.status_code == 400, (body[:40], reply.text[:200])
        assert len(reply.content) < 2000
        assert json.loads(reply.content)["error"]["message"]


async def test_the_description_names_the_errors(client: Any) -> None:
    described = (await client.get("/openapi.json")).json()
    responses = described["paths"][CHAT]["post"]["responses"]
    assert {"200", "400", "401", "404", "413", "422", "503"} <= set(responses)
    assert responses["422"]["content"]["application/json"]["schema"]["$ref"].endswith("ErrorReply")
