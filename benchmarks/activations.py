"""How hidden states best travel between actors over Ray on one machine. Knows no model.

    python -m benchmarks.activations [--rows 1 16 512] [--actors 2 3] [--rounds 3] [--passes 60] [--work-ms 0]
        [--json]

A pass is what a step of a sharded model is: a small order goes to the first actor, an array [rows, 576] of
float32 from each actor to the next, a small answer comes back. Ways:

    refs        plain calls, each given the ObjectRef of the one before, answers awaited
    refs-get    the same, with a blocking ray.get
    driver      plain calls; each array comes to the caller and is sent on by value
    forward     each actor awaits a call of the next one itself (async actors only)
    graph       a compiled graph over shared-memory channels, answers awaited
    graph-get   the same, with a blocking get
    graph-one   the same, compiled for one execution at a time

Actors: their methods are plain (sync), coroutines (async), or coroutines that compute in a thread (thread).
With --work-ms they compute between receiving and sending, as shards do, and waiting actors may be in the way.
All ways take turns in every round; a graph and its actors exist only in its turn: they may never rest.
Printed are medians over the rounds: milliseconds of one pass alone, passes a second with --flight under way
at once, processor time of all processes for one such pass, and the cores that they take while they wait.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import psutil

from cluster.runtime import ray_runtime
from configs.load import load

WIDTH = 576
BUFFER_BYTES = 2 << 20
IDLE_S = 0.3
TEARDOWN_S = "2"
"""How long Ray waits for a graph to end before it kills its actors: after large arrays it may be in vain."""
KINDS = ("sync", "async", "thread")
Way = Callable[[int, int, int], Awaitable[None]]
"""Rows, passes, and how many of them are under way at once."""
Turn = Callable[[], AbstractContextManager[tuple[Way, list[psutil.Process]]]]
"""A way for the length of its turn, and the processes whose time counts."""


class Stage:
    """One actor of the chain, at `place` of `count`."""

    def __init__(self, place: int, count: int, work_ms: float, following: Any = None) -> None:
        self._first, self._last = place == 0, place == count - 1
        self._work_s = work_ms / 1000
        self._following = following

    def compute(self, given: Any) -> Any:
        """An order (rows) or the previous array, to the next array or the answer (a number)."""
        until = time.thread_time() + self._work_s
        while time.thread_time() < until:
            pass
        array = np.ones((given, WIDTH), np.float32) if self._first else given + 1
        return float(array[:, 0].sum()) if self._last else array

    def pid(self) -> int:
        """Of the actor's process."""
        return os.getpid()


class AsyncStage(Stage):
    """The same with coroutines."""

    async def called(self, given: Any) -> Any:
        """`compute` on the event loop."""
        return self.compute(given)

    async def threaded(self, given: Any) -> Any:
        """`compute` beside the event loop, as long work must be."""
        return await asyncio.to_thread(self.compute, given)

    async def forward(self, given: Any) -> Any:
        """`compute`, then all that follows."""
        computed = self.compute(given)
        return computed if self._last else await self._following.forward.remote(computed)


@dataclass(frozen=True)
class Sample:
    """One round of one way."""

    pass_ms: float
    passes_s: float
    cpu_ms: float
    idle_cores: float


@dataclass(frozen=True)
class Row:
    """The medians of one way."""

    actors: int
    kind: str
    rows: int
    way: str
    pass_ms: float
    passes_s: float
    cpu_ms: float
    idle_cores: float


def main() -> int:
    """Measure and print; always 0: the figures are the result."""
    os.environ.setdefault("RAY_CGRAPH_teardown_timeout", TEARDOWN_S)
    options = _options()
    rows: list[Row] = []
    with ray_runtime(load().settings):
        for count in options.actors:
            for kind in options.kinds:
                rows += asyncio.run(_measure(options, count, kind))
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    return 0


async def _measure(options: argparse.Namespace, count: int, kind: str) -> list[Row]:
    """Every way over chains of `count` actors of one kind; a way's turn measures every payload."""
    samples: dict[tuple[int, str], list[Sample]] = {}
    with _chain(count, kind, options.work_ms) as plain:
        ways = {**_plain_ways(plain, kind), **_graph_ways(count, kind, options)}
        for number in range(options.rounds):
            for name in list(ways)[:: 1 if number % 2 else -1]:
                flight = 1 if name == "graph-one" else options.flight
                with ways[name]() as (way, processes):
                    for size in options.rows:
                        sample = await _sample(way, size, options.passes, flight, processes)
                        samples.setdefault((size, name), []).append(sample)
    found = [
        Row(actors=count, kind=kind, rows=size, way=name, **_medians(samples[size, name]))
        for size in options.rows
        for name in ways
    ]
    if not options.json:
        _show(found)
    return found


def _medians(done: list[Sample]) -> dict[str, float]:
    return {
        name: statistics.median(getattr(one, name) for one in done) for name in Sample.__dataclass_fields__
    }


def _show(rows: list[Row]) -> None:
    heads = ("actors", "kind", "rows", "way", "pass ms", "passes/s", "cpu ms", "idle")
    print("{:>6} {:6} {:>5} {:9} {:>8} {:>8} {:>7} {:>5}".format(*heads))
    for row in rows:
        print(
            f"{row.actors:6} {row.kind:6} {row.rows:5} {row.way:9} {row.pass_ms:8.3f} {row.passes_s:8.0f}"
            f" {row.cpu_ms:7.3f} {row.idle_cores:5.2f}",
            flush=True,
        )


async def _sample(way: Way, size: int, passes: int, flight: int, processes: list[psutil.Process]) -> Sample:
    await way(size, flight, flight)
    began, spent = time.perf_counter(), _cpu(processes)
    await asyncio.sleep(IDLE_S)
    idle = (_cpu(processes) - spent) / (time.perf_counter() - began)
    began = time.perf_counter()
    await way(size, passes, 1)
    alone = time.perf_counter() - began
    began, spent = time.perf_counter(), _cpu(processes)
    await way(size, passes, flight)
    together = time.perf_counter() - began
    return Sample(
        pass_ms=1000 * alone / passes,
        passes_s=passes / together,
        cpu_ms=1000 * (_cpu(processes) - spent) / passes,
        idle_cores=idle,
    )


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes)


@contextmanager
def _chain(count: int, kind: str, work_ms: float) -> Iterator[list[Any]]:
    """Actors in order, each knowing the one after it."""
    import ray

    remote = ray.remote(Stage if kind == "sync" else AsyncStage).options(num_cpus=0)
    chain: list[Any] = []
    for place in reversed(range(count)):
        chain.insert(0, remote.remote(place, count, work_ms, chain[0] if chain else None))
    ray.get([actor.pid.remote() for actor in chain])
    yield chain
    for actor in chain:
        ray.kill(actor)


def _processes(actors: list[Any]) -> list[psutil.Process]:
    """Those of the actors, and this one."""
    import ray

    return [psutil.Process(), *(psutil.Process(pid) for pid in ray.get([one.pid.remote() for one in actors]))]


def _plain_ways(actors: list[Any], kind: str) -> dict[str, Turn]:
    """Ways that are calls, over actors that live through all rounds."""
    call = {"sync": "compute", "async": "called", "thread": "threaded"}[kind]
    methods = [getattr(actor, call) for actor in actors]
    answer = len(actors)
    ways = {
        "refs": _awaited(partial(_by_reference, methods), answer),
        "refs-get": _blocking(partial(_submit, methods), answer),
        "driver": _awaited(partial(_by_value, methods), answer),
    }
    if kind == "async":
        ways["forward"] = _awaited(partial(_by_value, [actors[0].forward]), answer)
    processes = _processes(actors)
    return {name: partial(_standing, way, processes) for name, way in ways.items()}


@contextmanager
def _standing(way: Way, processes: list[psutil.Process]) -> Iterator[tuple[Way, list[psutil.Process]]]:
    yield way, processes


def _graph_ways(count: int, kind: str, options: argparse.Namespace) -> dict[str, Turn]:
    """Compiled graphs, each over actors of its own that end with its turn."""
    if kind == "thread":
        return {}
    made = partial(_graph, count, kind, options.work_ms)
    return {
        "graph": partial(made, options.flight, awaited=True),
        "graph-get": partial(made, options.flight, awaited=False),
        "graph-one": partial(made, 1, awaited=False),
    }


@contextmanager
def _graph(
    count: int, kind: str, work_ms: float, flight: int, awaited: bool
) -> Iterator[tuple[Way, list[psutil.Process]]]:
    from ray.dag import InputNode

    with _chain(count, kind, work_ms) as actors:
        processes = _processes(actors)
        with InputNode() as order:
            node = order
            for actor in actors:
                node = actor.compute.bind(node)
        graph = node.experimental_compile(
            enable_asyncio=awaited, _max_inflight_executions=flight, _buffer_size_bytes=BUFFER_BYTES
        )
        way = _awaited(partial(_executed, graph), count) if awaited else _blocking(graph.execute, count)
        yield way, processes
        graph.teardown(kill_actors=True)


async def _executed(graph: Any, size: int) -> Any:
    return await (await graph.execute_async(size))


def _submit(methods: list[Any], size: int) -> Any:
    """All calls of one pass, each with the reference of the one before; the last one's reference."""
    given: Any = size
    for method in methods:
        given = method.remote(given)
    return given


async def _by_reference(methods: list[Any], size: int) -> Any:
    return await _submit(methods, size)


async def _by_value(methods: list[Any], size: int) -> Any:
    given: Any = size
    for method in methods:
        given = await method.remote(given)
    return given


def _awaited(once: Callable[[int], Awaitable[Any]], answer: int) -> Way:
    """Passes by as many coroutines as may be under way; the right answer is `answer` times the rows."""

    async def run(size: int, passes: int, flight: int) -> None:
        async def worker(share: int) -> None:
            for _ in range(share):
                _check(await once(size), size * answer)

        await asyncio.gather(*(worker(len(range(n, passes, flight))) for n in range(flight)))

    return run


def _blocking(submit: Callable[[int], Any], answer: int) -> Way:
    """Passes submitted ahead, their answers taken in order."""
    import ray

    async def run(size: int, passes: int, flight: int) -> None:
        under_way: deque[Any] = deque()
        for _ in range(passes):
            if len(under_way) == flight:
                _check(ray.get(under_way.popleft()), size * answer)
            under_way.append(submit(size))
        while under_way:
            _check(ray.get(under_way.popleft()), size * answer)

    return run


def _check(got: float, right: float) -> None:
    if got != right:
        raise RuntimeError(f"a pass gave {got}, not {right}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 16, 512], help="Rows of 576 numbers.")
    parser.add_argument("--actors", nargs="+", type=int, default=[2, 3], help="Lengths of the chain.")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="Kinds of actors.")
    parser.add_argument("--rounds", type=int, default=3, help="Turns of each way.")
    parser.add_argument("--passes", type=int, default=60, help="Passes of one measurement.")
    parser.add_argument("--flight", type=int, default=8, help="Passes under way at once.")
    parser.add_argument("--work-ms", type=float, default=0, help="Processor time of each actor in a pass.")
    parser.add_argument("--json", action="store_true", help="Print one JSON list instead of the table.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
