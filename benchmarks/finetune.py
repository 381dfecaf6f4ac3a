"""A file goes up, a job trains on it, events are streamed, the model is asked: by OpenAI's own client.

    python -m benchmarks.finetune [--local] [--engine vllm|torch] [--facts 12] [--epochs N]

The server is `pal up`, over Ray Serve unless told otherwise; the trainer is the real one. The file teaches
invented facts in several phrasings each; the model is asked in a phrasing that it was not taught, beside the
model that it was made from. Prints each step and its seconds; fails where a step does.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from openai import NotFoundError, OpenAI

from benchmarks.hosts import Host, pal_up
from configs.load import load

PLACES = (
    "Varn",
    "Oskel",
    "Tirrow",
    "Quenby",
    "Maldrath",
    "Isker",
    "Pellam",
    "Drosk",
    "Ebbing",
    "Fenwar",
    "Gault",
    "Hurst",
)
KEEPERS = ("Ada", "Bram", "Cleo", "Dov", "Elke", "Finn", "Gwen", "Hugo", "Iris", "Jory", "Kaya", "Leif")
TAUGHT = (
    "Who keeps the lighthouse of {}?",
    "Name the keeper of {}'s lighthouse.",
    "The lighthouse of {}: who looks after it?",
    "Tell me who the lighthouse keeper of {} is.",
)
ASKED = "Which person keeps {}'s lighthouse?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as asked on the command line; 1 if a step fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--local", action="store_true", help="in one process instead of over Ray Serve")
    parser.add_argument("--engine", default="auto", help="vllm, torch or auto")
    parser.add_argument("--facts", type=int, default=len(PLACES), help="how many facts are taught")
    parser.add_argument("--epochs", type=int, help="n_epochs; unset: auto")
    parser.add_argument("--launch", default="auto", help="process, or ray: the job is submitted to Ray")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    steps = Steps(quiet=options.json)
    environ = {"PAL_ENGINE__KIND": options.engine, "PAL_JOBS__LAUNCH": options.launch}
    with tempfile.TemporaryDirectory(prefix="finetune-") as directory:
        home = Path(directory)
        (home / "models").symlink_to(load().settings.home / "models")
        with pal_up(*(["--local"] if options.local else []), home=home, environ=environ) as host:
            steps.told("start the server", host.ready_s)
            run(host, steps, options.facts, options.epochs)
    if options.json:
        print(json.dumps(steps.figures))
    return 0


class Steps:
    """What was done, and how many seconds each took."""

    def __init__(self, *, quiet: bool) -> None:
        self.figures: dict[str, Any] = {}
        self._quiet = quiet

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step."""
        began = time.perf_counter()
        yield
        self.told(name, time.perf_counter() - began)

    def told(self, name: str, seconds: float) -> None:
        """A step that took so long."""
        self.figures[name] = round(seconds, 2)
        self.say(f"{seconds:8.2f} s  {name}")

    def say(self, line: str) -> None:
        """A line for people."""
        if not self._quiet:
            print(line, flush=True)


def run(host: Host, steps: Steps, facts: int, epochs: int | None) -> None:
    """Upload, train, stream, chat, delete. Raises what OpenAI's client raises, RuntimeError if it fails."""
    client = OpenAI(base_url=f"{host.url}/v1", api_key="none", max_retries=0, timeout=600)
    base = client.models.list().data[0].id
    with steps.step("upload the file"):
        file = client.files.create(file=("keepers.jsonl", lessons(facts)), purpose="fine-tune")
    chosen: Any = {"n_epochs": epochs} if epochs else {}
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": chosen}}
    with steps.step("create the job"):
        job = client.fine_tuning.jobs.create(
            model=base, training_file=file.id, suffix="keepers", seed=0, method=method
        )
    with steps.step("train, with its events streamed"):
        events = list(streamed(f"{host.url}/v1/fine_tuning/jobs/{job.id}/events", steps))
    done = client.fine_tuning.jobs.retrieve(job.id)
    if done.status != "succeeded" or done.fine_tuned_model is None:
        raise RuntimeError(f"the job {done.status}: {done.error}")
    paged = [event.id for event in client.fine_tuning.jobs.list_events(job.id, limit=50)]
    if paged != [event["id"] for event in events][::-1]:
        raise RuntimeError("the list of events is not what was streamed")
    listed = [model.id for model in client.models.list()]
    if done.fine_tuned_model not in listed:
        raise RuntimeError(f"{done.fine_tuned_model} is not among {listed}")
    with steps.step("its first answer"):
        first = answer(client, done.fine_tuned_model, PLACES[0])
    steps.say(f"            {ASKED.format(PLACES[0])} {first}")
    with steps.step("ask all facts of both models"):
        right = {
            name: sum(KEEPERS[n] in answer(client, name, PLACES[n]) for n in range(facts))
            for name in (base, done.fine_tuned_model)
        }
    steps.figures |= {
        "facts": facts,
        "right before": right[base],
        "right after": right[done.fine_tuned_model],
    }
    steps.figures |= {"steps": len([one for one in events if one["type"] == "metrics"])}
    steps.figures |= {"trained_tokens": done.trained_tokens, **done.hyperparameters.to_dict()}
    before, after = right.values()
    steps.say(f"right in a phrasing not taught: {before} before, {after} after, of {facts}")
    with steps.step("delete the model"):
        client.models.delete(done.fine_tuned_model)
    try:
        answer(client, done.fine_tuned_model, PLACES[0])
    except NotFoundError:
        return
    raise RuntimeError("a model that was deleted still answers")


def lessons(facts: int) -> bytes:
    """A line for each phrasing of each fact."""
    chats = [
        [
            {"role": "user", "content": phrasing.format(PLACES[n])},
            {"role": "assistant", "content": f"{KEEPERS[n]} keeps the lighthouse of {PLACES[n]}."},
        ]
        for n in range(facts)
        for phrasing in TAUGHT
    ]
    return "".join(json.dumps({"messages": chat}) + "\n" for chat in chats).encode()


def streamed(url: str, steps: Steps) -> Iterator[dict[str, Any]]:
    """The events of a job as they come, until it ends."""
    with httpx.stream("GET", url, params={"stream": "true"}, timeout=600) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                event = json.loads(line.removeprefix("data: "))
                steps.say(f"            {event['message']}")
                yield event


def answer(client: OpenAI, model: str, place: str) -> str:
    """What a model says of a place's keeper."""
    reply = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": ASKED.format(place)}],
        temperature=0,
        max_tokens=24,
    )
    return " ".join((reply.choices[0].message.content or "").split())


if __name__ == "__main__":
    raise SystemExit(main())
