"""Facts told, changed, taken back, told late, forgotten: does the first answer state what holds?

    python -m benchmarks.memory_suite --users 40 --templates held-out

Every user tells of fourteen slots among chatter; each pair of users speaks of the same slots with other
values. A model of its own (the last thing said by then decides) says which memories answer a question.
Without --url a keeper in this process is used, and after it is closed every file is searched for the words
of what was forgotten.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import yaml

from actors.embedder import Embedder
from actors.keeper import Keeper
from actors.memory.records import Forgetting, NewMemory
from benchmarks.memory_suite_users import EXPIRY, Person, Query, Said, Templates, people
from configs.load import load
from configs.schema import DocumentSettings, MemorySettings, Settings

HERE = Path(__file__).parent
SHOWN = HERE / "memory_suite.yaml"
GROUPS = {
    "shown": SHOWN,
    "more": HERE / "memory_suite_more.yaml",
    "later": HERE / "memory_suite_later.yaml",
    "held-out": HERE / "memory_suite_held_out.yaml",
    "fresh": HERE / "memory_suite_fresh.yaml",
    "fresh-blind": HERE / "memory_suite_fresh_blind.yaml",
    "spoken-1": HERE / "memory_suite_spoken_1.yaml",
    "spoken-2": HERE / "memory_suite_spoken_2.yaml",
    "spoken-3-blind": HERE / "memory_suite_spoken_3_blind.yaml",
    "spoken-4-blind": HERE / "memory_suite_spoken_4_blind.yaml",
}
"""The rules were written beside the first and changed for what the next three missed; how alike memories of
one matter are was learned from these and `fresh`. The misses of `spoken-1` and `spoken-2` were looked at too.
What the blind ones miss was never looked at: their figures alone say what to expect of phrasings that nobody
foresaw."""
HOLDING = ("plain", "update", "twice", "late", "replace", "restate", "return", "healed", "expiring")
"""Kinds of questions that have a current value for an answer."""


class Memories(Protocol):
    """The calls that the suite makes; ids are the store's."""

    async def write(self, user: str, event: str, said: Said) -> str:
        """Remember one thing; its id."""

    async def search(self, user: str, query: Query) -> list[str]:
        """Ids, best first."""

    async def forget(self, user: str, event: str, ids: Sequence[str]) -> None:
        """Forget some for good."""

    async def close(self) -> None:
        """No call after this."""


class InProcess:
    """A keeper of this process, and the embedder that the settings name."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._keeper = Keeper(directory, DocumentSettings(), memory=MemorySettings())
        self._embedder = Embedder(settings)

    async def start(self) -> None:
        """Open both."""
        await self._keeper.start()
        await self._embedder.start()

    async def write(self, user: str, event: str, said: Said) -> str:
        """See Memories."""
        expires = time.time() + EXPIRY if said.expires else None
        memory = NewMemory(text=said.text, said_at=said.at, expires_at=expires)
        vectors = await self._embedder.embed([said.text])
        (written,) = await self._keeper.remember(user, event, [memory], vectors, session="suite")
        return written.id

    async def search(self, user: str, query: Query) -> list[str]:
        """See Memories."""
        (vector,) = await self._embedder.embed([query.text])
        found = await self._keeper.search_memories(user, query.text, vector, as_of=query.as_of)
        return [one.memory.id for one in found]

    async def forget(self, user: str, event: str, ids: Sequence[str]) -> None:
        """See Memories."""
        await self._keeper.forget(user, event, Forgetting(ids=tuple(ids)))

    async def close(self) -> None:
        """See Memories."""
        await self._keeper.close()
        await self._embedder.close()


class OverHttp:
    """The memories of a running server."""

    def __init__(self, url: str, key: str | None) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=60)

    async def write(self, user: str, event: str, said: Said) -> str:
        """See Memories."""
        body: dict[str, Any] = {"text": said.text, "user_id": user, "timestamp": said.at, "event_id": event}
        if said.expires:
            body["ttl"] = EXPIRY
        reply = await self._post("/v1/memories", body)
        return str(reply["results"][0]["id"])

    async def search(self, user: str, query: Query) -> list[str]:
        """See Memories."""
        body: dict[str, Any] = {"query": query.text, "user_id": user, "limit": 10}
        if query.as_of is not None:
            body["as_of"] = query.as_of
        reply = await self._post("/v1/memories/search", body)
        return [str(one["id"]) for one in reply["results"]]

    async def forget(self, user: str, event: str, ids: Sequence[str]) -> None:
        """See Memories."""
        for one in ids:
            (await self._client.delete(f"/v1/memories/{one}", params={"user_id": user})).raise_for_status()

    async def close(self) -> None:
        """See Memories."""
        await self._client.aclose()

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        reply = await self._client.post(path, json=body)
        reply.raise_for_status()
        return reply.json()


@dataclass(slots=True)
class Tally:
    """What came out: right and asked by kind, and what must not be."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    could_be_stale: int = 0
    leaks: int = 0
    expired_seen: int = 0
    after_forget: int = 0
    misses: list[dict[str, Any]] = field(default_factory=list)

    def share(self, kinds: Iterable[str]) -> float:
        """Right answers of the questions of some kinds."""
        kinds = list(kinds)
        return sum(self.right[kind] for kind in kinds) / max(1, sum(self.asked[kind] for kind in kinds))

    def figures(self) -> dict[str, Any]:
        """All figures by name."""
        return {
            "current-fact accuracy": round(self.share(HOLDING), 4),
            "stale first": round(self.stale / max(1, self.could_be_stale), 4),
            "as_of accuracy": round(self.share(["as of"]), 4),
            "retracted": round(self.share(["retract"]), 4),
            "several values": round(self.share(["several"]), 4),
            "questions": sum(self.asked.values()),
            "leaks between users": self.leaks,
            "expired seen": self.expired_seen,
            "words left after forget": self.after_forget,
            "by kind": {kind: f"{self.right[kind]}/{self.asked[kind]}" for kind in sorted(self.asked)},
        }


async def measured(store: Memories, persons: Sequence[Person], tally: Tally, run: str) -> None:
    """Write all, forget what is to be forgotten, ask everything."""
    ids: dict[str, list[str]] = {}
    for person in persons:
        ids[person.name] = [
            await store.write(f"{run}{person.name}", f"{run}{person.name}-{place}", said)
            for place, said in enumerate(person.said)
        ]
        await _ask(store, person, ids[person.name], tally, run, ("expiring",))
    for person in persons:
        secret = [ids[person.name][place] for place, said in enumerate(person.said) if said.secret]
        await store.forget(f"{run}{person.name}", f"{run}{person.name}-forget", secret)
    await asyncio.sleep(EXPIRY)
    everybody = {one: name for name, owned in ids.items() for one in owned}
    for person in persons:
        kinds = {query.kind for query in person.queries} - {"expiring"}
        for found in await _ask(store, person, ids[person.name], tally, run, kinds):
            tally.leaks += sum(everybody.get(one) != person.name for one in found)
            gone = {ids[person.name][place] for place, said in enumerate(person.said) if said.secret}
            tally.after_forget += len(gone & set(found))


async def _ask(
    store: Memories, person: Person, ids: Sequence[str], tally: Tally, run: str, kinds: Iterable[str]
) -> list[list[str]]:
    answers = []
    for query in person.queries:
        if query.kind in kinds:
            answers.append(await store.search(f"{run}{person.name}", query))
            _judge(query, person, ids, answers[-1], tally)
    return answers


def _judge(query: Query, person: Person, ids: Sequence[str], found: Sequence[str], tally: Tally) -> None:
    places = {one: place for place, one in enumerate(ids)}
    first = places.get(found[0], -1) if found else -1
    tally.asked[query.kind] += 1
    if query.kind == "expired":
        tally.expired_seen += any(places.get(one) in query.stale for one in found)
        return
    good = first in query.right if query.right else first not in query.stale
    if query.kind == "retract":
        good = first not in query.stale
    tally.right[query.kind] += good
    if query.stale:
        tally.could_be_stale += 1
        tally.stale += first in query.stale
    if not good:
        tally.misses.append(
            {
                "kind": query.kind,
                "question": query.text,
                "right": [person.said[place].text for place in sorted(query.right)],
                "first": person.said[first].text if first >= 0 else None,
            }
        )


def words_left(directory: Path, persons: Sequence[Person]) -> int:
    """How many forgotten words some file still holds."""
    words = {said.secret.encode() for person in persons for said in person.said if said.secret}
    found: set[bytes] = set()
    for file in directory.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            found |= {word for word in words if word in content}
    return len(found)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 if every bar is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--templates", choices=list(GROUPS), default="shown")
    parser.add_argument(
        "--file", type=Path, help="templates of your own, in the form of memory_suite_held_out.yaml"
    )
    parser.add_argument("--embedder", default="minilm-l6", help="a model's alias, or `hash` for hashed words")
    parser.add_argument("--url", help="a running server; without it a keeper in this process")
    parser.add_argument("--key", help="its API key")
    parser.add_argument("--misses", action="store_true", help="print every wrong answer")
    arguments = parser.parse_args(argv)
    if arguments.misses and arguments.templates.endswith("blind"):
        parser.error("the misses of a blind group are not looked at")
    tally = asyncio.run(_run(arguments))
    figures = tally.figures()
    print(json.dumps(figures, indent=2))
    if arguments.misses:
        for miss in tally.misses:
            print(json.dumps(miss, ensure_ascii=False), file=sys.stderr)
    met = figures["current-fact accuracy"] >= 0.98 and figures["stale first"] <= 0.01
    clean = tally.leaks == tally.expired_seen == tally.after_forget == 0
    return 0 if met and clean and figures["as_of accuracy"] >= 0.98 else 1


async def _run(arguments: argparse.Namespace) -> Tally:
    shown = yaml.safe_load(SHOWN.read_text())
    file = arguments.file or GROUPS[arguments.templates]
    templates = Templates(shown, yaml.safe_load(file.read_text()), arguments.seed)
    persons = people(templates, arguments.users, time.time())
    tally = Tally()
    if arguments.url:
        store = OverHttp(arguments.url, arguments.key)
        await measured(store, persons, tally, f"suite-{time.time_ns()}-")
        await store.close()
        return tally
    settings = load().settings
    settings = settings.model_copy(
        update={"models": settings.models.model_copy(update={"embedder": arguments.embedder})}
    )
    with tempfile.TemporaryDirectory() as name:
        keeper = InProcess(Path(name), settings)
        await keeper.start()
        await measured(keeper, persons, tally, "")
        tally.after_forget += words_left(Path(name), persons)
        await keeper.close()
        tally.after_forget += words_left(Path(name), persons)
    return tally


if __name__ == "__main__":
    raise SystemExit(main())
