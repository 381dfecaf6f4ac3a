"""What remembering costs: milliseconds of an add and of a search, memories written a second, cost by size.

Ours is asked over HTTP, on a server that this starts over memories it has filled in with random vectors. mem0
and Chroma are asked inside their own processes, which hold one user's memories and nothing else. A search
includes embedding the question, an add "with vector" embedding that very text. Knows no recall.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.models.encoder import Encoder, load_encoder
from benchmarks.memory_server import Filled, Server, serving
from benchmarks.peers import Peer, peer
from benchmarks.spoken import Speaker
from configs.load import load as load_settings
from configs.schema import Settings

K = 10
ADD, ADD_EMBEDDED, SEARCH, SEARCH_AFTER_ADD = "add", "add with vector", "search", "search after an add"
BARS = {(ADD, 0): 15.0, (ADD_EMBEDDED, 0): 30.0, (SEARCH, 0): 20.0, (SEARCH, 100_000): 50.0}
"""Milliseconds that 95 % of ours must stay below, by call and size; size 0: that of `Load.memories`."""
WRITES_BAR = 500.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much is measured. `sizes`: one more user of each size, for the cost by size."""

    users: int = 20
    memories: int = 10_000
    sizes: tuple[int, ...] = (1_000, 3_000, 30_000, 100_000)
    calls: int = 200
    """Of each kind at the size `memories`; a quarter of it at the other sizes."""
    batch: int = 100
    """Messages in one request of the sustained writing."""
    seconds: float = 10.0
    """How long to write without a pause."""
    ray: bool = False
    home: Path | None = None
    """Keeps what was filled in for the next run, which is measured on a copy."""
    mem0_python: Path | None = None
    others_most: int = 10_000
    """Largest size that the others are measured at: they take minutes to fill."""

    def all_sizes(self) -> list[int]:
        """Every size of one user's memory, ascending."""
        return sorted({self.memories, *self.sizes})


@dataclass(frozen=True)
class Times:
    """Milliseconds of calls of one kind; `busy`: of the processor, in the mean, less swayed by other work."""

    p50: float
    p95: float
    calls: int
    busy: float

    @classmethod
    def of(cls, seconds: Sequence[float], busy: float) -> "Times":
        """From the seconds of each call, and the processor's seconds of all of them."""
        p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
        mean = round(1000 * busy / len(seconds), 2)
        return cls(round(float(p50), 2), round(float(p95), 2), len(seconds), mean)


@dataclass
class Arm:
    """One store's figures: by size of the user's memory, then by call; and memories written a second."""

    name: str
    times: dict[int, dict[str, Times]] = field(default_factory=dict)
    writes_s: dict[str, float] = field(default_factory=dict)

    def put(self, size: int, call: str, seconds: Sequence[float], busy: float) -> None:
        """Note what calls took, each, and of the processor's time together."""
        self.times.setdefault(size, {})[call] = Times.of(seconds, busy)


class Embedding:
    """Our embedder alone, one text at a time."""

    def __init__(self, settings: Settings) -> None:
        self._encoder: Encoder = load_encoder(settings)
        self.dimensions = self.embed(["warm up"])[0].shape[1]

    def embed(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[float], float]:
        """Vectors, shape (len(texts), dimensions), the seconds each took, and the processor's of all."""
        rows, seconds, before = [], [], time.process_time()
        for text in texts:
            began = time.perf_counter()
            rows.append(self._encoder.vectors(self._encoder.tokens([text]))[0])
            seconds.append(time.perf_counter() - began)
        return np.stack(rows), seconds, time.process_time() - before


def measure(load: Load) -> dict[str, Any]:
    """All figures, by arm."""
    settings = load_settings().settings
    embedding = Embedding(settings)
    with ExitStack() as stack:
        home = load.home or Path(stack.enter_context(TemporaryDirectory()))
        filled = Filled(home, settings, load.users, load.memories, tuple(load.sizes))
        filled.make(embedding.dimensions)
        arms = [_ours(load, stack.enter_context(filled.copied()))]
    sizes = [size for size in load.all_sizes() if size <= load.others_most]
    arms += [_beside(name, sizes, load, embedding) for name in ("Chroma", *["mem0"] * bool(load.mem0_python))]
    return {"load": _plain(load), "arms": [_plain(arm) for arm in arms], "bars": _bars(load, arms[0])}


def _ours(load: Load, filled: Filled) -> Arm:
    arm, said = Arm("ours"), Speaker(1)
    with serving(filled, embed="now", ray=load.ray) as server:
        server.warm(filled.users)
        _adds(arm, ADD_EMBEDDED, server, load.memories, _turns(filled.users, load.calls), said)
        arm.writes_s["batches, with vectors"] = server.sustained(said, load.batch, load.seconds)
    with serving(filled, embed="later", ray=load.ray) as server:
        server.warm([*filled.users, *filled.by_size.values()])
        asked = {size: _turns([user], load.calls // 4) for size, user in filled.by_size.items()}
        for size, turns in [(load.memories, _turns(filled.users, load.calls)), *asked.items()]:
            _searches(arm, SEARCH, server, size, turns, said)
            _adds(arm, ADD, server, size, turns, said)
            server.settled(turns)
            few = turns[: max(1, len(turns) // 4)]
            _searches(arm, SEARCH_AFTER_ADD, server, size, few, said, after_add=True)
            server.settled(few)
        arm.writes_s["batches, vectors later"] = server.sustained(said, load.batch, load.seconds)
        arm.writes_s["vectors that followed"] = server.followed()
    return arm


def _turns(users: Sequence[str], calls: int) -> list[str]:
    """Whose turn it is at each call."""
    return [users[call % len(users)] for call in range(calls)]


def _adds(arm: Arm, call: str, server: Server, size: int, users: Sequence[str], said: Speaker) -> None:
    texts, before = list(said.texts(len(users))), server.busy()
    took = [server.add(user, [text]) for user, text in zip(users, texts, strict=True)]
    arm.put(size, call, took, server.busy() - before)


def _searches(
    arm: Arm,
    call: str,
    server: Server,
    size: int,
    users: Sequence[str],
    said: Speaker,
    after_add: bool = False,
) -> None:
    texts, took, busy = list(said.texts(len(users))), [], 0.0
    for user, text in zip(users, texts, strict=True):
        if after_add:
            server.add(user, [text])
        before = server.busy()
        took.append(server.search(user, said.question(), K))
        busy += server.busy() - before
    arm.put(size, call, took, busy)


def _beside(name: str, sizes: Sequence[int], load: Load, embedding: Embedding) -> Arm:
    """A store in its own process, without HTTP; the time of embedding is added to its own."""
    arm, said = Arm(name), Speaker(2)
    for size in sizes:
        with TemporaryDirectory() as directory, _started(name, directory, load, embedding) as store:
            vectors, texts = said.vectors(size, embedding.dimensions), list(said.texts(size))
            began = time.perf_counter()
            store.fill("user", texts, vectors)
            arm.writes_s[f"filling {size}"] = round(size / (time.perf_counter() - began), 1)
            calls = load.calls if size == load.memories else load.calls // 4
            questions = [said.question() for _ in range(calls)]
            asked, embedded, busy = embedding.embed(questions)
            found = store.search("user", questions, asked, K)
            arm.put(size, SEARCH, np.add(found.seconds, embedded).tolist(), sum(found.busy) + busy)
            texts = list(said.texts(calls))
            vectors, embedded, busy = embedding.embed(texts)
            added = store.add("user", texts, vectors)
            arm.put(size, ADD, added.seconds, sum(added.busy))
            arm.put(size, ADD_EMBEDDED, np.add(added.seconds, embedded).tolist(), sum(added.busy) + busy)
    return arm


@contextmanager
def _started(name: str, directory: str, load: Load, embedding: Embedding) -> Iterator[Peer]:
    if name == "Chroma":
        with peer("benchmarks.bare_chroma", directory) as store:
            yield store
    else:
        arguments = (directory, "hybrid", str(embedding.dimensions))
        with peer("benchmarks.bare_mem0", *arguments, python=str(load.mem0_python)) as store:
            yield store


def _bars(load: Load, ours: Arm) -> list[dict[str, Any]]:
    rows = []
    for (call, size), bar in BARS.items():
        found = ours.times.get(size or load.memories, {}).get(call)
        if found is not None:
            what = f"{call} at {size or load.memories:,}, p95 ms"
            rows.append({"what": what, "value": found.p95, "bar": bar, "met": found.p95 < bar})
    written = ours.writes_s["batches, vectors later"]
    what = "sustained writes a second"
    return [*rows, {"what": what, "value": written, "bar": WRITES_BAR, "met": written >= WRITES_BAR}]


def _cell(times: dict[str, float]) -> str:
    return " ".join(f"{times[name]:5.1f}" for name in ("p50", "p95", "busy"))


def _plain(one: Any) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(one).items()}


def draw(report: dict[str, Any], path: Path) -> None:
    """The 95 % of an add and of a search by size, every store's, as a picture (.png, .svg)."""
    from benchmarks.plot import log_log

    lines = {
        f"{arm['name']}, {call}": [
            (size, times[call]["p95"]) for size, times in sorted(arm["times"].items()) if call in times
        ]
        for arm in report["arms"]
        for call in (ADD, SEARCH)
    }
    log_log(path, "Milliseconds, 95 % below", "memories of one user", "ms", lines)


def show(report: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(
        "Ours over HTTP; the others inside their own process. A search includes embedding the question."
    )
    calls = (ADD, ADD_EMBEDDED, SEARCH, SEARCH_AFTER_ADD)
    table = Table(
        title="Milliseconds by memories of the user asked: p50, p95, and the processor's in the mean"
    )
    for head in ("store", "memories", *calls):
        table.add_column(head, justify="left" if head == "store" else "right")
    for arm in report["arms"]:
        for size, times in sorted(arm["times"].items()):
            cells = (_cell(times[one]) if one in times else "" for one in calls)
            table.add_row(arm["name"], f"{size:,}", *cells)
    console.print(table)
    for arm in report["arms"]:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in arm["writes_s"].items())
        console.print(f"{arm['name']}, memories a second: {rates}")
    for bar in report["bars"]:
        verdict = "met" if bar["met"] else "MISSED"
        console.print(f"{bar['what']}: {bar['value']:.1f}, bar {bar['bar']:.0f}: {verdict}")
