"""Chats that ask for compression, over a real store, the shipped policy and the scripted engine."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from actors.compression.counting import ScriptedCounter
from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.messages import ChatPrompt, Gone, TextDelta
from configs.schema import CompressionSettings, EngineSettings, ModelSettings, Settings
from serve.documents import add
from serve.services import Services
from serve.web import build_app

MODEL = "smollm2-135m"
COUNT = ScriptedCounter().count
PROSE = (
    "The old harbour of Geneva was rebuilt in 1815 by people who came from other towns of the country, and "
    "the ships that carried grain, wine and stone did not have to wait outside any more when the wind was "
    "strong. Its light can be seen over 22 km and is described by its keepers in a book of many pages. "
)
NAMES = ("Harrow", "Wend", "Dunmere")
QUESTION = "What could the ships not do before the old harbour was rebuilt?"


class Noting(Generator):
    """The scripted generator; keeps the prompts it was given."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.prompts: list[ChatPrompt] = []

    async def generate(self, request_id: str, prompt: Any, *rest: Any) -> AsyncGenerator[TextDelta, None]:
        self.prompts.append(prompt)
        async for delta in super().generate(request_id, prompt, *rest):
            yield delta


class Server:
    """The application and a client of it."""

    def __init__(self, services: Services, client: httpx.AsyncClient) -> None:
        self.services = services
        self.client = client

    @property
    def prompts(self) -> list[ChatPrompt]:
        """What the model was given."""
        return cast(Noting, self.services.generator).prompts

    async def post(self, messages: Any, budget: Any = 0.5, **more: Any) -> httpx.Response:
        """The reply to a text or a conversation."""
        messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        body = {"model": MODEL, "messages": messages, "max_tokens": 4, **more}
        if budget is not None:
            body["compression"] = budget if isinstance(budget, dict) else {"budget": budget}
        return await self.client.post("/v1/chat/completions", json=body)

    async def say(self, messages: Any, budget: Any = 0.5, **more: Any) -> tuple[Any, ChatPrompt]:
        """What the reply says of itself, and what the model read."""
        reply = await self.post(messages, budget, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()["palimpsest"], self.prompts[-1]


@asynccontextmanager
async def serving(home: Path, **changes: Any) -> AsyncIterator[Server]:
    """Prefill is so slow that shortening always pays, however busy the machine is."""
    changes = {"prefill_us": 1e6} | changes
    settings = Settings(
        home=home,
        engine=EngineSettings(kind="scripted", max_context=changes.pop("max_context", None)),
        models=ModelSettings(embedder="hash"),
        compression=CompressionSettings(**changes),
    )
    services = Services(
        settings=settings,
        generator=Noting(settings),
        embedder=Embedder(settings),
        keeper=Keeper(home / "store", settings.documents, memory=settings.memory),
        compressor=Compressor(settings),
    )
    parts = (services.keeper, services.embedder, services.compressor, services.generator)
    for part in parts:
        await part.start()
    transport = httpx.ASGITransport(build_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield Server(services, client)
    for closing in (services.background, services.filling, *reversed(parts)):
        await closing.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path) as made:
        yield made


async def store_of(server: Server, *texts: str) -> dict[str, Any]:
    files = [
        await add(server.services, "default", f"{number}.txt", text.encode(), "assistants")
        for number, text in enumerate(texts)
    ]
    ids = [one.id for one in files]
    store = await server.services.keeper.create_store("default", "e", "s", ids, {})
    return {"vector_store_ids": [store.id]}


def talk(turns: int, text: str = PROSE) -> list[dict[str, str]]:
    """So many turns and a question."""
    said = [
        {"role": ("user", "assistant")[number % 2], "content": f"{number}. {text}"} for number in range(turns)
    ]
    return [*said, {"role": "user", "content": QUESTION}]


async def test_passages_are_shortened_by_their_stored_scores_and_cited_whole(server: Server) -> None:
    documents = await store_of(server, PROSE * 2)
    assert all(one.keep for one in await server.services.keeper.search("default", "x", await _vector(server)))
    whole, plain = await server.say(QUESTION, None, documents=documents)
    found, prompt = await server.say(QUESTION, 0.5, documents=documents)
    before, after = (one.messages[0]["content"] for one in (plain, prompt))
    assert len(after) < 0.75 * len(before)
    assert "not have to wait" in after
    assert "compression" not in whole
    assert whole["prompt_tokens_saved"] == 0
    saved = found["compression"]
    assert not saved["bypassed"]
    assert found["prompt_tokens_saved"] == saved["tokens_before"] - saved["tokens_after"]
    assert found["prompt_tokens_saved"] == pytest.approx(COUNT(before) - COUNT(after), abs=3)
    assert abs(saved["tokens_after"] / saved["tokens_before"] - 0.5) <= 0.02
    assert found["citations"] == whole["citations"]
    place = found["citations"][0]
    text = await server.services.keeper.file_text("default", place["document_id"])
    assert text[place["start"] : place["end"]] == place["quote"]


async def test_the_same_text_always_becomes_the_same(server: Server, tmp_path: Path) -> None:
    documents = await store_of(server, PROSE * 2)
    first = (await server.say(QUESTION, 0.5, documents=documents))[1]
    again = (await server.say("Who rebuilt the old harbour?", 0.5, documents=documents))[1]
    assert first.messages[0] == again.messages[0]
    async with serving(tmp_path / "other") as other:
        unscored = await store_of(other, PROSE * 2)
        assert (await other.say(QUESTION, 0.5, documents=unscored))[1].messages[0] == first.messages[0]


async def test_scores_of_another_policy_are_not_used(server: Server) -> None:
    from actors.messages import KeepScores

    documents = await store_of(server, PROSE * 2)
    first = (await server.say(QUESTION, 0.4, documents=documents))[1]
    keeper = server.services.keeper
    rows = await keeper.unscored("another", 9)
    zeros = [KeepScores("another", bytes(len(text.split()))) for _, _, text in rows]
    await keeper.put_scores("default", [chunk for _, chunk, _ in rows], zeros)
    server.services.compressor._known._found.clear()
    again = (await server.say(QUESTION, 0.4, documents=documents))[1]
    assert again.messages[0] == first.messages[0]


async def test_a_question_may_have_its_say(server: Server) -> None:
    documents = await store_of(server, PROSE * 2)
    question = "How many pages does the book of the strong keepers have?"
    _, plain = await server.say(question, 0.4, documents=documents)
    _, aware = await server.say(question, {"budget": 0.4, "question_aware": True}, documents=documents)
    asked = {"pages.", "book", "strong.", "keepers", "many"}
    before, after = (len(asked & set(one.messages[0]["content"].split())) for one in (plain, aware))
    assert after > before or before == len(asked)


async def test_passages_compete_for_one_room_and_keep_their_numbers(server: Server) -> None:
    documents = await store_of(server, *(f"{PROSE * 2} The bell of {name} has a crack." for name in NAMES))
    question = f"What does the bell of {NAMES[1]} have?"
    whole = (await server.say(question, None, documents=documents))[1].messages[0]["content"]
    found, prompt = await server.say(question, {"budget": 0.3, "question_aware": True}, documents=documents)
    text, saved = prompt.messages[0]["content"], found["compression"]
    assert f"The bell of {NAMES[1]} has a crack." in text
    assert 0.25 * saved["tokens_before"] < saved["tokens_after"] <= 0.3 * saved["tokens_before"] + 1
    assert set(re.findall(r"^\[\d+\] .*$", text, re.M)) <= set(re.findall(r"^\[\d+\] .*$", whole, re.M))


async def test_older_turns_are_shortened_and_the_prefix_stays(server: Server) -> None:
    before = talk(8)
    found, prompt = await server.say(before)
    shorter = [len(a["content"]) < len(b["content"]) for a, b in zip(prompt.messages, before, strict=True)]
    assert shorter == [number < 4 for number in range(9)]
    assert found["prompt_tokens_saved"] > 0
    _, later = await server.say([*before, {"role": "assistant", "content": "Enter."}, before[-1]])
    assert later.messages[:9] == prompt.messages


async def test_system_messages_tool_results_and_the_question_stay(server: Server) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": PROSE * 3},
        {"role": "user", "content": "Call it."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": PROSE * 3},
        *talk(12),
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": PROSE * 3 + QUESTION},
    ]
    _, prompt = await server.say(messages)
    for number in (0, 3, len(messages) - 1):
        assert prompt.messages[number]["content"] == messages[number]["content"]
    assert len(prompt.messages[4]["content"]) < len(messages[4]["content"])


async def test_a_text_pasted_before_the_question_is_shortened(server: Server) -> None:
    found, prompt = await server.say(f"Read this:\n\n{PROSE * 4}\n\n{QUESTION}")
    content = prompt.messages[0]["content"]
    assert content.startswith("Read this:\n\n")
    assert content.endswith(f"\n\n{QUESTION}")
    assert found["compression"]["tokens_before"] == COUNT(PROSE * 4)
    assert len(content) < 0.6 * len(PROSE * 4)


async def test_what_is_short_is_left_and_said_so(server: Server) -> None:
    found, prompt = await server.say("Hello, who are you?", "auto")
    assert found["compression"] == {"tokens_before": 0, "tokens_after": 0, "bypassed": True}
    assert prompt.messages[0]["content"] == "Hello, who are you?"


async def test_auto_leaves_what_was_read_before_while_it_fits(server: Server, tmp_path: Path) -> None:
    found, prompt = await server.say(talk(10), "auto")
    assert list(prompt.messages) == talk(10)
    assert found["compression"]["bypassed"]
    found, prompt = await server.say(f"{PROSE * 4}\n\n{QUESTION}", "auto")
    assert found["prompt_tokens_saved"] > 0
    size = COUNT(json.dumps(talk(20)))
    async with serving(tmp_path / "small", max_context=int(size * 0.8)) as small:
        assert (await small.say(talk(20), "auto"))[0]["prompt_tokens_saved"] > 0


async def test_auto_leaves_whole_what_would_not_pay(tmp_path: Path) -> None:
    pasted = f"{PROSE * 4}\n\n{QUESTION}"
    async with serving(tmp_path, prefill_us=0.01) as server:
        found, prompt = await server.say(pasted, "auto")
        assert found["compression"]["bypassed"]
        assert found["prompt_tokens_saved"] == 0
        assert prompt.messages[0]["content"] == pasted


async def test_memories_and_session_turns_are_shortened_and_kept_whole(server: Server) -> None:
    long = f"My plan for the harbour. {PROSE}"
    memory = {"read": True, "write": True}
    for number in range(3):
        await server.say(f"[[text:Noted.]] {number}. {long}", None, memory=memory, session_id="s")
    await server.services.background.settled()
    found, prompt = await server.say("What is my plan for the harbour?", memory=memory, session_id="t")
    shown = " ".join(str(one["content"]) for one in prompt.messages)
    assert found["memories"]
    assert long not in shown
    assert "22 km" in shown
    assert found["prompt_tokens_saved"] > 0
    await server.services.background.settled()
    kept = [one.text for one in (await server.services.keeper.list_memories("default")).memories]
    assert sum(long in text for text in kept) == 3


async def test_an_old_conversation_is_not_told_twice(server: Server) -> None:
    memory = {"read": True, "write": True}
    messages: list[Any] = []
    for number in range(6):
        messages.append({"role": "user", "content": f"[[text:Fine, {number}. {PROSE}]] {number}. {PROSE}"})
        reply = await server.post(messages, 0.5, memory=memory, session_id="s", max_tokens=400)
        messages.append({"role": "assistant", "content": reply.json()["choices"][0]["message"]["content"]})
        await server.services.background.settled()
    assert len(server.prompts[-1].messages) == 11
    assert reply.json()["palimpsest"]["prompt_tokens_saved"] > 0


async def test_a_conversation_too_long_is_shortened_until_it_fits(tmp_path: Path) -> None:
    messages = talk(20)
    size = COUNT(json.dumps(messages))
    async with serving(tmp_path, max_context=int(size * 0.62)) as server:
        assert (await server.post(messages, None)).json()["error"]["code"] == "context_length_exceeded"
        found, prompt = await server.say(messages)
        assert prompt.messages[-1] == messages[-1]
        assert found["compression"]["tokens_after"] < 0.56 * found["compression"]["tokens_before"]
    async with serving(tmp_path / "smaller", max_context=int(size * 0.1)) as server:
        refused = await server.post(messages)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_stream_says_it_in_its_last_chunk(server: Server) -> None:
    reply = await server.post(talk(10), stream=True)
    events = [json.loads(one[6:]) for one in reply.text.split("\n\n") if one.startswith("data: {")]
    assert events[-1]["palimpsest"]["prompt_tokens_saved"] > 0
    assert not events[-1]["palimpsest"]["compression"]["bypassed"]


async def test_a_compressor_in_trouble_fails_no_chat(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    documents = await store_of(server, PROSE * 2)

    async def shorten(*_: Any, **__: Any) -> Any:
        raise Gone("the compressor died")

    server.services.compressor.shorten = shorten  # type: ignore[method-assign]
    found, prompt = await server.say(talk(10), documents=documents)
    assert found["compression"] == "unavailable"
    assert found["prompt_tokens_saved"] == 0
    assert list(prompt.messages[1:]) == talk(10)
    assert caplog.text.count("shortening a prompt failed") == 1


async def test_where_it_is_off_it_cannot_be_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path, enabled=False) as server:
        error = (await server.post("Hello")).json()["error"]
        assert (error["param"], error["code"]) == ("compression", "not_available")
        assert (await server.post("Hello", None)).status_code == 200


async def test_the_metrics_count_it(server: Server) -> None:
    await server.say(talk(10))
    metrics = (await server.client.get("/metrics")).text
    assert 'palimpsest_compress_seconds_count{bypassed="false"} 4.0' in metrics


async def _vector(server: Server) -> Any:
    return (await server.services.embedder.embed(["x"]))[0]


@pytest.mark.ray
def test_a_deployed_service_shortens_passages_and_answers_questions(ray_url: str) -> None:
    with httpx.Client(base_url=ray_url, timeout=60) as client:
        upload = client.post(
            "/v1/files", files={"file": ("harbour.txt", (PROSE * 2).encode())}, data={"purpose": "assistants"}
        )
        assert upload.status_code == 200, upload.text
        store = client.post("/v1/vector_stores", json={"name": "h", "file_ids": [upload.json()["id"]]}).json()
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": QUESTION}],
            "documents": {"vector_store_ids": [store["id"]]},
            "compression": {"budget": 0.5},
        }
        found = client.post("/v1/chat/completions", json=body).json()["palimpsest"]
        assert found["prompt_tokens_saved"] > 0
        asked = {"question": QUESTION, "compression": {"budget": "auto", "question_aware": False}}
        answer = client.post("/v1/qa", json=asked).json()
        assert not answer["compression"]["bypassed"]
        asked["compression"] = {"budget": "auto"}
        gathered = client.post("/v1/qa", json=asked).json()["compression"]
        assert gathered != "unavailable"
        assert 0 < gathered["tokens_after"] <= gathered["tokens_before"]
        place = answer["citations"][0]
        text = client.get(f"/v1/files/{place['document_id']}/text").text
        assert text[place["start"] : place["end"]] == place["quote"]
