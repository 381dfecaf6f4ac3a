"""Consent, feedback and what is learned of it, over HTTP: a real keeper, the scripted engine."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.keeper import Keeper
from actors.lineage import Lineage
from actors.messages import NotFound
from actors.training.versions import Answer
from configs.schema import DocumentSettings, EngineSettings, ModelSettings, Settings
from serve.services import Services
from serve.web import build_app
from tune.learnable import Gatherer, Learnable

ANN = {"authorization": "Bearer k1"}
BOB = {"authorization": "Bearer k2"}


class Book:
    """Stands for the adapter versions: knows answers, and notes what it is told to forget."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.forgotten: list[str] = []

    async def note_answer(
        self, answer_id: str, user: str, version: str | None, memories: Sequence[str], at: float
    ) -> None:
        self.answers[answer_id] = Answer(id=answer_id, user=user, version=version, memories=(), at=at)

    async def answer(self, answer_id: str, user: str | None) -> Answer:
        found = self.answers.get(answer_id)
        if found is None or found.user != user:
            raise NotFound("no such answer")
        return found

    async def forget(self, events: Sequence[str]) -> tuple[()]:
        self.forgotten += events
        return ()

    async def forget_user(self, user: str) -> tuple[()]:
        self.forgotten.append(f"all of {user}")
        return ()


class Server:
    """The application, and what is asked of it."""

    def __init__(self, services: Services, client: httpx.AsyncClient, book: Book) -> None:
        self.services = services
        self.client = client
        self.book = book

    async def say(self, text: str, headers: Any = ANN, status: int = 200, **more: Any) -> str:
        messages = [{"role": "user", "content": text}]
        body = {"model": "smollm2-135m", "messages": messages, "temperature": 0, **more}
        reply = await self.client.post("/v1/chat/completions", json=body, headers=headers)
        assert reply.status_code == status, reply.text
        return str(reply.json().get("id"))

    async def ask(self, method: str, path: str, status: int = 200, headers: Any = ANN, **body: Any) -> Any:
        given = {"json": body} if method in ("POST", "PUT") else {"params": body}
        reply = await self.client.request(method, path, headers=headers, **given)
        assert reply.status_code == status, reply.text
        return reply.json() if reply.headers["content-type"] == "application/json" else reply.text

    async def learned(self, user: str = "ann", headers: Any = ANN) -> Learnable:
        await self.services.background.settled()
        gatherer = Gatherer(user)
        for line in (await self.ask("GET", "/v1/train/data", headers=headers)).splitlines():
            gatherer.take(json.loads(line))
        return gatherer.done()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    settings = Settings(
        home=tmp_path,
        api_keys=("ann:k1", "bob:k2"),
        engine=EngineSettings(kind="scripted"),
        models=ModelSettings(embedder="hash"),
    )
    book = Book()
    services = Services(
        settings=settings,
        generator=Generator(settings),
        embedder=Embedder(settings),
        keeper=Keeper(tmp_path / "store", DocumentSettings(vector_cache=False)),
        compressor=Compressor(settings),
        lineage=cast(Lineage, book),
    )
    for part in (services.generator, services.embedder, services.keeper):
        await part.start()
    transport = httpx.ASGITransport(build_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield Server(services, client, book)
    for part in (
        services.background,
        services.filling,
        services.generator,
        services.embedder,
        services.keeper,
    ):
        await part.close()


async def test_consent_decides_and_a_request_may_only_narrow_it(server: Server) -> None:
    assert (await server.ask("GET", "/v1/train/consent"))["consent"] == "unset"
    await server.say("My dog is called Biscuit.")
    await server.say("I live in Porto.", training=True)
    await server.say("I work at Acme.", training=False)
    assert [fact.value for fact in (await server.learned()).facts] == ["Porto"]
    given = await server.ask("PUT", "/v1/train/consent", consent="on", user_id="ann")
    assert (given["user_id"], given["consent"], given["shared"]) == ("ann", "on", False)
    assert sorted(fact.value for fact in (await server.learned()).facts) == ["Biscuit", "Porto"]
    await server.ask("PUT", "/v1/train/consent", consent="off")
    found = await server.learned()
    assert (found.facts, {one.reason for one in found.quarantined}) == ((), {"consent"})
    assert len(server.book.forgotten) == 12


async def test_what_is_to_be_trained_on_is_remembered(server: Server) -> None:
    id = await server.say("I live in Porto.", status=400, memory={"write": False}, training=True)
    assert id == "None"
    await server.say("I live in Porto.", memory={"read": False}, training=True)
    assert len((await server.learned()).facts) == 1


async def test_feedback_reaches_the_data_and_the_watch(server: Server) -> None:
    await server.ask("PUT", "/v1/train/consent", consent="on")
    good = await server.say("What do bees make?")
    bad = await server.say("What is the capital of Zembla?")
    server.book.answers[good] = Answer(id=good, user="ann", version="v1", memories=(), at=0)
    for _ in range(2):
        given = await server.ask("POST", "/v1/feedback", completion_id=good, rating=1)
    assert (given["object"], given["rating"]) == ("feedback", 1)
    await server.ask(
        "POST", "/v1/feedback", completion_id=bad, rating=-1, correction="It is Onhava.", user_id="ann"
    )
    found = await server.learned()
    assert [(one.kind, one.messages[0]["content"]) for one in found.examples] == [
        ("chat", "What do bees make?"),
        ("correction", "What is the capital of Zembla?"),
    ]
    assert [one.chosen for one in found.preferences] == ["It is Onhava."]
    assert server.services.watch.figures["v1"].thumbs_up == 1
    await server.ask("POST", "/v1/memories/forget", user_id="ann", matching="Onhava")
    assert [one.kind for one in (await server.learned()).examples] == ["chat"]
    await server.ask("DELETE", "/v1/memories", user_id="ann")
    assert "all of ann" in server.book.forgotten
    assert (await server.ask("GET", "/v1/train/consent"))["consent"] == "unset"
    assert await server.services.keeper.untold() == []


async def test_feedback_is_refused_for_what_is_not_the_users_own(server: Server) -> None:
    id = await server.say("What do bees make?")
    await server.services.background.settled()
    await server.ask("POST", "/v1/feedback", 404, BOB, completion_id=id, rating=1)
    await server.ask("POST", "/v1/feedback", 403, BOB, completion_id=id, rating=1, user_id="ann")
    await server.ask("POST", "/v1/feedback", 404, completion_id="chatcmpl-0", rating=1)
    await server.ask("POST", "/v1/feedback", 400, completion_id=id)
    await server.ask("POST", "/v1/feedback", 422, completion_id=id, rating=5)
    await server.ask("POST", "/v1/feedback", 422, completion_id=id, rating=True)
    await server.ask("PUT", "/v1/train/consent", 403, BOB, consent="on", user_id="ann")
    await server.ask("GET", "/v1/train/data", 403, BOB, user_id="ann")
    await server.ask("PUT", "/v1/train/consent", 400, consent="off", shared=True)


async def test_an_answer_that_was_not_remembered_can_be_rated_but_not_learned(server: Server) -> None:
    await server.ask("PUT", "/v1/train/consent", consent="on")
    id = await server.say("What do bees make?", memory={"read": False, "write": False})
    server.book.answers[id] = Answer(id=id, user="ann", version=None, memories=(), at=0)
    await server.ask("POST", "/v1/feedback", completion_id=id, correction="Honey.")
    found = await server.learned()
    assert (found.examples, [one.reason for one in found.quarantined]) == ((), ["not remembered"])


ASKED = [{"role": "user", "content": "What do bees make?"}]
PAIR = {"messages": ASKED, "chosen": "Honey.", "rejected": "Wool."}
SCORED = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Who is there?"}]}],
    "completions": [{"text": "It is me.", "score": 1}, {"text": "Nobody.", "score": -0.5}],
}


async def test_compared_answers_reach_the_data_and_are_forgotten(server: Server) -> None:
    await server.ask("PUT", "/v1/train/consent", consent="on")
    for _ in range(2):
        given = await server.ask("POST", "/v1/train/preference", **PAIR, event_id="p1", user_id="ann")
    assert given["object"] == "preference"
    scored = await server.ask("POST", "/v1/train/reward", **SCORED)
    assert scored["object"] == "reward"
    found = await server.learned()
    assert [(one.chosen, one.rejected, one.events) for one in found.preferences] == [
        ("Honey.", "Wool.", (given["id"], "p1"))
    ]
    assert [one.answers for one in found.scored] == [(("It is me.", 1.0), ("Nobody.", -0.5))]
    assert set(found.events) >= {"p1", scored["id"]}
    await server.ask("POST", "/v1/memories/forget", user_id="ann", ids=[given["id"]])
    assert {"p1", given["id"]} <= set(server.book.forgotten)
    found = await server.learned()
    assert (found.preferences, len(found.scored)) == ((), 1)
    await server.ask("PUT", "/v1/train/consent", consent="off")
    assert (await server.learned()).events == ()
    assert scored["id"] in server.book.forgotten


async def test_what_cannot_be_compared_is_refused(server: Server) -> None:
    where = {"preference": "/v1/train/preference", "reward": "/v1/train/reward"}
    one, other = SCORED["completions"]
    refused: list[tuple[str, int, dict[str, Any]]] = [
        ("preference", 400, {**PAIR, "rejected": "Honey."}),
        ("preference", 400, {**PAIR, "messages": [*ASKED, {"role": "assistant", "content": "Hm."}]}),
        ("preference", 400, {**PAIR, "messages": [{"role": "tool", "content": "4", "tool_call_id": "c"}]}),
        ("preference", 422, {**PAIR, "messages": [{"role": "bee", "content": "Hm."}]}),
        ("preference", 413, {**PAIR, "chosen": "x" * 30_000}),
        ("preference", 403, {**PAIR, "user_id": "bob"}),
        ("preference", 400, {"messages": ASKED, "chosen": "Honey."}),
        ("reward", 400, {**SCORED, "completions": [one]}),
        ("reward", 400, {**SCORED, "completions": [one, {**other, "score": 1}]}),
        ("reward", 422, {**SCORED, "completions": [one, {**other, "score": 1e300}]}),
    ]
    for kind, status, body in refused:
        reply = await server.ask("POST", where[kind], status, **body)
        assert reply["error"]["message"]
    text = json.dumps({**SCORED, "completions": [one, other]}).replace("-0.5", "NaN")
    headers = {**ANN, "content-type": "application/json"}
    reply = await server.client.post(where["reward"], content=text, headers=headers)
    assert reply.status_code in (400, 422)
    assert await server.ask("GET", "/v1/train/data") == ""
