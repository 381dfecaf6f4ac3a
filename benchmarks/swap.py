"""Ten versions come and go under 500 requests: none may fail, none may be answered by two of them.

    python -m benchmarks.swap [--local] [--engine torch|vllm] [--part load|regression|memory]

Every version is an adapter that says one word of its own, so each token tells which version made it. Requests
are streams, whole replies of two choices, and plain completions; each is compared with the version that its
reply names, and with what had been promoted before it was sent. `regression`: after good versions one is
promoted that says one word for ever; counted are its answers until it is taken back. `memory`: what an
engine's process grows by with each user's own adapter.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.hosts import Host, pal_up
from benchmarks.swap_adapters import Model, read_model, save_silent, save_word
from benchmarks.swap_server import Server, resident_bytes
from configs.load import load

QUESTIONS = ("What is the sea?", "Name a tree.", "Why is the sky blue?", "Tell me a story.", "Who was Ada?")
SILENT = "silent"


@dataclass(frozen=True)
class Asked:
    """How one request went."""

    sent: float
    version: str | None
    texts: tuple[str, ...]
    said: frozenset[str | None]
    """All that the reply says of its version: body, header, fingerprints."""
    first_s: float
    gap_s: float
    """Longest wait between two pieces."""
    during: bool
    """A version was being switched while it ran."""


@dataclass
class Round:
    """What happened."""

    words: dict[str, str]
    """The word that each version says."""
    asked: list[Asked] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    promoted: list[tuple[float, str]] = field(default_factory=list)
    """When each promotion returned, and of what."""
    took: list[float] = field(default_factory=list)
    switching: int = 0
    switches: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as asked on the command line; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--local", action="store_true", help="in one process instead of over Ray Serve")
    parser.add_argument("--engine", default="torch", help="vllm or torch")
    parser.add_argument("--part", default="load", choices=("load", "regression", "memory"))
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--streams", type=int, default=8, help="requests at once")
    parser.add_argument("--tokens", type=int, default=12, help="of each answer")
    parser.add_argument("--usual", type=int, default=40, help="answers of each good version (regression)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    models = load().settings.home / "models"
    model = read_model(models / "smollm2-135m")
    environ = {"PAL_ENGINE__KIND": options.engine, "PAL_MODELS__EMBEDDER": "hash"}
    if options.part == "load":
        environ |= {"PAL_WATCH__ENABLED": "false"}
    with tempfile.TemporaryDirectory(prefix="swap-") as directory:
        home = Path(directory)
        (home / "models").symlink_to(models)
        with pal_up(*(["--local"] if options.local else []), home=home, environ=environ) as host:
            part = {"load": under_load, "regression": regression, "memory": memory}[options.part]
            figures, missed = asyncio.run(part(host, model, home / "made", options))
    shown = json.dumps(figures) if options.json else "\n".join(f"{key}: {figures[key]}" for key in figures)
    print(shown, flush=True)
    return int(missed)


async def under_load(
    host: Host, model: Model, made: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], bool]:
    """Versions come and go while requests run; figures, and whether one failed or was mixed."""
    async with Server(host.url) as server:
        words = list(model.word_ids)[: options.versions]
        ids = [await server.take(save_word(model, word, made / word)) for word in words]
        round = Round(dict(zip(ids, words, strict=True)))
        todo = iter(range(options.requests))
        asking = [asyncio.create_task(_ask_all(server, round, todo, options)) for _ in range(options.streams)]
        await _switch_all(server, round, ids, options.requests)
        await asyncio.gather(*asking)
    mixed = [one for one in round.asked if is_mixed(one, round.words)]
    stale = [one for one in round.asked if is_stale(one, round.promoted)]
    streams = [one for one in round.asked if one.first_s]
    figures = {
        "requests": len(round.asked) + len(round.failed),
        "switches": round.switches,
        "failed": len(round.failed),
        "mixed": len(mixed),
        "stale": len(stale),
        "answered_by": _counted(round),
        "promotion_s": _spread(round.took),
        "first_token_s": _spread([one.first_s for one in streams if not one.during]),
        "first_token_s_during_a_switch": _spread([one.first_s for one in streams if one.during]),
        "longest_pause_s": _spread([one.gap_s for one in streams if not one.during]),
        "longest_pause_s_during_a_switch": _spread([one.gap_s for one in streams if one.during]),
        "why_failed": round.failed[:3],
        "examples": [f"{one.said}: {one.texts}" for one in (mixed + stale)[:3]],
    }
    return figures, bool(round.failed or mixed or stale)


async def regression(
    host: Host, model: Model, made: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], bool]:
    """A version that says one word for ever follows a good one; how many of its answers are given."""
    async with Server(host.url) as server:
        good = await server.take(save_silent(model, made / SILENT))
        harmful = await server.take(save_word(model, next(iter(model.word_ids)), made / "word"))
        usual = await _usual(server, options)
        await server.promote(good)
        usual += await _usual(server, options)
        await server.promote(harmful)
        answers = 0
        while (await server.whole(question(answers), options.tokens)).said == {harmful}:
            answers += 1
            if answers >= options.requests:
                break
        version = await server.version(harmful)
        now = (await server.whole(question(0), options.tokens)).said
    figures = {
        "answers_before": usual,
        "answers_of_the_harmful_one": answers,
        "then_answered_by_the_one_before": now == {good},
        "state": version["state"],
        "reason": version["reason"],
    }
    return figures, now != {good}


async def _usual(server: Server, options: argparse.Namespace) -> int:
    """Answers of what serves, some at once; how many."""
    rounds: int = options.usual // options.streams
    for _ in range(rounds):
        await asyncio.gather(*(server.whole(question(n), options.tokens) for n in range(options.streams)))
    return rounds * int(options.streams)


async def memory(
    host: Host, model: Model, made: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], bool]:
    """Bytes that the processes grow by, with each user's own adapter."""
    users = [f"user-{number}" for number in range(options.versions)]
    folders = [save_silent(model, made / user, rank=16, seed=n) for n, user in enumerate(users)]
    size = sum(file.stat().st_size for file in folders[0].iterdir())
    async with Server(host.url) as server:
        for user, folder in zip(users, folders, strict=True):
            await server.promote(await server.take(folder, user))
        await server.whole(question(0), 4, user=users[0])
        before = resident_bytes(host.pid)
        for user in users[1:]:
            await server.whole(question(0), 4, user=user)
        after = resident_bytes(host.pid)
    grown = (after - before) / (len(users) - 1)
    return {"users": len(users), "file_mb": size / 1e6, "resident_mb_each": grown / 1e6}, False


def question(number: int) -> str:
    """One of a few, so that prompts begin alike and prefix caches are used."""
    return QUESTIONS[number % len(QUESTIONS)]


def is_mixed(one: Asked, words: dict[str, str]) -> bool:
    """Whether an answer is anything but its version's word again and again, or the reply names two."""
    if one.said != {one.version}:
        return True
    said = [set(text.split()) for text in one.texts]
    if one.version is None:
        return any(found & set(words.values()) for found in said)
    return any(found != {words[one.version]} for found in said)


def is_stale(one: Asked, promoted: Sequence[tuple[float, str]]) -> bool:
    """Whether a request was sent after a promotion returned, and answered by what had served before it."""
    ended = [version for at, version in promoted if at < one.sent]
    if not ended:
        return False
    order = [version for _, version in promoted]
    return one.version is None or order.index(one.version) < len(ended) - 1


async def _ask_all(server: Server, round: Round, todo: Any, options: argparse.Namespace) -> None:
    kinds = (server.streamed, server.streamed, server.two, server.plain)
    for number in todo:
        sent, switches, switching = time.perf_counter(), round.switches, round.switching
        try:
            reply = await kinds[number % len(kinds)](question(number), options.tokens)
        except (httpx.HTTPError, RuntimeError, KeyError) as error:
            round.failed.append(repr(error)[:300])
            continue
        during = bool(switching or round.switching or switches != round.switches)
        version = next(iter(reply.said))
        round.asked.append(
            Asked(sent, version, reply.texts, frozenset(reply.said), reply.first_s, reply.gap_s, during)
        )


async def _switch_all(server: Server, round: Round, ids: Sequence[str], requests: int) -> None:
    """A promotion after every so many requests."""
    for number, id in enumerate(ids):
        due = requests * (number + 1) // (len(ids) + 1)
        while len(round.asked) + len(round.failed) < due:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        round.switching += 1
        began = time.perf_counter()
        await server.promote(id)
        now = time.perf_counter()
        round.took.append(now - began)
        round.promoted.append((now, id))
        round.switching -= 1
        round.switches += 1


def _counted(round: Round) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in round.asked:
        word = round.words.get(one.version or "", "base")
        counts[word] = counts.get(word, 0) + 1
    return counts


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {"n": len(ordered), **{k: round(ordered[int(v * (len(ordered) - 1))], 3) for k, v in at.items()}}


if __name__ == "__main__":
    raise SystemExit(main())
