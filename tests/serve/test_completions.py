import json
from typing import Any

import openai
import pytest

MODEL = "smollm2-135m"
URL = "/v1/completions"


async def test_each_prompt_gets_n_answers_and_counts_once(client: Any) -> None:
    one = (await client.post(URL, json={"model": MODEL, "prompt": "[[text:x y]]"})).json()
    prompts = ["[[text:x y]]", "[[text:z]]"]
    both = (await client.post(URL, json={"model": MODEL, "prompt": prompts, "n": 2})).json()
    assert [choice["text"] for choice in both["choices"]] == ["x y", "x y", "z", "z"]
    assert [choice["index"] for choice in both["choices"]] == [0, 1, 2, 3]
    assert both["usage"]["prompt_tokens"] < 2.1 * one["usage"]["prompt_tokens"]
    assert one["choices"][0] == {"index": 0, "text": "x y", "logprobs": None, "finish_reason": "stop"}


async def test_token_prompts_echo_and_logprobs(client: Any) -> None:
    tokens = await client.post(URL, json={"model": MODEL, "prompt": [353, 354]})
    assert tokens.status_code == 200
    lists = await client.post(URL, json={"model": MODEL, "prompt": [[353], [354]]})
    assert len(lists.json()["choices"]) == 2
    echo = await client.post(URL, json={"model": MODEL, "prompt": "[[text:b]]a", "echo": True})
    assert echo.json()["choices"][0]["text"] == "[[text:b]]ab"
    chosen = await client.post(URL, json={"model": MODEL, "prompt": "[[text:a b]]", "logprobs": 2})
    found = chosen.json()["choices"][0]["logprobs"]
    assert "".join(found["tokens"]) == "a b"
    assert found["text_offset"] == [0, 1]
    assert [len(top) for top in found["top_logprobs"]] == [2, 2]


async def test_streamed_as_whole(client: Any) -> None:
    body = {"model": MODEL, "prompt": "[[text:a b c]]", "echo": True, "stream": True}
    reply = await client.post(URL, json=body | {"stream_options": {"include_usage": True}})
    *events, done = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    chunks = [json.loads(event) for event in events]
    text = "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
    assert text == "[[text:a b c]]a b c"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 3
    assert done == "[DONE]"


async def test_the_official_client_reads_it(client: Any) -> None:
    made = openai.AsyncOpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none", http_client=client)
    reply = await made.completions.create(model=MODEL, prompt="[[text:a]]", stop="b", seed=1)
    assert reply.choices[0].text == "a"


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"suffix": "x"}, 400, "suffix"),
        ({"best_of": 2}, 422, "best_of"),
        ({"prompt": []}, 422, "prompt"),
        ({"prompt": ["a"] * 100, "n": 2}, 422, "n"),
        ({"prompt": [1], "echo": True}, 400, "echo"),
        ({"prompt": [2**61]}, 400, "prompt"),
        ({"logprobs": 6}, 422, "logprobs"),
        ({"prompt": None}, 400, "prompt"),
        ({"model": "nope"}, 404, "model"),
        ({"messages": []}, 400, "messages"),
    ],
)
async def test_bad_requests_name_their_fault(client: Any, change: Any, status: int, param: str) -> None:
    body = {"model": MODEL, "prompt": "a"} | change
    reply = await client.post(URL, json={key: value for key, value in body.items() if value is not None})
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text
