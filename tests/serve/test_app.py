"""The application in Ray Serve, through its real proxy."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil
import pytest
import ray
from websockets.asyncio.client import connect

pytestmark = pytest.mark.ray
HELLO = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "hello"}]}
SLOW = {**HELLO, "messages": [{"role": "user", "content": "[[tokens:500]] [[delay:0.05]]"}]}


@pytest.fixture
async def client(ray_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=ray_url, timeout=60) as http:
        yield http


def _replica() -> psutil.Process:
    family = psutil.Process().children(recursive=True)
    return next(one for one in family if " ".join(one.cmdline()).startswith("ray::ServeReplica"))


async def _ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(100):
        while (await client.get("/ready")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_chat(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/chat/completions", json=HELLO)
    assert reply.status_code == 200
    assert "hello" in reply.json()["choices"][0]["message"]["content"]


async def test_the_compressor_is_an_actor_of_its_own(client: httpx.AsyncClient) -> None:
    text = "The lamp on the tower was lit by hand each evening for 80 years and did not go out. " * 6
    found = (await client.post("/v1/compress", json={"text": text, "budget": 0.6})).json()
    assert abs(found["tokens_after"] / found["tokens_before"] - 0.6) <= 0.02
    assert found["text"].count("80 years") == 6
    assert (await client.get("/ready")).json()["parts"]["compressor"]["ok"]


async def test_what_was_promoted_answers_every_request_that_begins_afterwards(
    client: httpx.AsyncClient, make_adapter: Callable[..., Path]
) -> None:
    made = [{"path": str(make_adapter(seed=seed))} for seed in (101, 102)]
    taken = [(await client.post("/v1/adapters/import", json=body)).json()["version"] for body in made]

    async def version() -> str:
        reply = await client.post("/v1/chat/completions", json=HELLO)
        said = reply.json()["choices"][0]["message"]["content"]
        named = reply.headers["x-palimpsest-adapter"]
        assert said.startswith(f"[{named}]") or named == "none"
        return named

    for one in taken:
        slow = asyncio.create_task(client.post("/v1/chat/completions", json=SLOW))
        assert (await client.post(f"/v1/adapters/{one}/promote", json={"force": True})).status_code == 200
        assert await version() == one
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
    for before in (taken[0], "none"):
        assert (await client.post("/v1/adapters/rollback", json={})).status_code == 200
        assert await version() == before


async def test_a_stream_comes_in_events_and_ends(client: httpx.AsyncClient) -> None:
    async with client.stream("POST", "/v1/chat/completions", json={**HELLO, "stream": True}) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in reply.aiter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[0].removeprefix("data: "))["choices"][0]["delta"]["role"] == "assistant"


async def test_the_clients_request_id_comes_back_once(client: httpx.AsyncClient) -> None:
    reply = await client.get("/health", headers={"x-request-id": "mine-1"})
    assert reply.headers.get_list("x-request-id") == ["mine-1"]


async def test_a_fine_tuned_model_answers_and_its_figures_are_among_rays(client: httpx.AsyncClient) -> None:
    chat = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Varn."}]
    form = {"file": ("chats.jsonl", (json.dumps({"messages": chat}) + "\n") * 12)}
    file = (await client.post("/v1/files", files=form, data={"purpose": "fine-tune"})).json()
    body = {"model": HELLO["model"], "training_file": file["id"], "hyperparameters": {"n_epochs": 1}}
    job = (await client.post("/v1/fine_tuning/jobs", json=body)).json()
    path = f"/v1/fine_tuning/jobs/{job['id']}"
    events = (await client.get(f"{path}/events?stream=true")).text
    assert "The job has successfully completed" in events
    name = (await client.get(path)).json()["fine_tuned_model"]
    reply = (await client.post("/v1/chat/completions", json={**HELLO, "model": name})).json()
    assert reply["choices"][0]["message"]["content"].startswith(f"[{name}]")
    assert (await client.delete(f"/v1/models/{name}")).json()["deleted"]
    assert (await client.post("/v1/chat/completions", json={**HELLO, "model": name})).status_code == 404
    node = ray.nodes()[0]
    shown = ""
    async with asyncio.timeout(60):
        while f'job="{job["id"]}"' not in shown:
            await asyncio.sleep(0.5)
            metrics = await client.get(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics")
            shown = "\n".join(line for line in metrics.text.splitlines() if "palimpsest_train" in line)
    for metric in ("step", "loss", "tokens_per_second", "memory_bytes"):
        assert f"ray_palimpsest_train_{metric}{{" in shown


async def test_every_reply_has_one_request_id(client: httpx.AsyncClient) -> None:
    reply = await client.get("/health", headers={"x-request-id": "not a plain token"})
    assert len(reply.headers.get_list("x-request-id")) == 1
    assert reply.headers["x-request-id"] != "not a plain token"


async def test_errors_are_the_applications(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/chat/completions", json={"messages": []})
    assert reply.status_code == 400
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_client_cannot_switch_off_the_proxys_limits(client: httpx.AsyncClient) -> None:
    reply = await client.get("/health", headers={"x-request-timeout-seconds": "0.000001"})
    assert reply.status_code == 200


async def test_websocket(ray_url: str) -> None:
    async with connect(ray_url.replace("http", "ws") + "/v1/chat/ws") as socket:
        await socket.send(json.dumps(HELLO))
        first = json.loads(await socket.recv())
    assert "error" not in first


async def test_a_full_queue_is_503_with_retry_after(client: httpx.AsyncClient) -> None:
    brief = {**HELLO, "messages": [{"role": "user", "content": "[[tokens:10]] [[delay:0.05]]"}]}
    replies = await asyncio.gather(*(client.post("/v1/chat/completions", json=brief) for _ in range(20)))
    refused = [reply for reply in replies if reply.status_code == 503]
    assert {reply.status_code for reply in replies} == {200, 503}
    assert all(reply.headers["retry-after"] for reply in refused)
    assert {reply.json()["error"]["code"] for reply in refused} == {"overloaded"}


async def test_leaving_a_stream_stops_the_work(client: httpx.AsyncClient) -> None:
    async with client.stream("POST", "/v1/chat/completions", json={**SLOW, "stream": True}) as reply:
        lines = reply.aiter_lines()
        await anext(lines)
        assert await _running(client) == 1
    async with asyncio.timeout(20):
        while await _running(client):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _running(client: httpx.AsyncClient) -> int:
    lines = (await client.get("/metrics")).text.splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running")))


async def test_a_replica_that_dies_under_a_stream_ends_it_with_an_error_event(
    client: httpx.AsyncClient,
) -> None:
    async with client.stream("POST", "/v1/chat/completions", json={**SLOW, "stream": True}) as reply:
        lines = reply.aiter_lines()
        await anext(lines)
        os.kill(_replica().pid, signal.SIGKILL)
        rest = [line async for line in lines if line]
    assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "not_ready"
    await _ready(client)


async def test_documents_outlive_a_killed_replica(client: httpx.AsyncClient) -> None:
    form = {"purpose": "assistants"}
    reply = await client.post("/v1/files", files={"file": ("kept.txt", b"The keeper lives on.")}, data=form)
    assert reply.status_code == 200, reply.text
    kept = reply.json()["id"]
    replica = _replica()
    os.kill(replica.pid, signal.SIGKILL)
    await asyncio.to_thread(replica.wait)
    await _ready(client)
    assert _replica().pid != replica.pid
    assert (await client.get(f"/v1/files/{kept}")).json()["filename"] == "kept.txt"


async def test_a_replica_that_dies_under_a_request_gives_an_error_object(client: httpx.AsyncClient) -> None:
    asking = asyncio.create_task(client.post("/v1/chat/completions", json=SLOW))
    async with asyncio.timeout(20):
        while not await _running(client):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    os.kill(_replica().pid, signal.SIGKILL)
    reply = await asking
    assert reply.status_code == 503
    assert reply.headers["retry-after"]
    assert reply.json()["error"]["code"] == "not_ready"
    await _ready(client)
