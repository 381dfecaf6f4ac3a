"""A chat is told facts, its server is killed with -9 and started again, and other sessions ask for them.

    python -m benchmarks.memory_chat [--ray] [--engine scripted] [--facts 15]

Two users have a key each. One tells a fact a session; all processes are killed as soon as the last reply has
ended. After the restart that user asks for each fact in a session of its own, as does the other user, who was
told something else. The first must get it right, and no prompt or answer of the other may hold it. The same
question without memory shows what the model says of its own accord. Temperature 0, the settings' model.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.hosts import Host, pal_up
from configs.load import load
from configs.schema import Settings

ANN, BOB = "ann-key", "bob-key"
KEYS = f"ann:{ANN},bob:{BOB}"
FACTS = (
    ("My dog is called Biscuit.", "What is my dog called?", ("biscuit",)),
    ("I live in Porto.", "Where do I live?", ("porto",)),
    ("My sister's name is Ines and she is a nurse.", "What is my sister's name?", ("ines",)),
    ("My favourite colour is teal.", "What is my favourite colour?", ("teal",)),
    ("I am allergic to peanuts.", "What am I allergic to?", ("peanut",)),
    ("I work as a bridge engineer.", "What is my job?", ("bridge",)),
    ("My birthday is on 14 March.", "When is my birthday?", ("14 march", "march 14")),
    ("I drive a red Fiat.", "What car do I drive?", ("fiat",)),
    ("The code of my bike lock is 4821.", "What is the code of my bike lock?", ("4821",)),
    ("We are going to Iceland in July.", "Where are we going in July?", ("iceland",)),
    ("My flight leaves at 7:40 on Friday.", "When does my flight leave?", ("7:40",)),
    ("I play the cello in an orchestra.", "Which instrument do I play?", ("cello",)),
    ("My daughter goes to Maple Street school.", "Which school does my daughter go to?", ("maple",)),
    ("I prefer tea to coffee.", "Do I prefer tea or coffee?", ("tea",)),
    ("My name is Tamsin.", "What is my name?", ("tamsin",)),
)
ELSEWHERE = ("I like long walks by the sea.", "Yesterday I baked bread.", "The weather was fine all week.")
"""What the other user told."""
MOST_TOKENS = 24
AT_ONCE = 5
"""Questions asked at the same time."""


@dataclass(frozen=True)
class Asked:
    """What came of one fact."""

    question: str
    answer: str
    right: bool
    recalled: bool
    """The memory that states it was in the prompt."""
    unaided: bool
    """The model says it without memory too."""
    leaked: bool
    """The other user's prompt or answer held it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as asked on the command line; 1 if anything was lost or leaked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", action="store_true", help="over Ray Serve instead of in one process")
    parser.add_argument("--engine", default="torch", help="torch, vllm or scripted")
    parser.add_argument("--facts", type=int, default=len(FACTS), help="how many of the facts")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    asked = run(load().settings, options.engine, options.facts, over_ray=options.ray)
    figures: dict[str, Any] = {
        name: sum(getattr(one, name) for one in asked) for name in ("right", "recalled", "unaided", "leaked")
    }
    figures["facts"] = len(asked)
    if options.json:
        print(json.dumps({**figures, "asked": [asdict(one) for one in asked]}))
    else:
        for one in asked:
            print(f"{'right' if one.right else 'WRONG':6} {one.question:38} {one.answer}")
        print("  ".join(f"{name} {value}" for name, value in figures.items()))
    return 0 if figures["recalled"] == len(asked) and not figures["leaked"] else 1


def run(settings: Settings, engine: str, facts: int, *, over_ray: bool = False) -> list[Asked]:
    """Tell, kill, start again, ask. Raises RuntimeError if a server does not start."""
    environ = {"PAL_API_KEYS": KEYS, "PAL_ENGINE__KIND": engine}
    if engine == "scripted":
        environ["PAL_MODELS__EMBEDDER"] = "hash"
    flags = () if over_ray else ("--local",)
    with tempfile.TemporaryDirectory(prefix="memory-chat-") as directory:
        home = Path(directory)
        (home / "models").symlink_to(settings.home / "models")
        with pal_up(*flags, home=home, environ=environ) as host:
            for number, text in enumerate(ELSEWHERE):
                say(host, BOB, text, f"told-{number}")
            for number, (text, _, _) in enumerate(FACTS[:facts]):
                say(host, ANN, text, f"told-{number}")
            kill(host.pid)
        with pal_up(*flags, home=home, environ=environ) as host, ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda number: _ask(host, number), range(facts)))


def kill(pid: int) -> None:
    """Kill -9 a process and all that it started."""
    process = psutil.Process(pid)
    family = [*process.children(recursive=True), process]
    for one in family:
        one.kill()
    psutil.wait_procs(family)


def _ask(host: Host, number: int) -> Asked:
    text, question, values = FACTS[number]
    mine = say(host, ANN, question, f"asked-{number}")
    other = say(host, BOB, question, f"asked-{number}")
    unaided = say(host, BOB, question, f"bare-{number}", memory={"read": False, "write": False})
    used = [_memory(host, ANN, id) for id in mine["palimpsest"]["memories"]]
    others = [_memory(host, BOB, id) for id in other["palimpsest"]["memories"]]
    return Asked(
        question=question,
        answer=answer_of(mine),
        right=holds(answer_of(mine), values),
        recalled=text in used,
        unaided=holds(answer_of(unaided), values),
        leaked=holds(" ".join(others), values)
        or (holds(answer_of(other), values) and not holds(answer_of(unaided), values)),
    )


def say(host: Host, key: str, text: str, session: str, **more: Any) -> dict[str, Any]:
    """The reply of a chat of one message."""
    body = {
        "model": _model(host, key),
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": MOST_TOKENS,
        "session_id": session,
        **more,
    }
    return json_of(
        httpx.post(f"{host.url}/v1/chat/completions", json=body, headers=with_key(key), timeout=300)
    )


def _model(host: Host, key: str) -> str:
    return str(json_of(httpx.get(f"{host.url}/v1/models", headers=with_key(key)))["data"][0]["id"])


def _memory(host: Host, key: str, id: str) -> str:
    """The text of a memory."""
    query = {"user_id": "ann" if key == ANN else "bob"}
    found = json_of(httpx.get(f"{host.url}/v1/memories/{id}", params=query, headers=with_key(key)))
    return str(found["memory"])


def answer_of(reply: dict[str, Any]) -> str:
    """What it says, in one line."""
    return " ".join(str(reply["choices"][0]["message"]["content"]).split())


def holds(text: str, values: Sequence[str]) -> bool:
    """Whether one of the values, in small letters, stands in a text."""
    return any(value in text.lower() for value in values)


def json_of(reply: httpx.Response) -> dict[str, Any]:
    """The object that was answered. Raises httpx.HTTPStatusError."""
    reply.raise_for_status()
    return dict(reply.json())


def with_key(key: str) -> dict[str, str]:
    """The header that names a user."""
    return {"Authorization": f"Bearer {key}"}


if __name__ == "__main__":
    raise SystemExit(main())
