from typing import Any

import pytest

TEXT = b"The Harrow Lantern Club was founded by Ann Lee in 1850. It owned twelve boats."
QUESTION = "Who founded the Harrow Lantern Club?"


@pytest.fixture
async def qa_client(documents_client: Any, documents_services: Any) -> Any:
    await documents_services.generator.start()
    reply = await documents_client.post(
        "/v1/files", files={"file": ("club.txt", TEXT)}, data={"purpose": "assistants"}
    )
    assert reply.status_code == 200, reply.text
    yield documents_client
    await documents_services.generator.close()


async def test_a_question_gets_an_answer_with_places(qa_client: Any) -> None:
    reply = await qa_client.post("/v1/qa", json={"question": QUESTION})
    assert reply.status_code == 200, reply.text
    body = reply.json()
    answered = {"answer", "quote", "abstained", "support_score", "citations", "usage"}
    assert set(body) == answered | {"palimpsest", "system_fingerprint"}
    assert not body["abstained"]
    assert "Ann Lee" in body["quote"]
    place = body["citations"][0]
    text = (await qa_client.get(f"/v1/files/{place['document_id']}/text")).text
    assert text[place["start"] : place["end"]] == place["quote"] == body["quote"]
    assert body["usage"]["total_tokens"] > 0


async def test_abstaining_keeps_the_shape(qa_client: Any) -> None:
    reply = await qa_client.post("/v1/qa", json={"question": "Which enzyme digests lactose in infants?"})
    body = reply.json()
    assert body["abstained"]
    assert body["quote"] == ""
    assert body["citations"] == []
    assert body["answer"]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"question": ""}, 422, "question"),
        ({"question": "  "}, 400, "question"),
        ({"question": "x" * 4001}, 422, "question"),
        ({"question": 3}, 400, "question"),
        ({"k": 0}, 422, "k"),
        ({"k": 101}, 422, "k"),
        ({"k": "5"}, 400, "k"),
        ({"max_tokens": 0}, 422, "max_tokens"),
        ({"max_tokens": 10**6}, 400, "max_tokens"),
        ({"vector_store_ids": []}, 422, "vector_store_ids"),
        ({"vector_store_ids": ["vs_none"]}, 404, "vector_store_ids"),
        ({"model": "gpt-9"}, 404, "model"),
        ({"stream": True}, 400, "stream"),
        ({"k": 1, "max_tokens": 8, "model": "smollm2-135m", "vector_store_ids": None}, 200, None),
    ],
)
async def test_bad_requests_name_their_fault(qa_client: Any, change: Any, status: int, param: Any) -> None:
    reply = await qa_client.post("/v1/qa", json={"question": QUESTION} | change)
    assert reply.status_code == status, reply.text
    if status != 200:
        assert reply.json()["error"]["param"] == param


async def test_a_question_must_be_there(qa_client: Any) -> None:
    reply = await qa_client.post("/v1/qa", json={})
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "missing_required_parameter"
