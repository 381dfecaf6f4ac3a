"""Memory stores of others in processes of their own: both ends of the pipe. Knows no store.

One JSON line asks, one answers. Imports the standard library and numpy alone: a store's process may run in
another Python, without our packages.
"""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60
Vectors = NDArray[np.float32]


class Store(Protocol):
    """What a store's process offers."""

    def add(self, user: str, text: str, vector: list[float]) -> str:
        """Store one text as the store's users do; its id."""

    def fill(self, user: str, texts: Sequence[str], vectors: Vectors) -> list[str]:
        """Store many texts the quickest way there is; their ids."""

    def search(self, user: str, query: str, vector: list[float], limit: int) -> list[str]:
        """The ids of the best, best first."""


class Answers(NamedTuple):
    """One answer for each text, and the seconds and processor's seconds that it took the store's process."""

    answers: list[Any]
    seconds: list[float]
    busy: list[float]


class Peer:
    """A running store."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.says = self._read()
        """What the store told of itself when it was ready."""

    def add(self, user: str, texts: Sequence[str], vectors: Vectors) -> Answers:
        """Add each by itself."""
        return self._ask("add", user, texts, vectors)

    def fill(self, user: str, texts: Sequence[str], vectors: Vectors) -> list[str]:
        """Add all at once."""
        ids: list[str] = self._ask("fill", user, texts, vectors).answers[0]
        return ids

    def search(self, user: str, queries: Sequence[str], vectors: Vectors, limit: int) -> Answers:
        """Search each by itself."""
        return self._ask("search", user, queries, vectors, limit)

    def _ask(self, call: str, user: str, texts: Sequence[str], vectors: Vectors, limit: int = 0) -> Answers:
        given = {"call": call, "user": user, "texts": list(texts), "limit": limit}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(given | {"vectors": _encoded(vectors)}) + "\n")
        self._process.stdin.flush()
        said = self._read()
        return Answers(said["answers"], said["seconds"], said["busy"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def peer(
    module: str, *arguments: str, python: str = sys.executable, environ: Mapping[str, str] | None = None
) -> Iterator[Peer]:
    """Run `python -m module arguments`, which calls `answer`. Raises RuntimeError if it ends early."""
    process = subprocess.Popen(
        [python, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environ or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Peer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE_S)


def answer(store: Store, about: Mapping[str, Any]) -> None:
    """The store's end: tell that it is ready, then answer until the pipe closes."""
    _say(about)
    for line in sys.stdin:
        answers, seconds, busy = [], [], []
        for work in _works(store, json.loads(line)):
            began, worked = time.perf_counter(), time.process_time()
            answers.append(work())
            seconds.append(time.perf_counter() - began)
            busy.append(time.process_time() - worked)
        _say({"answers": answers, "seconds": seconds, "busy": busy})


def _works(store: Store, order: Mapping[str, Any]) -> list[Callable[[], Any]]:
    """What is to be timed, each by itself."""
    user, texts, vectors = order["user"], order["texts"], _decoded(order["vectors"])
    if order["call"] == "fill":
        return [partial(store.fill, user, texts, vectors)]
    pairs = [(text, vector.tolist()) for text, vector in zip(texts, vectors, strict=True)]
    if order["call"] == "add":
        return [partial(store.add, user, text, vector) for text, vector in pairs]
    return [partial(store.search, user, text, vector, order["limit"]) for text, vector in pairs]


def _say(value: Mapping[str, Any]) -> None:
    print(json.dumps(value), flush=True)


def _encoded(vectors: Vectors) -> dict[str, Any]:
    rows = np.ascontiguousarray(vectors, np.float32)
    return {"shape": rows.shape, "bytes": base64.b64encode(rows.tobytes()).decode()}


def _decoded(given: Mapping[str, Any]) -> Vectors:
    return np.frombuffer(base64.b64decode(given["bytes"]), np.float32).reshape(given["shape"])
