import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for name in ("weather", "clock")
]
MODEL = "smollm2-135m"
Client = openai.AsyncOpenAI


@pytest.fixture
def official(client: Any) -> Client:
    """The official client over the application."""
    return Client(base_url="http://127.0.0.1:8000/v1", api_key="none", http_client=client, max_retries=0)


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_a_whole_reply_has_every_required_key(client: Any, ask: Any) -> None:
    reply = await client.post("/v1/chat/completions", json=ask("[[text:Paris.]]"))
    found = reply.json()
    choice = found["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Paris.", "refusal": None, "annotations": []}
    assert (choice["logprobs"], choice["finish_reason"], choice["index"]) == (None, "stop", 0)
    assert found["object"] == "chat.completion"
    assert found["id"].startswith("chatcmpl-")
    assert found["system_fingerprint"] == "smollm2-135m@base"
    usage = found["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert found["palimpsest"] == {
        "memories": [],
        "citations": [],
        "adapter": None,
        "prompt_tokens_saved": 0,
    }
    assert "service_tier" not in found


async def test_a_stream_is_role_content_finish_usage_done(client: Any, ask: Any) -> None:
    body = ask("[[text:one two]]", stream=True, stream_options={"include_usage": True})
    reply = await client.post("/v1/chat/completions", json=body)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *events, done = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    chunks = [json.loads(event) for event in events]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(delta.get("content", "") for delta in deltas) == "one two"
    assert deltas[-1] == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(deltas) - 1) + [
        "stop"
    ]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert "palimpsest" in chunks[-1]
    assert not any("palimpsest" in chunk for chunk in chunks[:-1])
    assert done == "[DONE]"


async def test_stream_and_whole_say_the_same(official: Client) -> None:
    ask: Any = {"model": MODEL, "messages": said("Tell me"), "n": 3, "seed": 5, "logprobs": True}
    whole = await official.chat.completions.create(**ask)
    texts = ["", "", ""]
    async for chunk in await official.chat.completions.create(**ask, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]
    assert len(set(texts)) == 3
    assert whole.usage is not None
    assert whole.usage.completion_tokens == sum(
        len(c.logprobs.content or ()) for c in whole.choices if c.logprobs
    )


async def test_logprobs_come_with_their_tokens(official: Client) -> None:
    ask: Any = {"model": MODEL, "messages": said("[[text:a b]]"), "logprobs": True, "top_logprobs": 2}
    whole = await official.chat.completions.create(**ask)
    assert whole.choices[0].logprobs is not None
    found = whole.choices[0].logprobs.content or []
    assert "".join(one.token for one in found) == "a b"
    assert [len(one.top_logprobs) for one in found] == [2] * len(found)
    streamed = [
        one
        async for chunk in await official.chat.completions.create(**ask, stream=True)
        for choice in chunk.choices
        if choice.logprobs
        for one in choice.logprobs.content or []
    ]
    assert streamed == found


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "clock"}}])
async def test_tool_calls_whole_and_streamed(official: Client, choice: Any) -> None:
    ask: Any = {"model": MODEL, "messages": said("time?"), "tools": TOOLS, "tool_choice": choice}
    whole = (await official.chat.completions.create(**ask)).choices[0]
    assert (whole.finish_reason, whole.message.content) == ("tool_calls", None)
    (call,) = whole.message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == ("clock" if isinstance(choice, dict) else "weather")
    assert json.loads(call.function.arguments) == {"city": "text"}
    name = arguments = ""
    finish = None
    async for chunk in await official.chat.completions.create(**ask, stream=True):
        for part in chunk.choices[0].delta.tool_calls or ():
            assert part.function is not None
            name += part.function.name or ""
            arguments += part.function.arguments or ""
        finish = chunk.choices[0].finish_reason or finish
    assert (name, arguments, finish) == (call.function.name, call.function.arguments, "tool_calls")


async def test_a_result_goes_back_to_the_model(official: Client) -> None:
    first = await official.chat.completions.create(model=MODEL, messages=said("time?"), tools=TOOLS)
    message = first.choices[0].message
    assert message.tool_calls
    turns: Any = [
        *said("time?"),
        message,
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "noon"},
    ]
    second = await official.chat.completions.create(model=MODEL, messages=turns, tools=TOOLS)
    assert second.choices[0].finish_reason == "stop"


async def test_no_tools_are_called_when_none_are_wanted(official: Client) -> None:
    ask: Any = {"model": MODEL, "messages": said("time?"), "tools": TOOLS, "tool_choice": "none"}
    assert (await official.chat.completions.create(**ask)).choices[0].message.tool_calls is None


async def test_json_of_a_schema(official: Client) -> None:
    class City(BaseModel):
        name: str
        inhabitants: int

    parsed = await official.chat.completions.parse(model=MODEL, messages=said("x"), response_format=City)
    assert isinstance(parsed.choices[0].message.parsed, City)
    free = await official.chat.completions.create(
        model=MODEL, messages=said("x"), response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(free.choices[0].message.content or ""), dict)


async def test_stop_and_length_end_an_answer(official: Client) -> None:
    stopped = await official.chat.completions.create(model=MODEL, messages=said("[[text:a b c]]"), stop=["b"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("a ", "stop")
    cut = await official.chat.completions.create(
        model=MODEL, messages=said("[[text:a b c]]"), max_completion_tokens=1
    )
    assert cut.choices[0].finish_reason == "length"


async def test_an_image_is_announced_to_a_text_model_and_the_reply_says_so(client: Any, ask: Any) -> None:
    content = [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    reply = await client.post("/v1/chat/completions", json=ask(content))
    assert reply.status_code == 200
    assert "text only" in reply.headers["warning"]


async def test_fields_of_other_servers_are_accepted(client: Any, ask: Any) -> None:
    extras = {
        "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "reasoning_effort": "low",
        "reasoning": {"summary": "auto"}, "user": "ann", "session_id": "s", "top_k": 5, "ignore_eos": False,
        "memory": {"read": False, "write": False}, "frequency_penalty": 1, "presence_penalty": -1,
        "logit_bias": {"5": -100}, "parallel_tool_calls": True, "top_p": 0.5, "temperature": 0, "seed": None,
    }  # fmt: skip
    assert (await client.post("/v1/chat/completions", json=ask(**extras))).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": None}, 400, "model"),
        ({"model": "gpt-9"}, 404, "model"),
        ({"messages": []}, 422, "messages"),
        ({"messages": "hi"}, 400, "messages"),
        ({"messages": [{"role": "user"}]}, 422, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 422, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, 400, "messages[0].mood"),
        ({"messages": [{"role": "user", "content": "a\x00b"}]}, 400, None),
        ({"temperature": 3}, 422, "temperature"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"n": 0}, 422, "n"),
        ({"n": True}, 400, "n"),
        ({"stop": ["1", "2", "3", "4", "5"]}, 422, "stop"),
        ({"colour": "red", "taste": 1}, 400, "colour"),
        ({"top_logprobs": 3}, 422, None),
        ({"stream_options": {"include_usage": True}}, 422, None),
        ({"tool_choice": "required"}, 422, None),
        ({"memory": {"read": "yes"}}, 400, "memory.read"),
        ({"compression": {"budget": 0}}, 400, "compression.budget"),
        ({"compression": {"budget": 1.5}}, 400, "compression.budget"),
        ({"compression": {"budget": "half"}}, 400, "compression.budget"),
        ({"compression": {"budget": None}}, 400, "compression.budget"),
        ({"compression": {}}, 400, "compression.budget"),
        ({"compression": {"budget": 0.5, "ratio": 2}}, 400, "compression.ratio"),
        ({"compression": 0.5}, 400, "compression"),
        ({"max_tokens": 10**6}, 400, "max_tokens"),
        ({"logit_bias": {"x": 1}}, 422, "logit_bias.x"),
        ({"response_format": {"type": "xml"}}, 400, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": 5}}}},
            400,
            "response_format",
        ),
        ({"documents": {"vector_store_ids": ["vs_missing"]}}, 404, "vector_store_ids"),
    ],
)
async def test_bad_requests_name_their_fault(
    client: Any, ask: Any, change: dict[str, Any], status: int, param: str | None
) -> None:
    body = {key: value for key, value in (ask() | change).items() if value is not None}
    reply = await client.post("/v1/chat/completions", json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (status, param), error
    assert set(error) == {"message", "type", "param", "code"}
    if "colour" in change:
        assert "taste" in error["message"]


async def test_documents_are_put_before_the_model_and_cited(client: Any, app: Any, ask: Any) -> None:
    body = ask("Who is Lyra?", user="ann", documents={"vector_store_ids": ["vs_1"], "k": 3})
    whole = (await client.post("/v1/chat/completions", json=body)).json()
    citation = {
        "document_id": "file-1", "filename": "facts.md", "start": 10, "end": 29,
        "quote": "Lyra is a small cat", "score": 0.9,
    }  # fmt: skip
    assert whole["palimpsest"]["citations"] == [citation]
    assert app.state.services.keeper.asked == [("ann", "Who is Lyra?", ("vs_1",), 3)]
    without = (await client.post("/v1/chat/completions", json=ask("Who is Lyra?"))).json()
    assert whole["usage"]["prompt_tokens"] > without["usage"]["prompt_tokens"]
    stream = await client.post("/v1/chat/completions", json={**body, "stream": True})
    last = json.loads(stream.text.strip().split("\n\n")[-2].removeprefix("data: "))
    assert last["palimpsest"]["citations"] == [citation]


async def test_a_failure_before_the_first_token_is_a_status_and_later_an_event(client: Any, ask: Any) -> None:
    for stream in (False, True):
        reply = await client.post("/v1/chat/completions", json=ask("[[fail]]", stream=stream))
        assert (reply.status_code, reply.json()["error"]["code"]) == (500, "engine_error")
    late = await client.post(
        "/v1/chat/completions", json=ask("[[text:a b c d]][[fail:after=2]]", stream=True)
    )
    assert late.status_code == 200
    events = late.text.strip().split("\n\n")
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "engine_error"


async def test_too_many_messages_are_refused(client: Any, ask: Any) -> None:
    for number, status in ((2048, (200, 400)), (2049, (413,)), (20000, (422,))):
        body = ask() | {"messages": [{"role": "user", "content": "x"}] * number}
        reply = await client.post("/v1/chat/completions", json=body)
        assert reply.status_code in status, reply.text[:200]
