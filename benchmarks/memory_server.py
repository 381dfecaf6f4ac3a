"""A server of ours over many memories, filled in before it starts, and a client that takes the time.

Knows no figure and no other store.
"""

import asyncio
import http.client
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import quote, urlsplit
from zlib import crc32

import psutil

from actors.keeper import Keeper
from actors.keepers import routed
from actors.memory.layout import opened
from actors.memory.records import NewMemory
from benchmarks.hosts import pal_up
from benchmarks.spoken import Speaker
from configs.schema import Settings

SESSION = 200
"""Memories of one session that was filled in."""
APART_S = 60.0
BEGAN = 1.7e9
MARK = "filled.json"
WRITERS = 2
"""Connections that write at once."""
PATIENCE_S = 300
EVERY_S = 0.2
FOLLOWED_S = 30.0
"""How long vectors that follow a writing are counted at most."""


@dataclass(frozen=True)
class Filled:
    """A state directory with memories in it: of `users` as many as `memories`, and a user of each size."""

    home: Path
    settings: Settings
    count: int
    memories: int
    sizes: tuple[int, ...]

    @property
    def users(self) -> list[str]:
        """Those with `memories` each."""
        return [f"user-{number}" for number in range(self.count)]

    @property
    def by_size(self) -> dict[int, str]:
        """One user of each other size."""
        return {size: f"size-{size}" for size in self.sizes if size != self.memories}

    def make(self, dimensions: int) -> None:
        """Fill in what is not there yet, with random vectors, until the vector cache has heard of all."""
        self.home.mkdir(parents=True, exist_ok=True)
        models = self.home / "models"
        if not models.exists():
            models.symlink_to(self.settings.home / "models")
        mark = self.home / MARK
        wanted = dict.fromkeys(self.users, self.memories) | {
            user: size for size, user in self.by_size.items()
        }
        done: dict[str, int] = json.loads(mark.read_text()) if mark.exists() else {}
        missing = {user: size for user, size in wanted.items() if done.get(user) != size}

        def note(user: str) -> None:
            done[user] = wanted[user]
            mark.write_text(json.dumps(done))

        if missing:
            asyncio.run(_fill(self.home, self.settings, missing, dimensions, note))

    @contextmanager
    def copied(self) -> Iterator["Filled"]:
        """The same in a directory beside it for as long as it is measured, which writes to it."""
        with TemporaryDirectory(dir=self.home.parent, prefix=f"{self.home.name}-measured-") as directory:
            copy = Path(directory) / "home"
            shutil.copytree(self.home, copy, symlinks=True)
            (copy / "keepers" / "lock").unlink(missing_ok=True)
            yield replace(self, home=copy)


async def _fill(
    home: Path, settings: Settings, sizes: Mapping[str, int], dimensions: int, note: Callable[[str], None]
) -> None:
    """Tells each user's name once it is filled in, so that one that was broken off goes on there."""
    with opened(home, settings.memory.partitions) as directories:
        keeper = routed(
            [Keeper(directory, settings.documents, memory=settings.memory) for directory in directories]
        )
        await keeper.start()
        try:
            for user, size in sizes.items():
                began = time.perf_counter()
                await _fill_user(keeper, user, size, Speaker(crc32(user.encode())), dimensions)
                note(user)
                _say(f"{user}: {size} memories filled in, {size / (time.perf_counter() - began):.0f}/s")
            began = time.perf_counter()
            await keeper.cache_settled()
            _say(f"vector cache settled after {time.perf_counter() - began:.0f} s more")
        finally:
            await keeper.close()


async def _fill_user(keeper: Keeper, user: str, size: int, said: Speaker, dimensions: int) -> None:
    texts = said.texts(size)
    for start in range(0, size, SESSION):
        some = [
            NewMemory(text=text, said_at=BEGAN + APART_S * (start + number))
            for number, text in enumerate(islice(texts, SESSION))
        ]
        vectors = said.vectors(len(some), dimensions)
        await keeper.remember(user, f"fill-{start}", some, vectors, session=f"session-{start}")


class Server:
    """A running server, asked over one connection that stays open."""

    def __init__(self, url: str, pid: int) -> None:
        self._url = url
        self._process = psutil.Process(pid)
        self._connection = _connect(url)
        self._last: list[str] = []

    def busy(self) -> float:
        """Processor's seconds that the server has used so far, its children included."""
        times = [one.cpu_times() for one in (self._process, *self._process.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))

    def add(self, user: str, texts: Sequence[str]) -> float:
        """Seconds until the messages were acknowledged."""
        return _add(self._connection, user, texts)[0]

    def search(self, user: str, question: str, limit: int) -> float:
        """Seconds until the answer was there."""
        body = {"query": question, "user_id": user, "limit": limit}
        return _ask(self._connection, "POST", "/v1/memories/search", body)[0]

    def warm(self, users: Sequence[str]) -> None:
        """Let the server read each user's memories into its own."""
        for user in users:
            self.search(user, "What was it that I said?", 1)

    def settled(self, users: Sequence[str]) -> None:
        """Wait until no memory of these users waits for its vector. Raises RuntimeError after minutes."""
        deadline = time.monotonic() + PATIENCE_S
        for user in users:
            while self._waiting(user):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"memories of {user} still wait for their vectors")
                time.sleep(EVERY_S)

    def sustained(self, said: Speaker, batch: int, seconds: float) -> float:
        """Memories acknowledged a second, in requests of `batch` over two connections, without a pause."""
        users = [f"writer-{time.time_ns()}-{number}" for number in range(WRITERS)]
        texts = list(said.texts(5000))
        began = time.perf_counter()
        counts = dict.fromkeys(users, 0)

        def write(user: str) -> None:
            connection = _connect(self._url)
            while time.perf_counter() - began < seconds:
                first = counts[user] % (len(texts) - batch)
                _add(connection, user, texts[first : first + batch])
                counts[user] += batch
            connection.close()

        threads = [threading.Thread(target=write, args=(user,)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        self._last = users
        return round(sum(counts.values()) / took, 1)

    def followed(self) -> float:
        """Vectors a second of what was last written, while nothing else is asked."""
        waiting = left = sum(map(self._waiting, self._last))
        began = time.perf_counter()
        while left and time.perf_counter() - began < FOLLOWED_S:
            time.sleep(EVERY_S)
            left = sum(map(self._waiting, self._last))
        return round((waiting - left) / (time.perf_counter() - began), 1)

    def _waiting(self, user: str) -> int:
        _, said = _ask(self._connection, "GET", f"/v1/memories/stats?user_id={quote(user)}")
        return int(said["without_vector"])


@contextmanager
def serving(filled: Filled, *, embed: Literal["now", "later"], ray: bool) -> Iterator[Server]:
    """`pal up` over what was filled in, once every vector is there."""
    arguments = ("--engine", "scripted", *(() if ray else ("--local",)))
    with pal_up(*arguments, home=filled.home, environ={"PAL_MEMORY__EMBED": embed}) as host:
        yield Server(host.url, host.pid)


def _connect(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_S)


def _add(
    connection: http.client.HTTPConnection, user: str, texts: Sequence[str]
) -> tuple[float, Mapping[str, Any]]:
    messages = [{"role": "user", "content": text} for text in texts]
    return _ask(connection, "POST", "/v1/memories", {"messages": messages, "user_id": user, "run_id": "now"})


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Mapping[str, Any] | None = None
) -> tuple[float, Mapping[str, Any]]:
    sent, began = json.dumps(body).encode() if body else None, time.perf_counter()
    connection.request(method, path, sent, {"content-type": "application/json"})
    reply = connection.getresponse()
    said = reply.read()
    took = time.perf_counter() - began
    if reply.status != 200:
        raise RuntimeError(f"{method} {path}: {reply.status} {said[:500]!r}")
    answer: Mapping[str, Any] = json.loads(said)
    return took, answer


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
