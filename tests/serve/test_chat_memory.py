import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.memory.records import Forgetting, Memory
from actors.messages import Busy
from configs.schema import EngineSettings, MemorySettings, ModelSettings, Settings
from serve import dialogue
from serve.services import Services
from serve.web import build_app

MODEL = "smollm2-135m"
ANN = {"authorization": "Bearer k1"}
BOB = {"authorization": "Bearer k2"}
Say = Callable[..., Any]


class Server:
    """The application over a real store, the scripted engine and hashed words."""

    def __init__(self, services: Services, client: httpx.AsyncClient) -> None:
        self.services = services
        self.keeper = services.keeper
        self.client = client

    async def say(self, text: str | list[Any], headers: Any = ANN, **more: Any) -> dict[str, Any]:
        """The reply to one message, or to a whole conversation."""
        messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
        body = {"model": MODEL, "messages": messages, "temperature": 0, **more}
        reply = await self.client.post("/v1/chat/completions", json=body, headers=headers)
        assert reply.status_code == 200, reply.text
        if not more.get("stream"):
            return dict(reply.json())
        events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
        return dict(json.loads(events[-2]))

    async def kept(self, user: str = "ann") -> list[Memory]:
        """All that is remembered of a user, oldest first."""
        await self.services.background.settled()
        return list(reversed((await self.keeper.list_memories(user)).memories))


def settings_at(home: Path, keys: tuple[str, ...] = ("ann:k1", "bob:k2"), **memory: Any) -> Settings:
    return Settings(
        home=home,
        api_keys=keys,
        engine=EngineSettings(kind="scripted", max_context=memory.pop("max_context", None)),
        memory=MemorySettings(**memory),
        models=ModelSettings(embedder="hash"),
    )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Server]:
    services = Services(
        settings=settings,
        generator=Generator(settings),
        embedder=Embedder(settings),
        keeper=Keeper(settings.home / "store", settings.documents, memory=settings.memory),
        compressor=Compressor(settings),
    )
    for part in (services.generator, services.embedder, services.keeper):
        await part.start()
    transport = httpx.ASGITransport(build_app(services), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield Server(services, client)
    finally:
        for part in (services.background, services.filling, services.generator, services.embedder):
            await part.close()
        await services.keeper.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(settings_at(tmp_path)) as made:
        yield made


def said(reply: Any) -> str:
    return str(reply["choices"][0]["message"]["content"])


async def test_what_one_session_is_told_another_knows_and_another_user_does_not(server: Server) -> None:
    await server.say("My dog is called Biscuit.", session_id="monday")
    reply = await server.say("What is my dog called?", session_id="tuesday")
    assert "My dog is called Biscuit." in said(reply)
    used = reply["palimpsest"]["memories"]
    assert "My dog is called Biscuit." in [(await server.keeper.get_memory("ann", id)).text for id in used]
    other = await server.say("What is my dog called?", BOB)
    assert "Biscuit" not in said(other)
    assert other["palimpsest"]["memories"] == []


async def test_both_turns_are_kept_once_in_their_session(server: Server) -> None:
    first = await server.say("[[text:Noted.]] I like plums.", session_id="s")
    history = [
        {"role": "user", "content": "[[text:Noted.]] I like plums."},
        {"role": "assistant", "content": said(first)},
        {"role": "user", "content": "[[text:Yes.]] And figs."},
    ]
    await server.say(history, session_id="s")
    turns = await server.kept()
    assert [(turn.role, turn.text) for turn in turns] == [
        ("user", "[[text:Noted.]] I like plums."),
        ("assistant", "Noted."),
        ("user", "[[text:Yes.]] And figs."),
        ("assistant", "Yes."),
    ]
    assert [turn.ordinal for turn in turns] == [0, 1, 2, 3]
    assert {turn.session for turn in turns} == {"s"}
    assert {turn.kind for turn in turns} == {"turn"}


async def test_a_request_sent_again_is_written_once(server: Server) -> None:
    again = {**ANN, "x-request-id": "r1"}
    for _ in range(3):
        await server.say("[[text:Fine.]] I am Ann.", again)
    assert [turn.text for turn in await server.kept()] == ["[[text:Fine.]] I am Ann.", "Fine."]
    await server.say("[[text:Fine.]] I am Ann.", {**ANN, "x-request-id": "r2"})
    assert len(await server.kept()) == 4


async def test_a_stream_says_at_its_end_what_was_used_when_all_is_written(server: Server) -> None:
    await server.say("My cat is called Lyra.", session_id="one")
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "[[text:a b]] What is my cat called?"}],
        "stream": True,
        "session_id": "two",
    }
    seen: list[Any] = []
    async with server.client.stream("POST", "/v1/chat/completions", json=body, headers=ANN) as reply:
        async for line in reply.aiter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line.removeprefix("data: "))
                if "palimpsest" in chunk:
                    seen.append((chunk["palimpsest"]["memories"], len(await server.kept())))
    ((used, written),) = seen
    assert used
    assert written == 4
    with_usage = await server.say("My cat?", stream=True, stream_options={"include_usage": True})
    assert with_usage["usage"]["prompt_tokens"] > 0
    assert "memories" in with_usage["palimpsest"]


async def test_memories_of_the_prompt_grow_stronger(server: Server) -> None:
    await server.say("My cat is called Lyra.", session_id="one")
    used = (await server.say("What is my cat called?", session_id="two"))["palimpsest"]["memories"]
    await server.services.background.settled()
    assert used
    assert {(await server.keeper.get_memory("ann", id)).uses for id in used} == {1}


async def test_an_abandoned_stream_keeps_the_question_and_nothing_false(server: Server) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "[[delay:0.01]][[tokens:5000]] I am moving to Faro."}],
        "stream": True,
        "max_tokens": 5000,
    }
    app = server.client._transport.app  # type: ignore[attr-defined]
    leave = asyncio.Event()

    async def receive() -> Any:
        if not leave.is_set():
            await leave.wait()
        return {"type": "http.disconnect"}

    first = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]

    async def receive_all() -> Any:
        return first.pop() if first else await receive()

    async def send(message: Any) -> None:
        if b'"content":"' in message.get("body", b"") and b"role" not in message["body"]:
            leave.set()

    headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json")]
    headers.append((b"authorization", b"Bearer k1"))
    scope = {
        "type": "http", "method": "POST", "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions",
        "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "http_version": "1.1",
        "scheme": "http", "server": ("127.0.0.1", 8000), "root_path": "",
    }  # fmt: skip
    await asyncio.wait_for(app(scope, receive_all, send), 30)
    assert [turn.role for turn in await server.kept()] == ["user"]
    reply = await server.say("Where am I moving?", session_id="later")
    assert "Faro" in said(reply)


async def test_a_refused_request_is_not_remembered(server: Server) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "[[fail]] I live in Faro."}]}
    reply = await server.client.post("/v1/chat/completions", json=body, headers=ANN)
    assert reply.status_code == 500
    assert await server.kept() == []


async def test_the_session_goes_on_where_the_client_sends_no_history(server: Server) -> None:
    await server.say("[[text:Ha.]] Tell me a joke about ducks.", session_id="s")
    before = await server.say("[[text:x]] Again", memory={"read": False, "write": False})
    reply = await server.say("[[text:x]] Again", session_id="s")
    grown = reply["usage"]["prompt_tokens"] - before["usage"]["prompt_tokens"]
    assert grown > 10
    assert len(reply["palimpsest"]["memories"]) == 2


@pytest.mark.parametrize(
    ("chat", "keys", "options", "reads", "writes"),
    [
        ("authenticated", True, None, True, True),
        ("authenticated", False, None, False, False),
        ("always", False, None, True, True),
        ("never", True, None, False, False),
        ("never", True, {"read": True, "write": True}, True, True),
        ("authenticated", True, {"read": False}, False, True),
        ("authenticated", True, {"write": False}, True, False),
        ("authenticated", False, {"write": True}, False, True),
    ],
)
def test_who_reads_and_writes(
    tmp_path: Path, chat: Any, keys: bool, options: Any, reads: bool, writes: bool
) -> None:
    settings = settings_at(tmp_path, ("ann:k1",) if keys else (), chat=chat)
    asked = dialogue.MemoryOptions.model_validate(options) if options else None
    assert dialogue.wanted(asked, settings) == (reads, writes)


async def test_an_open_server_keeps_the_memories_of_whom_it_is_told_of(tmp_path: Path) -> None:
    async with serving(settings_at(tmp_path, keys=(), chat="always")) as server:
        await server.say("My dog is called Biscuit.", {}, user="ann")
        assert "Biscuit" in said(await server.say("What is my dog called?", {}, user="ann", session_id="x"))
        assert "Biscuit" not in said(await server.say("What is my dog called?", {}, session_id="x"))
        await server.say("I live in Faro.", {})
        assert len(await server.kept("default")) == 4


async def test_without_reading_or_writing_nothing_is_read_or_written(server: Server) -> None:
    await server.say("My dog is called Biscuit.", memory={"write": False})
    assert await server.kept() == []
    await server.say("My dog is called Biscuit.")
    reply = await server.say("What is my dog called?", memory={"read": False}, session_id="x")
    assert "Biscuit" not in said(reply)
    assert reply["palimpsest"]["memories"] == []


async def test_a_memory_in_trouble_is_said_and_the_answer_is_given(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*args: Any, **kwargs: Any) -> Any:
        raise Busy("the store is away")

    await server.say("My dog is called Biscuit.")
    with monkeypatch.context() as broken:
        broken.setattr(server.keeper, "search_memories", fails)
        reply = await server.say("[[text:Hi.]] What is my dog called?")
        assert (said(reply), reply["palimpsest"]["memory"]) == ("Hi.", "unavailable")
    with monkeypatch.context() as broken:
        broken.setattr(server.keeper, "remember", fails)
        reply = await server.say("[[text:Hi.]] What is my dog called?", stream=True)
        assert reply["palimpsest"]["memory"] == "unavailable"
    assert "memory" not in (await server.say("Well?"))["palimpsest"]


@pytest.mark.parametrize("room", [64, 150, 300, 600])
async def test_memories_never_make_a_prompt_too_long(tmp_path: Path, room: int) -> None:
    async with serving(settings_at(tmp_path, max_context=room)) as server:
        for number in range(12):
            text = f"My plum tree number {number} stands beside the old wall of the garden in Faro."
            await server.keeper.remember("ann", f"e{number}", [dialogue.NewMemory(text=text)])
        body = {"session_id": "s", "max_tokens": 16, "memory": {"write": False}}
        bare = await server.say("Where is my plum tree?", **body, headers=BOB)
        reply = await server.say("Where is my plum tree?", **body)
        assert reply["usage"]["prompt_tokens"] + 16 <= room
        assert bare["usage"]["prompt_tokens"] <= reply["usage"]["prompt_tokens"]


async def test_of_several_answers_the_first_is_kept(server: Server) -> None:
    reply = await server.say("hello there", n=3, seed=1, temperature=1)
    answers = [choice["message"]["content"] for choice in reply["choices"]]
    assert len(set(answers)) == 3
    assert [turn.text for turn in await server.kept()] == ["hello there", answers[0]]


async def test_a_tool_call_is_no_turn_but_the_answer_after_it_is(server: Server) -> None:
    tools = [{"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}]
    question = {"role": "user", "content": "what time is it?"}
    first = await server.say([question], tools=tools)
    call = first["choices"][0]["message"]
    assert [turn.text for turn in await server.kept()] == ["what time is it?"]
    result = {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "noon"}
    second = await server.say([question, call, result], tools=tools)
    assert [turn.text for turn in await server.kept()] == ["what time is it?", said(second)]


async def test_json_and_documents_go_with_memories(server: Server) -> None:
    await server.say("My dog is called Biscuit.")
    reply = await server.say("What is my dog called?", response_format={"type": "json_object"})
    assert json.loads(said(reply)) == {}
    assert reply["palimpsest"]["memories"]


async def test_a_long_message_is_kept_in_pieces(tmp_path: Path) -> None:
    async with serving(settings_at(tmp_path, max_characters=100)) as server:
        text = "word " * 50
        await server.say(text, max_tokens=4)
        pieces = [turn for turn in await server.kept() if turn.role == "user"]
        assert len(pieces) == 3
        assert "".join(turn.text for turn in pieces) == text


async def test_what_is_forgotten_is_not_told(server: Server) -> None:
    await server.say("My dog is called Biscuit.", session_id="a", memory={"write": True})
    await server.keeper.forget("ann", "f1", Forgetting(everything=True))
    assert "Biscuit" not in said(await server.say("What is my dog called?", session_id="b"))


async def test_consolidation_comes_after_some_replies(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def consolidate(services: Services, user: str) -> None:
        asked.append(user)

    monkeypatch.setattr(dialogue, "CONSOLIDATE_EVERY", 1)
    monkeypatch.setattr(dialogue.remembering, "consolidate", consolidate)
    await server.say("hello")
    await server.services.background.settled()
    assert asked == ["ann"]


@pytest.mark.ray
def test_through_ray_serve_a_user_is_remembered_and_another_is_not(ray_url: str) -> None:
    def say(text: str, user: str, session: str, **more: Any) -> str:
        body = {
            "model": MODEL, "messages": [{"role": "user", "content": text}], "temperature": 0, "user": user,
            "session_id": session, "memory": {"read": True, "write": True}, **more,
        }  # fmt: skip
        reply = httpx.post(f"{ray_url}/v1/chat/completions", json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.text

    assert "[DONE]" in say("My parrot is called Mango.", "ann", "one", stream=True)
    assert "Mango" in say("What is my parrot called?", "ann", "two")
    assert "Mango" not in say("What is my parrot called?", "bob", "two")
