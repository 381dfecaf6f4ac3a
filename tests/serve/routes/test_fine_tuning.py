"""The fine-tuning API as OpenAI's own client uses it, over a trainer that only pretends."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from actors.jobs import Jobs
from actors.messages import InvalidRequest
from actors.training.launch import Processes
from configs.schema import JobSettings
from configs.training import LongContextTraining
from serve.documents import conversations
from serve.services import Services
from serve.tuning import Lessons, hyperparameters, training_tree
from serve.tuning_wire import Hyperparameters
from serve.web import build_app

FAKE = (sys.executable, str(Path(__file__).parents[2] / "data" / "fake_trainer.py"))
MODEL = "smollm2-135m"


def lines(count: int) -> bytes:
    chats = [
        {
            "messages": [
                {"role": "user", "content": f"Who is {n}?"},
                {"role": "assistant", "content": f"Number {n}."},
            ]
        }
        for n in range(count)
    ]
    return "".join(json.dumps(chat) + "\n" for chat in chats).encode()


@pytest.fixture
async def http(documents_services: Services) -> AsyncIterator[httpx.AsyncClient]:
    settings = documents_services.settings.model_copy(
        update={"jobs": JobSettings(command=FAKE), "api_keys": ("ann:a", "bob:b")}
    )
    jobs = Jobs(settings, Processes(0))
    await jobs.start()
    await documents_services.generator.start()
    app = build_app(replace(documents_services, settings=settings, jobs=jobs))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000/v1") as client:
        yield client
    await jobs.close()


def openai_of(http: httpx.AsyncClient, key: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url="http://127.0.0.1:8000/v1", http_client=http, max_retries=0)


async def streamed(http: httpx.AsyncClient, id: str) -> list[dict[str, Any]]:
    path = f"/fine_tuning/jobs/{id}/events?stream=true"
    reply = await http.get(path, headers={"authorization": "Bearer a"}, timeout=60)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *events, done = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


async def test_a_file_becomes_a_model_to_chat_with_and_is_gone(http: httpx.AsyncClient) -> None:
    ann, bob = openai_of(http, "a"), openai_of(http, "b")
    file = await ann.files.create(file=("chats.jsonl", lines(12)), purpose="fine-tune")
    judged = await ann.files.create(file=("judged.jsonl", lines(3)), purpose="fine-tune")
    job = await ann.fine_tuning.jobs.create(
        model=MODEL,
        training_file=file.id,
        validation_file=judged.id,
        suffix="numbers",
        seed=3,
        metadata={"for": "test"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}},
    )
    assert (job.object, job.status, job.fine_tuned_model, job.seed) == ("fine_tuning.job", "queued", None, 3)
    assert job.method is not None
    assert job.hyperparameters.to_dict() == {
        "n_epochs": 2,
        "batch_size": 4,
        "learning_rate_multiplier": 1.0,
    }
    told = await streamed(http, job.id)
    assert told[-1]["message"] == "The job has successfully completed"
    done = await ann.fine_tuning.jobs.retrieve(job.id)
    assert (done.status, done.organization_id, done.metadata) == ("succeeded", "ann", {"for": "test"})
    assert done.trained_tokens
    assert done.finished_at
    assert done.finished_at >= done.created_at
    name = done.fine_tuned_model
    assert name == f"ft:{MODEL}:numbers:{job.id.removeprefix('ftjob-')}"

    first = await ann.fine_tuning.jobs.list_events(job.id, limit=2)
    assert [event.id for event in first.data] == [event["id"] for event in told[:-3:-1]]
    listed = [event.to_dict() async for event in ann.fine_tuning.jobs.list_events(job.id, limit=5)]
    assert listed == told[::-1]
    figures = [event for event in told if event["type"] == "metrics"]
    assert {"step", "total_steps", "train_loss"} <= figures[0]["data"].keys()
    checkpoints = [one async for one in ann.fine_tuning.jobs.checkpoints.list(job.id, limit=1)]
    assert [one.step_number for one in checkpoints] == sorted(
        (one.step_number for one in checkpoints), reverse=True
    )
    assert checkpoints[0].fine_tuned_model_checkpoint.startswith(name)
    assert checkpoints[0].metrics.train_loss is not None
    assert [one.id async for one in ann.fine_tuning.jobs.list(limit=1)] == [job.id]
    await chatted_with_and_deleted(ann, bob, job.id, name, done.finished_at)
    results = await http.post(
        "/vector_stores/all/search", json={"query": "Number 3."}, headers={"authorization": "Bearer a"}
    )
    assert results.json()["data"] == []


async def chatted_with_and_deleted(
    ann: AsyncOpenAI, bob: AsyncOpenAI, job: str, name: str, finished_at: int
) -> None:
    """The model is ann's alone, until she deletes it."""
    assert [model.id for model in (await ann.models.list()).data][1] == name
    assert (await ann.models.retrieve(name)).created == finished_at
    ask: Any = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    reply = await ann.chat.completions.create(**ask)
    assert reply.choices[0].message.content == f"[{name}] You said: hi"
    assert reply.system_fingerprint == f"{MODEL}@{name}"
    assert (await ann.completions.create(model=name, prompt="x")).choices[0].text.startswith(f"[{name}]")

    assert name not in [model.id for model in (await bob.models.list()).data]
    for attempt in (
        bob.chat.completions.create(**ask),
        bob.fine_tuning.jobs.retrieve(job),
        bob.fine_tuning.jobs.list_events(job),
        bob.fine_tuning.jobs.cancel(job),
        bob.models.delete(name),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert (await ann.models.delete(name)).deleted
    with pytest.raises(NotFoundError):
        await ann.chat.completions.create(**ask)


async def test_a_running_job_is_measured_paused_resumed_and_cancelled(
    http: httpx.AsyncClient, documents_services: Services
) -> None:
    ann = openai_of(http, "a")
    file = await ann.files.create(file=("chats.jsonl", lines(12)), purpose="fine-tune")
    job = await ann.fine_tuning.jobs.create(model=MODEL, training_file=file.id, seed=16)
    shown = ""
    while f'palimpsest_train_step{{job="{job.id}"}} 2.0' not in shown:
        await asyncio.sleep(0.05)
        shown = (await http.get("http://127.0.0.1:8000/metrics", headers={"authorization": "Bearer a"})).text
    assert f'palimpsest_train_memory_bytes{{job="{job.id}"}} 5.36870912e+08' in shown
    running = await ann.fine_tuning.jobs.retrieve(job.id)
    assert running.status == "running"
    assert running.estimated_finish
    assert running.trained_tokens is None
    assert (await ann.fine_tuning.jobs.pause(job.id)).status == "paused"
    assert (await ann.fine_tuning.jobs.resume(job.id)).status in ("queued", "validating_files", "running")
    assert (await ann.fine_tuning.jobs.cancel(job.id)).status == "cancelled"
    with pytest.raises(BadRequestError, match="is cancelled already"):
        await ann.fine_tuning.jobs.cancel(job.id)
    folder = documents_services.settings.home / "jobs" / job.id
    assert not (folder / "training.jsonl").exists()


async def test_what_cannot_be_trained_is_refused_before_anything_starts(http: httpx.AsyncClient) -> None:
    ann = openai_of(http, "a")

    async def refused(what: str, **more: Any) -> str:
        with pytest.raises(BadRequestError) as caught:
            await ann.fine_tuning.jobs.create(**{"model": MODEL, "training_file": good.id, **more})
        body: Any = caught.value.body
        assert what in body["message"], body["message"]
        return f"{body['param']} {body['code']}"

    for content, fault in (
        (lines(2) + b"{oops\n", "chats.jsonl:3: not JSON"),
        (b'{"prompt": "a"}\n', "chats.jsonl:1: there is no list of messages; there is prompt"),
        (b'{"messages": [{"role": "bot", "content": "a"}]}', "chats.jsonl:1: messages[0]: role 'bot'"),
        (b'{"messages": [{"role": "user", "content": "a"}]}', "no message of role assistant"),
        (b"\n\n", "chats.jsonl is empty"),
    ):
        with pytest.raises(BadRequestError) as caught:
            await ann.files.create(file=("chats.jsonl", content), purpose="fine-tune")
        assert fault in str(caught.value)
    good = await ann.files.create(file=("good.jsonl", lines(12)), purpose="fine-tune")
    few = await ann.files.create(file=("few.jsonl", lines(2)), purpose="fine-tune")
    text = await ann.files.create(file=("notes.txt", b"notes"), purpose="assistants")
    assert await refused("cannot be fine-tuned", model="gpt-4o") == "model model_not_available"
    assert await refused("there is no file", training_file="file-x") == "training_file file_not_found"
    assert await refused("2 examples, and at least 10", training_file=few.id) == (
        "training_file invalid_file_format"
    )
    assert (await refused("purpose 'assistants'", validation_file=text.id)).startswith("validation_file")
    assert (await refused("supervised and dpo", method={"type": "reinforcement"})).startswith("method.type")
    assert (await refused("input needs", method={"type": "dpo"})).startswith("training_file")
    assert (await refused("12 examples there are", hyperparameters={"batch_size": 13})).startswith("method")
    await refused("n_epochs is at most 50", hyperparameters={"n_epochs": 51})
    long = lines(11) + lines(1).replace(b"Number 0.", b"v. " * 25_000)
    too_long = await ann.files.create(file=("long.jsonl", long), purpose="fine-tune")
    assert "context_length" in await refused("longer than the model reads", training_file=too_long.id)
    assert (await ann.fine_tuning.jobs.list()).data == []
    with pytest.raises(NotFoundError):
        await ann.fine_tuning.jobs.retrieve("ftjob-none")


def pair(number: int, **more: Any) -> dict[str, Any]:
    answers = {"preferred_output": f"Number {number}.", "non_preferred_output": "Nobody."}
    told = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    asked = {"messages": [{"role": "user", "content": f"Who is {number}?"}], "tools": []}
    return {"input": asked, **told, **more}


def paired(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


async def test_pairs_of_answers_are_trained_on_by_dpo(
    http: httpx.AsyncClient, documents_services: Services
) -> None:
    ann = openai_of(http, "a")
    dpo: Any = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.3, "n_epochs": 2, "batch_size": 5}}}
    file = await ann.files.create(file=("p.jsonl", paired(*map(pair, range(12)))), purpose="fine-tune")
    job = await ann.fine_tuning.jobs.create(model=MODEL, training_file=file.id, seed=3, method=dpo)
    assert job.method is not None
    assert job.method.dpo is not None
    assert job.method.supervised is None
    assert job.method.dpo.hyperparameters.to_dict()["beta"] == 0.3  # type: ignore[union-attr]
    told = await streamed(http, job.id)
    assert told[-1]["message"] == "The job has successfully completed"
    assert [one["data"]["total_steps"] for one in told if one["type"] == "metrics"] == [6] * 6
    config = json.loads((documents_services.settings.home / "jobs" / job.id / "config.yaml").read_text())
    assert (config["method"], config["learning"]["preference_beta"]) == ("dpo", 0.3)
    with pytest.raises(BadRequestError, match="no list of messages"):
        await ann.fine_tuning.jobs.create(model=MODEL, training_file=file.id)
    with pytest.raises(BadRequestError, match="takes no validation_file"):
        await ann.fine_tuning.jobs.create(
            model=MODEL, training_file=file.id, validation_file=file.id, method=dpo
        )
    same = {"preferred_output": pair(1)["non_preferred_output"]}
    for row, fault in (
        (pair(1, **same), "p.jsonl:1: both outputs are the same"),
        (pair(1, preferred_output="Me."), "preferred_output must be a list"),
        (pair(1, input={"messages": []}), "input needs a list of messages"),
        (pair(1, input={"messages": [{"role": "assistant", "content": "Hm."}]}), "must be the user's"),
        (pair(1, input={"messages": [{"role": "bee", "content": "Hm."}]}), "role 'bee'"),
        (pair(1, input={"messages": [{"role": "user", "content": [{"type": "text"}]}]}), "must have texts"),
    ):
        with pytest.raises(BadRequestError, match=fault):
            await ann.files.create(file=("p.jsonl", paired(row)), purpose="fine-tune")


@pytest.mark.parametrize(
    ("examples", "mean", "longest", "batch", "expected"),
    [
        (30, 50.0, 80, 3, (192, 1, 32)),
        (1000, 700.0, 3000, 8, (4096, 1, 513)),
        (64, 2000.0, 2100, 8, (4096, 4, 24)),
    ],
)
def test_a_step_holds_as_many_conversations_as_asked(
    examples: int, mean: float, longest: int, batch: int, expected: tuple[int, int, int]
) -> None:
    chosen = hyperparameters(Hyperparameters(batch_size=batch), examples)
    chats = conversations("a", lines(examples), "file")
    lessons = Lessons(b"", chats, longest, mean)
    tree = training_tree(JobSettings(), "m", chosen, lessons, longest=longest, seed=1, judged=True)
    training = LongContextTraining.model_validate(tree)
    assert (training.length, training.accumulate, training.steps) == expected
    assert training.eval_every == training.checkpoint_every


def test_a_preset_that_does_not_go_together_is_told(tmp_path: Path) -> None:
    preset = tmp_path / "preset.yaml"
    preset.write_text("device: mps\nprecision: bfloat16\n")
    chats = conversations("a", lines(12), "file")
    with pytest.raises(InvalidRequest, match="on mps it trains in float32"):
        training_tree(
            JobSettings(training=preset),
            "m",
            hyperparameters(Hyperparameters(), 12),
            Lessons(b"", chats, 20, 10),
            longest=20,
            seed=0,
            judged=False,
        )
