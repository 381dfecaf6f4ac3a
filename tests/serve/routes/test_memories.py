import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serve.services import Services
from serve.web import build_app

DAY = "2026-05-01T12:00:00Z"


@pytest.fixture
async def client(documents_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of the application over a real keeper."""
    return documents_client


async def added(client: httpx.AsyncClient, text: str, user: str = "ann", **more: Any) -> str:
    """The id of a text that is now remembered."""
    reply = await client.post("/v1/memories", json={"text": text, "user_id": user, **more})
    assert reply.status_code == 200, reply.text
    (one,) = reply.json()["results"]
    return str(one["id"])


async def search(client: httpx.AsyncClient, query: str, user: str = "ann", **more: Any) -> list[Any]:
    """What is found for a query."""
    reply = await client.post("/v1/memories/search", json={"query": query, "user_id": user, **more})
    assert reply.status_code == 200, reply.text
    results: list[Any] = reply.json()["results"]
    return results


async def texts(client: httpx.AsyncClient, user: str = "ann", **filters: Any) -> list[str]:
    """All of a user's texts, newest first."""
    reply = await client.get("/v1/memories", params={"user_id": user, **filters})
    assert reply.status_code == 200, reply.text
    return [one["memory"] for one in reply.json()["results"]]


def keyed(services: Services, *keys: str) -> httpx.AsyncClient:
    """A client of a server that wants keys, as the user of the first one."""
    settings = services.settings.model_copy(update={"api_keys": keys})
    app = build_app(dataclasses.replace(services, settings=settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {keys[0].partition(':')[2]}"}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


async def test_messages_are_remembered_in_order_without_the_instructions(client: httpx.AsyncClient) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "I live in Porto.", "name": "Ann"},
        {"role": "assistant", "content": [{"type": "text", "text": "Since when?"}]},
        {"role": "user", "content": "  "},
    ]
    body = {"messages": messages, "user_id": "ann", "run_id": "s1", "agent_id": "a1", "timestamp": DAY}
    reply = await client.post("/v1/memories", json={**body, "metadata": {"k": [1]}, "infer": False})
    assert [(one["memory"], one["event"]) for one in reply.json()["results"]] == [
        ("I live in Porto.", "ADD"),
        ("Since when?", "ADD"),
    ]
    found = (await client.get("/v1/memories", params={"user_id": "ann"})).json()
    assert (found["count"], found["page"], found["page_size"]) == (2, 1, 100)
    one = found["results"][-1]
    assert one["memory"] == "I live in Porto."
    assert (one["user_id"], one["run_id"], one["agent_id"]) == ("ann", "s1", "a1")
    assert (one["role"], one["name"], one["kind"]) == ("user", "Ann", "turn")
    assert one["valid_from"] == "2026-05-01T12:00:00+00:00"
    assert one["metadata"] == {"k": [1]}
    assert (await client.get(f"/v1/memories/{one['id']}", params={"user_id": "ann"})).json() == one


async def test_a_string_of_messages_and_a_text_are_one_memory_each(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/memories", json={"messages": "I play chess.", "user_id": "ann"})
    assert len(reply.json()["results"]) == 1
    await added(client, "Ann likes tea.")
    found = (await client.get("/v1/memories", params={"user_id": "ann"})).json()["results"]
    assert {one["memory"]: one["kind"] for one in found} == {
        "I play chess.": "turn",
        "Ann likes tea.": "note",
    }


async def test_only_instructions_are_nothing_to_remember(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "system", "content": "Be brief."}], "user_id": "ann"}
    assert (await client.post("/v1/memories", json=body)).json() == {"results": []}


@pytest.mark.parametrize("where", ["body", "header"])
async def test_the_same_event_twice_writes_once(client: httpx.AsyncClient, where: str) -> None:
    body: dict[str, Any] = {"messages": "I live in Porto.", "user_id": "ann"}
    headers = {}
    if where == "body":
        body["event_id"] = "e1"
    else:
        headers["idempotency-key"] = "e1"
    first = (await client.post("/v1/memories", json=body, headers=headers)).json()
    again = (await client.post("/v1/memories", json=body, headers=headers)).json()
    assert again == first
    assert len(await texts(client)) == 1
    both = {**body, "event_id": "e1"}
    refused = await client.post("/v1/memories", json=both, headers={"idempotency-key": "e2"})
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "user_id"),
        ({"user_id": "u"}, 400, None),
        ({"user_id": "u", "text": "a", "messages": "b"}, 400, None),
        ({"user_id": "u", "text": "a", "infer": True}, 400, "infer"),
        ({"user_id": "u", "text": "a", "colour": 1}, 400, "colour"),
        ({"user_id": "u", "text": 1}, 400, "text"),
        ({"user_id": "u", "text": "a", "ttl": 5, "expiration_date": "2999-01-01"}, 400, None),
        ({"user_id": "", "text": "a"}, 422, "user_id"),
        ({"user_id": "u" * 300, "text": "a"}, 422, "user_id"),
        ({"user_id": "u", "text": " "}, 422, "text"),
        ({"user_id": "u", "messages": []}, 422, "messages"),
        ({"user_id": "u", "messages": [{"role": "robot", "content": "a"}]}, 422, "messages[0].role"),
        ({"user_id": "u", "messages": [{"role": "user", "content": "a", "name": "n" * 300}]}, 422, None),
        ({"user_id": "u", "text": "a", "timestamp": "soon"}, 422, "timestamp"),
        ({"user_id": "u", "text": "a", "timestamp": 1.7e12}, 422, "timestamp"),
        ({"user_id": "u", "text": "a", "expiration_date": "2001-01-01"}, 422, "expiration_date"),
        ({"user_id": "u", "text": "a", "ttl": 0}, 422, "ttl"),
        ({"user_id": "u", "text": "a", "importance": 1.5}, 422, "importance"),
        ({"user_id": "u", "text": "a", "metadata": {"a": "x" * 20_000}}, 422, "metadata"),
        ({"user_id": "u", "text": "a", "metadata": {"a": [[[[[[[[[1]]]]]]]]]}}, 422, "metadata"),
        ({"user_id": "u", "text": "a" * 30_000}, 413, "text"),
        ({"user_id": "u", "text": "a", "event_id": ""}, 422, "event_id"),
    ],
)
async def test_a_bad_write_is_refused_and_stores_nothing(
    client: httpx.AsyncClient, body: Any, status: int, param: str | None
) -> None:
    reply = await client.post("/v1/memories", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text
    assert await texts(client, "u") == []


async def test_numbers_that_json_has_not_are_refused(client: httpx.AsyncClient) -> None:
    content = b'{"user_id": "u", "text": "a", "metadata": {"a": 1e999}}'
    headers = {"content-type": "application/json"}
    reply = await client.post("/v1/memories", content=content, headers=headers)
    assert (reply.status_code, reply.json()["error"]["param"]) == (422, "metadata")


async def test_search_finds_a_users_own_and_says_why(client: httpx.AsyncClient) -> None:
    await added(client, "I moved to Porto in spring.", metadata={"source": "chat"})
    await added(client, "My cat is called Lyra.")
    await added(client, "I moved to Oslo.", user="bob")
    best, *_ = await search(client, "Where did I move to?")
    assert best["memory"] == "I moved to Porto in spring."
    assert best["metadata"] == {"source": "chat"}
    assert {"id", "score", "run_id", "created_at", "valid_from", "valid_to"} <= best.keys()
    assert best["parts"]
    assert best["why"]
    assert all(hit["user_id"] == "bob" for hit in await search(client, "move", "bob"))
    assert len(await search(client, "I", limit=1)) == 1
    assert len(await search(client, "I", top_k=1)) == 1


async def test_what_holds_stands_first_and_as_of_asks_the_past(client: httpx.AsyncClient) -> None:
    old = await added(client, "I live in Lisbon.", timestamp="2026-01-01")
    new = await added(client, "I live in Porto.", timestamp="2026-06-01")
    assert (await search(client, "Where do I live?"))[0]["id"] == new
    then = await search(client, "Where do I live?", as_of="2026-03-01T00:00:00Z")
    assert [hit["id"] for hit in then] == [old]
    first = (await client.get(f"/v1/memories/{old}", params={"user_id": "ann"})).json()
    assert first["valid_to"] == "2026-06-01T00:00:00+00:00"
    assert first["superseded_by"] == new
    (fact,) = (await client.get("/v1/memories/facts", params={"user_id": "ann"})).json()["results"]
    assert (fact["subject"], fact["value"], fact["memory_id"]) == ("user", "Porto", new)
    asked = {"user_id": "ann", "slot": fact["slot"], "as_of": "2026-03-01"}
    (past,) = (await client.get("/v1/memories/facts", params=asked)).json()["results"]
    assert past["value"] == "Lisbon"
    asked = {"user_id": "ann", "history": "true"}
    assert len((await client.get("/v1/memories/facts", params=asked)).json()["results"]) == 2


async def test_an_update_keeps_the_old_text_in_the_history(client: httpx.AsyncClient) -> None:
    memory_id = await added(client, "I live in Lisbon.")
    path, ann = f"/v1/memories/{memory_id}", {"user_id": "ann"}
    body = {"text": "I live in Porto.", "metadata": {"by": "hand"}, "pinned": True, "importance": 0.9}
    changed = (await client.put(path, params=ann, json=body)).json()
    assert changed["memory"] == "I live in Porto."
    assert (changed["metadata"], changed["pinned"], changed["importance"]) == ({"by": "hand"}, True, 0.9)
    changes = (await client.get(f"{path}/history", params=ann)).json()
    assert [(one["event"], one["old_memory"], one["new_memory"]) for one in changes] == [
        ("ADD", None, "I live in Lisbon."),
        ("UPDATE", "I live in Lisbon.", "I live in Porto."),
    ]
    assert {one["memory_id"] for one in changes} == {memory_id}
    assert (await client.put(path, params=ann, json={"data": "I live in Faro."})).json()[
        "memory"
    ] == "I live in Faro."
    assert (await search(client, "Faro"))[0]["id"] == memory_id
    archived = (await client.put(path, params=ann, json={"archived": True})).json()
    assert archived["archived_at"]
    assert await search(client, "Faro") == []
    assert [hit["id"] for hit in await search(client, "Faro", archived=True)] == [memory_id]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"text": None}, 400),
        ({"event_id": "e"}, 400),
        ({"text": "a", "data": "b"}, 400),
        ({"colour": 1}, 400),
        ({"text": ""}, 422),
        ({"importance": 2}, 422),
        ({"text": "a" * 30_000}, 413),
    ],
)
async def test_a_bad_update_changes_nothing(client: httpx.AsyncClient, body: Any, status: int) -> None:
    memory_id = await added(client, "I live in Lisbon.")
    reply = await client.put(f"/v1/memories/{memory_id}", params={"user_id": "ann"}, json=body)
    assert reply.status_code == status
    assert await texts(client) == ["I live in Lisbon."]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/memories/{}"),
        ("PUT", "/v1/memories/{}"),
        ("DELETE", "/v1/memories/{}"),
        ("GET", "/v1/memories/{}/history"),
    ],
)
async def test_another_users_memory_is_not_there(client: httpx.AsyncClient, method: str, path: str) -> None:
    memory_id = await added(client, "I live in Lisbon.")
    for user, wanted in (("bob", memory_id), ("ann", "mem_unknown")):
        body = {"json": {"text": "x"}} if method == "PUT" else {}
        reply = await client.request(method, path.format(wanted), params={"user_id": user}, **body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert await texts(client) == ["I live in Lisbon."]


async def test_a_deleted_memory_is_gone_and_leaves_a_tombstone(client: httpx.AsyncClient) -> None:
    memory_id = await added(client, "I live in Lisbon.", event_id="e1")
    ann = {"user_id": "ann"}
    gone = (await client.delete(f"/v1/memories/{memory_id}", params=ann)).json()
    assert gone["deleted"] == 1
    assert await search(client, "Lisbon") == []
    assert (await client.get(f"/v1/memories/{memory_id}/history", params=ann)).status_code == 404
    (stone,) = (await client.get("/v1/memories/tombstones", params=ann)).json()["results"]
    assert (stone["memory_id"], stone["event_id"]) == (memory_id, "e1")
    later = {**ann, "after": "2999-01-01"}
    assert (await client.get("/v1/memories/tombstones", params=later)).json()["results"] == []


async def test_delete_all_takes_what_meets_the_filters_and_never_more(client: httpx.AsyncClient) -> None:
    await added(client, "One of s1.", run_id="s1")
    await added(client, "One of s2.", run_id="s2")
    await added(client, "Of bob.", user="bob")
    for bad in ({}, {"user_id": "ann", "run_di": "s1"}, {"user_id": "ann", "run_id": ""}):
        assert (await client.delete("/v1/memories", params=bad)).status_code in (400, 422)
    assert len(await texts(client)) == 2
    gone = await client.delete("/v1/memories", params={"user_id": "ann", "run_id": "s1"})
    assert gone.json()["deleted"] == 1
    assert await texts(client) == ["One of s2."]
    assert (await client.delete("/v1/memories", params={"user_id": "ann"})).json()["deleted"] == 1
    assert await texts(client) == []
    assert await texts(client, "bob") == ["Of bob."]


async def test_forget_shows_first_and_then_takes_it(client: httpx.AsyncClient) -> None:
    ids = [await added(client, f"I saw {what}.") for what in ("a red kite", "a red fox", "an owl")]
    body = {"user_id": "ann", "matching": "red"}
    would = (await client.post("/v1/memories/forget", json={**body, "dry_run": True})).json()
    assert (set(would["memory_ids"]), would["dry_run"]) == (set(ids[:2]), True)
    assert sorted(would["texts"]) == ["I saw a red fox.", "I saw a red kite."]
    assert len(await texts(client)) == 3
    gone = (await client.post("/v1/memories/forget", json=body)).json()
    assert (set(gone["memory_ids"]), gone["texts"], gone["dry_run"]) == (set(ids[:2]), [], False)
    assert await texts(client) == ["I saw an owl."]
    nothing = await client.post("/v1/memories/forget", json={"user_id": "ann"})
    assert nothing.status_code == 400
    by_id = {"user_id": "bob", "ids": [ids[2]]}
    assert (await client.post("/v1/memories/forget", json=by_id)).json()["memory_ids"] == []
    everything = {"user_id": "ann", "everything": True}
    assert len((await client.post("/v1/memories/forget", json=everything)).json()["memory_ids"]) == 1


async def test_lists_are_paged_and_filtered(client: httpx.AsyncClient) -> None:
    for number in range(5):
        await added(client, f"Number {number}.", run_id=f"s{number % 2}", timestamp=1_700_000_000 + number)
    asked = {"page": 2, "page_size": 2}
    found = (await client.get("/v1/memories", params={"user_id": "ann", **asked})).json()
    assert (found["count"], len(found["results"])) == (5, 2)
    assert sorted(await texts(client, run_id="s1")) == ["Number 1.", "Number 3."]
    assert await texts(client, page=9) == []
    for bad in ({"page": 0}, {"page_size": 1001}, {"page": "x"}, {"colour": 1}):
        reply = await client.get("/v1/memories", params={"user_id": "ann", **bad})
        assert reply.status_code in (400, 422)


async def test_stats_count_what_is_there(client: httpx.AsyncClient) -> None:
    await added(client, "I live in Lisbon.")
    found = (await client.get("/v1/memories/stats", params={"user_id": "ann"})).json()
    assert (found["user_id"], found["memories"], found["by_kind"]) == ("ann", 1, {"note": 1})
    assert (found["facts"], found["without_vector"], found["forgotten"]) == (1, 0, 0)


async def test_an_export_is_taken_in_by_another_user_and_once(client: httpx.AsyncClient) -> None:
    await added(client, "I live in Lisbon.\u2028Really.", timestamp="2026-01-01", metadata={"a": 1})
    await added(client, "I live in Porto.", timestamp="2026-06-01")
    exported = await client.get("/v1/memories/export", params={"user_id": "ann"})
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    assert len([json.loads(line) for line in exported.content.splitlines() if line]) == 2
    kind = {"content-type": "application/x-ndjson"}

    async def take_in() -> list[str]:
        reply = await client.post(
            "/v1/memories/import", params={"user_id": "cyd"}, content=exported.content, headers=kind
        )
        assert reply.status_code == 200, reply.text
        return [one["event"] for one in reply.json()["results"]]

    assert await take_in() == ["ADD", "ADD"]
    assert await take_in() == ["NONE", "NONE"]
    assert await texts(client, "cyd") == await texts(client, "ann")
    (fact,) = (await client.get("/v1/memories/facts", params={"user_id": "cyd"})).json()["results"]
    assert fact["value"] == "Porto"
    assert (await client.get("/v1/memories/export", params={"user_id": "nobody"})).content == b""


@pytest.mark.parametrize(
    "lines", [b'{"row": 1', b"[1]", b"1", b'"x"', b"{}", b"\xff", b"[" * 99, b'{"a": "\\u0000"}']
)
async def test_a_bad_record_stores_nothing(client: httpx.AsyncClient, lines: bytes) -> None:
    await added(client, "I live in Lisbon.", user="bob")
    exported = (await client.get("/v1/memories/export", params={"user_id": "bob"})).content
    kind = {"content-type": "application/x-ndjson"}
    reply = await client.post(
        "/v1/memories/import", params={"user_id": "ann"}, content=exported + lines, headers=kind
    )
    assert reply.status_code == 400, reply.text
    assert await texts(client) == []


async def test_consolidation_merges_what_is_said_twice(client: httpx.AsyncClient) -> None:
    await added(client, "Ann likes green tea.")
    reply = await client.post("/v1/memories/consolidate", json={"user_id": "ann"})
    assert reply.json().keys() == {"merged", "archived", "expired", "proposed"}


async def test_what_expires_is_not_there_any_more(client: httpx.AsyncClient) -> None:
    memory_id = await added(client, "The code is 4711.", ttl=3600)
    found = (await client.get(f"/v1/memories/{memory_id}", params={"user_id": "ann"})).json()
    assert found["expiration_date"] > found["created_at"]
    dated = await added(client, "The door is open.", expiration_date="2999-12-31")
    found = (await client.get(f"/v1/memories/{dated}", params={"user_id": "ann"})).json()
    assert found["expiration_date"] == "3000-01-01T00:00:00+00:00"


async def test_a_key_opens_its_own_users_memories_alone(documents_services: Services) -> None:
    async with keyed(documents_services, "ann:k1", "bob:k2") as client:
        await added(client, "I live in Lisbon.")
        assert await texts(client) == ["I live in Lisbon."]
        calls = [
            client.post("/v1/memories", json={"text": "x", "user_id": "bob"}),
            client.post("/v1/memories/search", json={"query": "x", "user_id": "bob"}),
            client.post("/v1/memories/forget", json={"everything": True, "user_id": "bob"}),
            client.post("/v1/memories/consolidate", json={"user_id": "bob"}),
            client.put("/v1/memories/mem_1", params={"user_id": "bob"}, json={"text": "x"}),
            client.delete("/v1/memories", params={"user_id": "bob"}),
            client.delete("/v1/memories/mem_1", params={"user_id": "bob"}),
            client.post("/v1/memories/import", params={"user_id": "bob"}, content=b"{}"),
            *(
                client.get(f"/v1/memories{path}", params={"user_id": "bob"})
                for path in ("", "/mem_1", "/mem_1/history", "/facts", "/stats", "/tombstones", "/export")
            ),
        ]
        for call in calls:
            reply = await call
            assert (reply.status_code, reply.json()["error"]["code"]) == (403, "forbidden")
            assert "'ann'" in reply.json()["error"]["message"]
        client.headers["authorization"] = "Bearer wrong"
        assert (await client.get("/v1/memories", params={"user_id": "ann"})).status_code == 401


@pytest.fixture
async def later(documents_services: Services) -> AsyncIterator[Services]:
    """Services that embed after a write is acknowledged."""
    settings = documents_services.settings
    memory = settings.memory.model_copy(update={"embed": "later"})
    services = dataclasses.replace(
        documents_services, settings=settings.model_copy(update={"memory": memory})
    )
    yield services
    await services.filling.close()


async def test_vectors_may_come_after_the_write(later: Services) -> None:
    transport = httpx.ASGITransport(build_app(later), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        memory_id = await added(client, "I live in Lisbon.")
        assert (await search(client, "Lisbon"))[0]["id"] == memory_id
        await later.filling.settled()
        stats = (await client.get("/v1/memories/stats", params={"user_id": "ann"})).json()
        assert (stats["memories"], stats["without_vector"]) == (1, 0)
        await client.put(f"/v1/memories/{memory_id}", params={"user_id": "ann"}, json={"text": "In Porto."})
        await later.filling.settled()
        stats = (await client.get("/v1/memories/stats", params={"user_id": "ann"})).json()
        assert stats["without_vector"] == 0


async def test_what_a_crash_left_without_a_vector_gets_one_at_the_start(later: Services) -> None:
    from actors.memory.records import NewMemory

    await later.keeper.remember("ann", "e1", [NewMemory(text="I live in Lisbon.")])
    assert (await later.keeper.memory_stats("ann")).without_vector == 1
    later.filling.wake()
    await later.filling.settled()
    assert (await later.keeper.memory_stats("ann")).without_vector == 0


async def test_mem0s_paths_with_a_slash_at_their_end_work_too(client: httpx.AsyncClient) -> None:
    reply = await client.post("/v1/memories/", json={"text": "I live in Porto.", "user_id": "ann"})
    memory_id = reply.json()["results"][0]["id"]
    assert (await client.get(f"/v1/memories/{memory_id}/", params={"user_id": "ann"})).status_code == 200
    listed = await client.get("/openapi.json")
    assert not any(path.endswith("/") for path in listed.json()["paths"])


@pytest.mark.ray
async def test_over_ray_it_is_the_same(ray_url: str) -> None:
    async with httpx.AsyncClient(base_url=ray_url, timeout=60) as client:
        old = await added(client, "I live in Lisbon.", timestamp="2026-01-01", event_id="e1")
        assert await added(client, "I live in Lisbon.", timestamp="2026-01-01", event_id="e1") == old
        new = await added(client, "I live in Porto.", timestamp="2026-06-01")
        best, *_ = await search(client, "Where do I live?")
        assert best["id"] == new
        assert best["parts"]
        assert await search(client, "Where do I live?", "bob") == []
        missing = await client.get("/v1/memories/mem_unknown", params={"user_id": "ann"})
        assert missing.status_code == 404
        exported = await client.get("/v1/memories/export", params={"user_id": "ann"})
        assert len(exported.content.splitlines()) == 2
        gone = await client.post("/v1/memories/forget", json={"user_id": "ann", "everything": True})
        assert set(gone.json()["memory_ids"]) == {old, new}
