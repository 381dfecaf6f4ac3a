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
from benchmarks.memory_server import Filled, serving
from benchmarks.peers import Peer, peer
from benchmarks.plot import log_log
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
    """Keeps what was filled in for the next run."""
    mem0_python: Path | None = None
    mem0_most: int = 10_000
    """Largest size that mem0 is measured at: local Qdrant takes minutes to fill."""

    def all_sizes(self) -> list[int]:
        """Every size of one user's memory, ascending."""
        return sorted({self.memories, *self.sizes})


@dataclass(frozen=True)
class Times:
    """Milliseconds of calls of one kind."""

    p50: float
    p95: float
    calls: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Times":
        """From seconds."""
        p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
        return cls(round(float(p50), 2), round(float(p95), 2), len(seconds))


@dataclass
class Arm:
    """One store's figures: by size of the user's memory, then by call; and memories written a second."""

    name: str
    times: dict[int, dict[str, Times]] = field(default_factory=dict)
    writes_s: dict[str, float] = field(default_factory=dict)

    def put(self, size: int, call: str, seconds: Sequence[float]) -> None:
        """Note what calls took."""
        self.times.setdefault(size, {})[call] = Times.of(seconds)


class Embedding:
    """Our embedder alone, one text at a time."""

    def __init__(self, settings: Settings) -> None:
        self._encoder: Encoder = load_encoder(settings)
        self.dimensions = self.embed(["warm up"])[0].shape[1]

    def embed(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[float]]:
        """Vectors, shape (len(texts), dimensions), and the seconds each took."""
        rows, seconds = [], []
        for text in texts:
            began = time.perf_counter()
            rows.append(self._encoder.vectors(self._encoder.tokens([text]))[0])
            seconds.append(time.perf_counter() - began)
        return np.stack(rows), seconds


def measure(load: Load) -> dict[str, Any]:
    """All figures, by arm."""
    settings = load_settings().settings
    embedding = Embedding(settings)
    with ExitStack() as stack:
        home = load.home or Path(stack.enter_context(TemporaryDirectory()))
        filled = Filled(home, settings, load.users, load.memories, tuple(load.sizes))
        filled.make(embedding.dimensions)
        arms = [_ours(load, filled)]
    arms.append(_beside("Chroma", load.all_sizes(), load, embedding))
    if load.mem0_python:
        sizes = [size for size in load.all_sizes() if size <= load.mem0_most]
        arms.append(_beside("mem0", sizes, load, embedding))
    return {"load": _plain(load), "arms": [_plain(arm) for arm in arms], "bars": _bars(load, arms[0])}


def _ours(load: Load, filled: Filled) -> Arm:
    arm = Arm("ours")
    said = Speaker(1)
    with serving(filled, embed="now", ray=load.ray) as server:
        users = filled.users
        server.warm(users)
        texts = list(said.texts(load.calls))
        took = [server.add(users[one % len(users)], [text]) for one, text in enumerate(texts)]
        arm.put(load.memories, ADD_EMBEDDED, took)
        arm.writes_s["batches, with vectors"] = server.sustained(said, load.batch, load.seconds)
    with serving(filled, embed="later", ray=load.ray) as server:
        server.warm([*users, *filled.by_size.values()])
        for size, asked in [
            (load.memories, users),
            *((size, [user]) for size, user in filled.by_size.items()),
        ]:
            calls = load.calls if size == load.memories else load.calls // 4
            turns = [asked[one % len(asked)] for one in range(calls)]
            arm.put(size, SEARCH, [server.search(user, said.question(), K) for user in turns])
            texts = list(said.texts(calls))
            arm.put(size, ADD, [server.add(user, [text]) for user, text in zip(turns, texts, strict=True)])
            server.settled(asked)
            after = []
            for user, text in zip(turns[: calls // 4], said.texts(calls // 4), strict=True):
                server.add(user, [text])
                after.append(server.search(user, said.question(), K))
            arm.put(size, SEARCH_AFTER_ADD, after)
            server.settled(asked)
        arm.writes_s["batches, vectors later"] = server.sustained(said, load.batch, load.seconds)
        arm.writes_s["vectors that followed"] = server.followed()
    return arm


def _beside(name: str, sizes: Sequence[int], load: Load, embedding: Embedding) -> Arm:
    """A store in its own process, without HTTP; the time of embedding is added to its own."""
    arm, said = Arm(name), Speaker(2)
    for size in sizes:
        with TemporaryDirectory() as directory, _started(name, directory, load, embedding) as store:
            vectors = said.vectors(size, embedding.dimensions)
            texts = list(said.texts(size))
            began = time.perf_counter()
            store.fill("user", texts, vectors)
            arm.writes_s[f"filling {size}"] = round(size / (time.perf_counter() - began), 1)
            calls = load.calls if size == load.memories else load.calls // 4
            questions = [said.question() for _ in range(calls)]
            asked, embedded = embedding.embed(questions)
            took = store.search("user", questions, asked, K).seconds
            arm.put(size, SEARCH, [sum(pair) for pair in zip(took, embedded, strict=True)])
            texts = list(said.texts(calls))
            vectors, embedded = embedding.embed(texts)
            took = store.add("user", texts, vectors).seconds
            arm.put(size, ADD, took)
            arm.put(size, ADD_EMBEDDED, [sum(pair) for pair in zip(took, embedded, strict=True)])
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


def _plain(one: Any) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(one).items()}


def drawn(report: dict[str, Any]) -> str:
    """The 95 % of an add and of a search by size, every store's, as an SVG file."""
    lines = {
        f"{arm['name']}, {call}": [
            (size, times[call]["p95"]) for size, times in sorted(arm["times"].items()) if call in times
        ]
        for arm in report["arms"]
        for call in (ADD, SEARCH)
    }
    return log_log("Milliseconds, 95 % below", "memories of one user", "ms", lines)


def show(report: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print("Ours over HTTP; the others inside their own process.")
    calls = (ADD, ADD_EMBEDDED, SEARCH, SEARCH_AFTER_ADD)
    table = Table(title="Milliseconds by memories of the user asked: p50, p95")
    for head in ("store", "memories", *calls):
        table.add_column(head, justify="left" if head == "store" else "right")
    for arm in report["arms"]:
        for size, times in sorted(arm["times"].items()):
            cells = [
                f"{times[one]['p50']:.1f} {times[one]['p95']:6.1f}" if one in times else "" for one in calls
            ]
            table.add_row(arm["name"], f"{size:,}", *cells)
    console.print(table)
    for arm in report["arms"]:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in arm["writes_s"].items())
        console.print(f"{arm['name']}, memories a second: {rates}")
    for bar in report["bars"]:
        verdict = "met" if bar["met"] else "MISSED"
        console.print(f"{bar['what']}: {bar['value']:.1f}, bar {bar['bar']:.0f}: {verdict}")
