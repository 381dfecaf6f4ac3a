import httpx
import pytest
from openai import AsyncOpenAI

from serve.services import Services
from serve.web import build_app

TEXT = "# Harbours\r\n\r\nThe harbour of Varn opens at dawn.\r\n"


async def upload(client: httpx.AsyncClient, name: str, content: bytes | str, **form: str) -> httpx.Response:
    data = {"purpose": "assistants", **form}
    return await client.post("/v1/files", files={"file": (name, content)}, data=data)


async def test_a_file_goes_in_comes_out_and_is_gone(documents_client: httpx.AsyncClient) -> None:
    created = (await upload(documents_client, "docs/varn.md", TEXT)).json()
    assert created["object"] == "file"
    assert created["filename"] == "docs/varn.md"
    assert created["bytes"] == len(TEXT.encode())
    path = f"/v1/files/{created['id']}"
    assert (await documents_client.get(path)).json() == created
    content = await documents_client.get(f"{path}/content")
    assert content.text == TEXT
    assert content.headers["content-disposition"] == "attachment; filename*=UTF-8''varn.md"
    text = await documents_client.get(f"{path}/text")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text == TEXT.replace("\r\n", "\n")
    assert (await documents_client.delete(path)).json() == {
        "id": created["id"],
        "object": "file",
        "deleted": True,
    }
    for gone in (path, f"{path}/content", f"{path}/text"):
        reply = await documents_client.get(gone)
        assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "not_found"
    assert (await documents_client.delete(path)).status_code == 404


async def test_pages_follow_each_other(documents_client: httpx.AsyncClient) -> None:
    ids = [(await upload(documents_client, f"{n}.txt", f"text {n}")).json()["id"] for n in range(3)]
    first = (await documents_client.get("/v1/files", params={"limit": 2, "order": "asc"})).json()
    assert [file["id"] for file in first["data"]] == ids[:2]
    assert first["has_more"] is True
    last = (
        await documents_client.get(
            "/v1/files", params={"limit": 2, "order": "asc", "after": first["last_id"]}
        )
    ).json()
    assert [file["id"] for file in last["data"]] == ids[2:]
    assert last["has_more"] is False
    assert (await documents_client.get("/v1/files?purpose=vision")).json()["data"] == []
    assert (await documents_client.get("/v1/files?after=file-none")).status_code == 404
    assert (await documents_client.get("/v1/files?limit=0")).status_code == 422


async def test_the_same_file_is_kept_once_and_an_edited_one_keeps_its_id(
    documents_client: httpx.AsyncClient,
) -> None:
    first = (await upload(documents_client, "a.md", "one")).json()
    again = (await upload(documents_client, "a.md", "one")).json()
    edited = (await upload(documents_client, "a.md", "two")).json()
    assert again == first
    assert edited["id"] == first["id"]
    assert edited["sha256"] != first["sha256"]
    assert (await documents_client.get(f"/v1/files/{first['id']}/text")).text == "two"


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("../a.txt", b"text", 400),
        ("/etc/passwd", b"text", 400),
        ("a\\b.txt", b"text", 400),
        ("C:/a.txt", b"text", 400),
        ("x" * 600, b"text", 400),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(99), 415),
        ("a.txt", b"te\0xt", 415),
        ("a.docx", b"PK\x03\x04" + bytes(99), 415),
        ("a.pdf", b"not a pdf", 415),
        ("a.txt", b"  \n", 422),
        ("a.txt", b"", 422),
        ("a.pdf", b"%PDF-1.7 and no more", 422),
        ("a.txt", b"x" * 30_000, 413),
        ("a.txt", b"x" * 120_000, 413),
    ],
)
async def test_bad_files_are_refused_with_the_right_status(
    documents_client: httpx.AsyncClient, name: str, content: bytes, status: int
) -> None:
    reply = await upload(documents_client, name, content)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert (await documents_client.get("/v1/files")).json()["data"] == []


async def test_a_form_is_checked(documents_client: httpx.AsyncClient) -> None:
    assert (await upload(documents_client, "a.txt", "x", purpose="nonsense")).status_code in (400, 422)
    reply = await upload(documents_client, "a.txt", "x", colour="red")
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "colour"
    assert (await documents_client.post("/v1/files", data={"purpose": "assistants"})).status_code == 400
    assert (await documents_client.post("/v1/files", json={})).status_code == 400


async def test_openais_client_works(documents_services: Services, listen_to) -> None:
    async with (
        listen_to(build_app(documents_services)) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        file = await client.files.create(file=("varn.md", TEXT.encode()), purpose="assistants")
        assert (await client.files.wait_for_processing(file.id)).status == "processed"
        assert (await client.files.content(file.id)).content == TEXT.encode()
        assert [one.id async for one in client.files.list(limit=1)] == [file.id]
        store = await client.vector_stores.create(name="s", metadata={"a": "b"})
        attached = await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
        assert attached.status == "completed"
        uploaded = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=("b.txt", b"A lighthouse stands on Mora.")
        )
        batch = await client.vector_stores.file_batches.create(store.id, file_ids=[file.id, uploaded.id])
        assert batch.file_counts.completed == 2
        assert {one.id async for one in client.vector_stores.files.list(store.id, limit=1)} == {
            file.id,
            uploaded.id,
        }
        found = [one async for one in client.vector_stores.search(store.id, query="lighthouse Mora")]
        assert found[0].filename == "b.txt"
        assert found[0].content[0].text == "A lighthouse stands on Mora."
        await client.files.delete(uploaded.id)
        assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 1
        assert (await client.vector_stores.delete(store.id)).deleted
