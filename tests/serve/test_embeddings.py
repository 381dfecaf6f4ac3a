from typing import Any

import openai
import pytest

MODEL = "minilm-l6"


async def test_both_encodings_hold_the_same_numbers(client: Any) -> None:
    made = openai.AsyncOpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none", http_client=client)
    packed = await made.embeddings.create(model=MODEL, input=["a b", "c"])
    plain = await made.embeddings.create(model=MODEL, input=["a b", "c"], encoding_format="float")
    assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data] == [[0.5] * 4] * 2
    assert packed.usage.prompt_tokens == 3


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"input": [1, 2]}, 400, "input"),
        ({"input": [[1], [2]]}, 400, "input"),
        ({"input": ""}, 400, "input"),
        ({"input": []}, 422, "input"),
        ({"dimensions": 3}, 400, "dimensions"),
        ({"dimensions": 4}, 200, None),
        ({"encoding_format": "hex"}, 422, "encoding_format"),
        ({"model": "smollm2-135m"}, 404, "model"),
    ],
)
async def test_bad_requests_name_their_fault(client: Any, change: Any, status: int, param: Any) -> None:
    reply = await client.post("/v1/embeddings", json={"model": MODEL, "input": "a"} | change)
    assert reply.status_code == status, reply.text
    if status != 200:
        assert reply.json()["error"]["param"] == param
