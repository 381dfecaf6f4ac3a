from typing import Any

import httpx
import pytest


@pytest.fixture
async def filled(documents_client: httpx.AsyncClient) -> dict[str, str]:
    """Two files, the first of them in a store: names to ids."""
    ids = {}
    for name, text in (("varn.txt", "The harbour of Varn opens at dawn."), ("mora.txt", "Mora has a tower.")):
        form = {"purpose": "assistants"}
        reply = await documents_client.post("/v1/files", files={"file": (name, text)}, data=form)
        ids[name] = reply.json()["id"]
    body = {"name": "harbours", "file_ids": [ids["varn.txt"]], "metadata": {"k": "v"}}
    ids["store"] = (await documents_client.post("/v1/vector_stores", json=body)).json()["id"]
    return ids


async def test_search_sees_the_stores_files_alone(documents_client: httpx.AsyncClient, filled: Any) -> None:
    path = f"/v1/vector_stores/{filled['store']}/search"
    found = (await documents_client.post(path, json={"query": "tower harbour"})).json()
    assert found["object"] == "vector_store.search_results.page"
    assert found["search_query"] == "tower harbour"
    assert found["has_more"] is False
    (hit,) = found["data"]
    assert hit["file_id"] == filled["varn.txt"]
    text = (await documents_client.get(f"/v1/files/{hit['file_id']}/text")).text
    start, end = hit["attributes"]["start"], hit["attributes"]["end"]
    assert hit["content"] == [{"type": "text", "text": text[start:end]}]
    both = (await documents_client.post(path, json={"query": ["tower", "harbour"]})).json()
    assert len(both["data"]) == 1
    strict = {"query": "harbour", "ranking_options": {"score_threshold": 1e6}}
    assert (await documents_client.post(path, json=strict)).json()["data"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": " "},
        {"query": []},
        {"query": "x", "max_num_results": 0},
        {"query": "x", "max_num_results": 51},
        {"query": "x", "colour": "red"},
        {"query": "x", "filters": {"type": "eq", "key": "a", "value": 1}},
        {"query": "x" * 20_000},
    ],
)
async def test_bad_searches_are_refused(documents_client: httpx.AsyncClient, filled: Any, body: Any) -> None:
    reply = await documents_client.post(f"/v1/vector_stores/{filled['store']}/search", json=body)
    assert reply.status_code in (400, 422)
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("query", ['"', "a OR b NOT", "NEAR(x y)", "*", "ü\u0000b"[:1], "word " * 3000])
async def test_no_query_is_taken_for_syntax(
    documents_client: httpx.AsyncClient, filled: Any, query: str
) -> None:
    reply = await documents_client.post(f"/v1/vector_stores/{filled['store']}/search", json={"query": query})
    assert reply.status_code == 200


async def test_a_store_is_listed_changed_and_removed(
    documents_client: httpx.AsyncClient, filled: Any
) -> None:
    path = f"/v1/vector_stores/{filled['store']}"
    store = (await documents_client.get(path)).json()
    assert store["name"] == "harbours"
    assert store["metadata"] == {"k": "v"}
    assert store["file_counts"]["completed"] == 1
    renamed = (await documents_client.post(path, json={"name": "ports"})).json()
    assert (renamed["name"], renamed["metadata"]) == ("ports", {"k": "v"})
    assert (await documents_client.get("/v1/vector_stores")).json()["data"] == [renamed]
    gone = (await documents_client.delete(path)).json()
    assert gone == {"id": filled["store"], "object": "vector_store.deleted", "deleted": True}
    assert (await documents_client.get(path)).status_code == 404
    assert (await documents_client.get(f"/v1/files/{filled['varn.txt']}")).status_code == 200


async def test_files_come_and_go(documents_client: httpx.AsyncClient, filled: Any) -> None:
    path = f"/v1/vector_stores/{filled['store']}/files"
    attached = (await documents_client.post(path, json={"file_id": filled["mora.txt"]})).json()
    assert attached["object"] == "vector_store.file"
    listed = (await documents_client.get(path, params={"order": "asc", "limit": 1})).json()
    assert [file["id"] for file in listed["data"]] == [filled["varn.txt"]]
    assert listed["has_more"] is True
    rest = (await documents_client.get(path, params={"order": "asc", "after": listed["last_id"]})).json()
    assert [file["id"] for file in rest["data"]] == [filled["mora.txt"]]
    assert (await documents_client.get(f"{path}/{filled['mora.txt']}")).json() == attached
    assert (await documents_client.delete(f"{path}/{filled['mora.txt']}")).json()["deleted"] is True
    assert (await documents_client.get(f"{path}/{filled['mora.txt']}")).status_code == 404
    assert (await documents_client.delete(f"{path}/{filled['mora.txt']}")).status_code == 404


async def test_what_is_not_there_is_not_found(documents_client: httpx.AsyncClient, filled: Any) -> None:
    store = f"/v1/vector_stores/{filled['store']}"
    for path, body in (
        ("/v1/vector_stores", {"file_ids": ["file-none"]}),
        (f"{store}/files", {"file_id": "file-none"}),
        (f"{store}/file_batches", {"file_ids": [filled["mora.txt"], "file-none"]}),
        ("/v1/vector_stores/vs_none/search", {"query": "x"}),
        ("/v1/vector_stores/vs_none", {"name": "x"}),
    ):
        reply = await documents_client.post(path, json=body)
        assert reply.status_code == 404, path
        assert reply.json()["error"]["code"] == "not_found"
    assert (await documents_client.get("/v1/vector_stores?after=vs_none")).status_code == 404
    assert len((await documents_client.get("/v1/vector_stores")).json()["data"]) == 1
    assert (await documents_client.get(store)).json()["file_counts"]["total"] == 1
