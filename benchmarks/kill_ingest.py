"""Kills a process with -9 while it adds documents, again and again, and looks for what was lost or doubled.

    python -m benchmarks.kill_ingest --kills 200

A child runs the keeper, takes operations on a pipe and acknowledges each; the parent kills it at a random
moment. Each new child is first sent again what was in doubt, and an old operation with its old event id. In
every eighth round the child also feeds the Chroma cache, so that kills fall into that too. After each kill
the database is checked against what was acknowledged; at the end the cache is opened again, catches up, and
its ids are compared with the database's.
"""

import argparse
import hashlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from actors.keeper import Keeper
from actors.memory.database import connect
from actors.messages import ChunkText, NotFound, ParsedDocument
from benchmarks.killing import Victim, cache_differences, index_errors, verdict

USER = "kill"
DIMENSIONS = 32
NAMES = tuple(f"docs/{number}.md" for number in range(40))
CACHE_EVERY = 8
Kind = Literal["put", "delete"]


@dataclass(frozen=True, slots=True)
class Operation:
    """Put a version of a document, or delete it. Its event id is its number: a retry is the same event."""

    number: int
    kind: Kind
    name: str
    version: int


@dataclass(slots=True)
class Expected:
    """What was acknowledged (name → version), and the one operation that may have been done or not."""

    documents: dict[str, int] = field(default_factory=dict)
    doubtful: Operation | None = None
    history: list[Operation] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """The figures."""

    kills: int = 0
    acknowledged: int = 0
    retried: int = 0
    lost_chunks: int = 0
    duplicates: int = 0
    wrong_text: int = 0
    index_errors: int = 0
    cache_rounds: int = 0
    cache_differences: int = 0
    seconds: float = 0.0

    def passed(self) -> bool:
        """Whether nothing was lost, doubled or wrong."""
        wrong = self.lost_chunks + self.duplicates + self.wrong_text + self.index_errors
        return wrong + self.cache_differences == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as asked on the command line; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    tally = run(options.kills, options.seed)
    figures = {name: getattr(tally, name) for name in Tally.__dataclass_fields__}
    return verdict(figures, tally.passed(), as_json=options.json)


def run(kills: int, seed: int) -> Tally:
    """Kill that often; every figure of what happened."""
    directory = Path(tempfile.mkdtemp(prefix="kill-ingest-"))
    chance = random.Random(seed)
    tally, expected = Tally(), Expected()
    started = time.monotonic()
    operations = _operations(chance)
    try:
        for round_number in range(kills):
            cache = round_number % CACHE_EVERY == CACHE_EVERY - 1
            _round(directory, chance, operations, expected, tally, cache)
            _check(directory, expected, tally)
        tally.cache_differences = cache_differences(directory)
    finally:
        shutil.rmtree(directory)
    tally.seconds = time.monotonic() - started
    return tally


def content_of(operation: Operation) -> str:
    """A document whose every paragraph names its version; deterministic."""
    chance = random.Random(f"{operation.name} {operation.version}")
    lines = (
        f"{operation.name} version {operation.version} part {part} {chance.randbytes(60).hex()}"
        for part in range(chance.randint(1, 30))
    )
    return "\n".join(lines)


def _operations(chance: random.Random) -> Iterator[Operation]:
    number = 0
    while True:
        kind: Kind = "delete" if chance.random() < 0.15 else "put"
        yield Operation(number, kind, chance.choice(NAMES), number)
        number += 1


def _round(
    directory: Path,
    chance: random.Random,
    operations: Iterator[Operation],
    expected: Expected,
    tally: Tally,
    cache: bool,
) -> None:
    child = Victim(directory, _do, cache=cache)
    tally.cache_rounds += cache
    deadline = time.monotonic() + chance.uniform(0.0, 1.0)
    if expected.doubtful is not None:
        tally.retried += 1
        _ask(child, expected.doubtful, expected, tally)
    if expected.history:
        tally.retried += 1
        child.ask(chance.choice(expected.history))
    while time.monotonic() < deadline:
        _ask(child, next(operations), expected, tally)
    expected.doubtful = next(operations)
    child.begin(expected.doubtful)
    time.sleep(chance.uniform(0.0, 0.02))
    answered = child.kill()
    tally.kills += 1
    if answered:
        _acknowledge(expected.doubtful, expected, tally)


def _ask(child: Victim, operation: Operation, expected: Expected, tally: Tally) -> None:
    child.ask(operation)
    _acknowledge(operation, expected, tally)


def _acknowledge(operation: Operation, expected: Expected, tally: Tally) -> None:
    tally.acknowledged += 1
    expected.doubtful = None
    if operation.kind == "put":
        expected.documents[operation.name] = operation.version
        expected.history.append(operation)
    else:
        expected.documents.pop(operation.name, None)


async def _do(keeper: Keeper, operation: Operation) -> None:
    """In the child: carry out one operation."""
    if operation.kind == "delete":
        for info in await keeper.list_files(USER):
            if info.filename == operation.name:
                await keeper.delete_file(USER, info.id)
        return
    text = content_of(operation)
    chunks = _chunks(text)
    vectors = np.random.default_rng(operation.version).standard_normal((len(chunks), DIMENSIONS))
    document = ParsedDocument(
        filename=operation.name,
        media_type="text/plain",
        text=text,
        content=text.encode(),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    try:
        await keeper.add_file(USER, f"event-{operation.number}", document, "assistants", chunks, unit)
    except NotFound:
        return


def _chunks(text: str) -> list[ChunkText]:
    chunks, start = [], 0
    for line in text.split("\n"):
        chunks.append(ChunkText(start, start + len(line), line))
        start += len(line) + 1
    return chunks


def _check(directory: Path, expected: Expected, tally: Tally) -> None:
    """Compare the database with what was acknowledged; what was in doubt is taken as it is found."""
    connection = connect(directory)
    try:
        stored = {
            row["filename"]: row
            for row in connection.execute(
                "SELECT f.number, f.filename, b.text FROM files f JOIN bodies b ON b.file = f.number"
            )
        }
        doubtful = expected.doubtful
        for name in NAMES:
            wanted = {expected.documents.get(name)}
            if doubtful is not None and doubtful.name == name:
                wanted.add(doubtful.version if doubtful.kind == "put" else None)
            _check_document(connection, name, wanted, stored.get(name), tally)
        (files,) = connection.execute("SELECT count(*) FROM files").fetchone()
        tally.duplicates += files - len(stored)
        tally.index_errors += index_errors(connection)
    finally:
        connection.close()


def _check_document(connection: Any, name: str, wanted: set[int | None], row: Any, tally: Tally) -> None:
    texts = {
        None if version is None else content_of(Operation(0, "put", name, version)) for version in wanted
    }
    if row is None:
        if None not in texts:
            tally.lost_chunks += max(len(_chunks(text or "")) for text in texts)
        return
    if row["text"] not in texts:
        tally.wrong_text += 1
        return
    lines = row["text"].split("\n")
    chunks = connection.execute(
        "SELECT c.text, v.vector FROM chunks c LEFT JOIN vectors v ON v.chunk = c.id WHERE c.file = ? "
        "ORDER BY c.ordinal",
        (row["number"],),
    ).fetchall()
    found = [chunk["text"] for chunk in chunks if chunk["vector"] is not None]
    tally.lost_chunks += len(set(lines) - set(found))
    tally.duplicates += max(0, len(chunks) - len(lines))


if __name__ == "__main__":
    raise SystemExit(main())
