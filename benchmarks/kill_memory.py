"""Kills a process with -9 while it remembers, edits, merges and forgets; looks for what was lost or doubled.

    python -m benchmarks.kill_memory --kills 200

A child runs the keeper, takes operations on a pipe and acknowledges each; the parent kills it in the middle
of one. Each new child is first sent again what was in doubt, and an old operation with its old event id, and
is asked for a memory that must be there. In a share of the rounds the child also feeds the Chroma cache,
which was deleted or torn before. After each kill the database is compared with what was acknowledged. At the
end every file is searched for words that were forgotten, the cache is compared with the database, and a
keeper of many memories is killed and started anew, to see how long until it answers.
"""

import argparse
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from actors.keeper import Keeper
from actors.memory.database import connect
from actors.memory.records import MemoryKind, NewMemory
from actors.messages import NotFound
from benchmarks.killing import Victim, cache_differences, index_errors, verdict
from benchmarks.memory_ledger import (
    LETTERS,
    USERS,
    Ledger,
    Operation,
    Wrongs,
    compare,
    operations,
    token_of,
    vector_of,
)

CACHE_EVERY = 6
LONGEST_S = 0.03
"""An operation is killed at a random moment up to this long after it was sent."""
STEPS = 12
"""Operations in a round, at most."""
TOKEN = re.compile(rb"tok[a-p]{%d}" % LETTERS)
RECOVERIES = 4
FEW_S = 10.0
"""How long a keeper of many memories may take to answer."""
WIDTH = 384
BATCH = 500


@dataclass(frozen=True, slots=True)
class Search:
    """Ask for memories; without a vector by words alone."""

    user: str
    words: str
    vector: Any = None


@dataclass(slots=True)
class Tally:
    """The figures."""

    kills: int = 0
    acknowledged: int = 0
    retried: int = 0
    remembered: int = 0
    forgotten: int = 0
    wrongs: Wrongs = field(default_factory=Wrongs)
    changed_answers: int = 0
    index_errors: int = 0
    not_found: int = 0
    forgotten_bytes: int = 0
    cache_rounds: int = 0
    cache_harmed: int = 0
    cache_off: int = 0
    cache_differences: int = 0
    recovery_s: float = 0.0
    """The slowest, from the start of the interpreter to the first search answered."""
    seconds: float = 0.0

    def passed(self) -> bool:
        """Whether nothing was lost, doubled or wrong, and what was forgotten is nowhere."""
        wrong = self.changed_answers + self.index_errors + self.not_found + self.forgotten_bytes
        cache = self.cache_off + self.cache_differences
        return self.wrongs.total() + wrong + cache == 0 and self.recovery_s < FEW_S


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as asked on the command line; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--many", type=int, default=10_000, help="memories of the keeper that is timed")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    tally = run(options.kills, options.seed)
    tally.recovery_s = recovery(options.many)
    tally.seconds = time.monotonic() - started
    figures = asdict(tally)
    figures |= figures.pop("wrongs")
    return verdict(figures, tally.passed(), as_json=options.json)


def run(kills: int, seed: int) -> Tally:
    """Kill that often; every figure of what happened."""
    directory = Path(tempfile.mkdtemp(prefix="kill-memory-"))
    chance, ledger, tally = random.Random(seed), Ledger(), Tally()
    waiting = operations(chance, ledger)
    try:
        for number in range(kills):
            cache = number % CACHE_EVERY == CACHE_EVERY - 1
            if cache:
                tally.cache_harmed += _harm(directory / "vectors", chance)
            _round(directory, chance, waiting, ledger, tally, cache)
            _check(directory, ledger, tally)
        _settle(directory, ledger, tally)
        _check(directory, ledger, tally)
        tally.cache_differences = cache_differences(directory)
        _search_files(directory, ledger, tally)
    finally:
        shutil.rmtree(directory)
    tally.forgotten = sum(map(len, ledger.forgotten.values()))
    tally.remembered = tally.forgotten + sum(map(len, ledger.held.values()))
    return tally


def recovery(many: int) -> float:
    """Seconds from the start of a new interpreter to its first answer, after a kill; the slowest of a few."""
    directory = Path(tempfile.mkdtemp(prefix="kill-memory-"))
    slowest = 0.0
    try:
        child = Victim(directory, do, cache=False)
        for first in range(0, many, BATCH):
            child.ask((first, min(BATCH, many - first)))
        for number in range(RECOVERIES):
            child.begin((many + number * BATCH, BATCH))
            time.sleep(0.05)
            child.kill()
            started = time.monotonic()
            child = Victim(directory, do, cache=number % 2 == 0, fresh=True, settled=False)
            assert child.ask(Search("many", _numbered(many // 2), _wide(_numbered(many // 2))))
            slowest = max(slowest, time.monotonic() - started)
        child.kill()
    finally:
        shutil.rmtree(directory)
    return slowest


def _round(
    directory: Path,
    chance: random.Random,
    waiting: Iterator[Operation],
    ledger: Ledger,
    tally: Tally,
    cache: bool,
) -> None:
    child = Victim(directory, do, cache=cache)
    if cache:
        tally.cache_rounds += 1
        tally.cache_off += child.health != "vector cache: ok"
    if ledger.doubtful is not None:
        tally.retried += 1
        _ask(child, ledger.doubtful, ledger, tally)
    if ledger.done:
        tally.retried += 1
        tally.changed_answers += not _repeated(child, chance.choice(ledger.done), ledger)
    _look(child, chance, ledger, tally)
    for _ in range(chance.randint(0, STEPS)):
        _ask(child, next(waiting), ledger, tally)
    ledger.doubtful = next(waiting)
    child.begin(ledger.doubtful)
    time.sleep(chance.uniform(0.0, LONGEST_S))
    answered = child.kill()
    tally.kills += 1
    for reply in answered:
        _acknowledge(ledger.doubtful, reply, ledger, tally)


def _settle(directory: Path, ledger: Ledger, tally: Tally) -> None:
    """Nothing is in doubt any more."""
    if ledger.doubtful is not None:
        child = Victim(directory, do, cache=False)
        _ask(child, ledger.doubtful, ledger, tally)
        child.kill()


def _ask(child: Victim, operation: Operation, ledger: Ledger, tally: Tally) -> None:
    _acknowledge(operation, child.ask(operation), ledger, tally)


def _acknowledge(operation: Operation, reply: Any, ledger: Ledger, tally: Tally) -> None:
    tally.acknowledged += 1
    ledger.acknowledge(operation, reply)


def _repeated(child: Victim, operation: Operation, ledger: Ledger) -> bool:
    """Whether an old event sent again makes nothing new and brings nothing back."""
    reply = child.ask(operation)
    if operation.kind == "embed":
        for user, memory_id in reply:
            ledger.held[user][memory_id].embedded = True
    if operation.kind != "remember":
        return True
    mine, gone = ledger.held[operation.user], ledger.forgotten[operation.user]
    return all(one.id in mine if one.event == "ADD" else one.id in mine or one.id in gone for one in reply)


def _look(child: Victim, chance: random.Random, ledger: Ledger, tally: Tally) -> None:
    """A memory that must be there is found by its word."""
    there = [
        (user, memory_id, one)
        for user, mine in ledger.held.items()
        for memory_id, one in sorted(mine.items())
        if not one.merged
    ]
    if there:
        user, memory_id, one = chance.choice(there)
        vector = vector_of(one.text) if one.embedded else None
        tally.not_found += memory_id not in child.ask(Search(user, token_of(one.text), vector))


def _harm(vectors: Path, chance: random.Random) -> bool:
    """Delete the cache, cut a file of it, write over a part of one, or nothing; whether it was harmed."""
    files = sorted(path for path in vectors.rglob("*") if path.is_file() and path.stat().st_size)
    way = chance.choice(["delete", "cut", "write over", "nothing"])
    if not files or way == "nothing":
        return False
    if way == "delete":
        shutil.rmtree(vectors)
        return True
    path = chance.choice(files)
    size = path.stat().st_size
    with path.open("r+b") as file:
        if way == "cut":
            file.truncate(chance.randrange(size))
        else:
            start = chance.randrange(size)
            file.seek(start)
            file.write(chance.randbytes(min(4096, size - start)))
    return True


async def do(keeper: Keeper, request: "Operation | Search | tuple[int, int]") -> Any:
    """In the child: carry out one request."""
    if isinstance(request, Search):
        found = await keeper.search_memories(request.user, request.words, request.vector)
        return [one.memory.id for one in found]
    if isinstance(request, tuple):
        return await _fill(keeper, *request)
    if request.kind == "remember":
        return await _remember(keeper, request)
    if request.kind == "update":
        return await _update(keeper, request)
    if request.kind == "consolidate":
        return await keeper.consolidate(request.user, request.event_id)
    if request.kind == "embed":
        return await _embed(keeper)
    assert request.what is not None
    return await keeper.forget(request.user, request.event_id, request.what)


async def _remember(keeper: Keeper, operation: Operation) -> Any:
    kind: MemoryKind = "note" if operation.note else "turn"
    memories = [NewMemory(text=text, kind=kind, said_at=1e9 + operation.number) for text in operation.texts]
    vectors = np.stack([vector_of(text) for text in operation.texts]) if operation.embedded else None
    return await keeper.remember(
        operation.user, operation.event_id, memories, vectors, session=operation.session
    )


async def _update(keeper: Keeper, operation: Operation) -> bool:
    (text,) = operation.texts
    vector = vector_of(text) if operation.embedded else None
    try:
        await keeper.update_memory(
            operation.user, operation.event_id, operation.memory_id, text=text, vector=vector
        )
    except NotFound:
        return False
    return True


async def _embed(keeper: Keeper) -> list[tuple[str, str]]:
    """Give every memory that waits for its vector one; which they were."""
    done: list[tuple[str, str]] = []
    for user in USERS:
        waiting = [one for one in await keeper.unembedded() if one[0] == user]
        if waiting:
            vectors = np.stack([vector_of(text) for _, _, text in waiting])
            await keeper.put_vectors(user, [memory_id for _, memory_id, _ in waiting], vectors)
            done += [(user, memory_id) for _, memory_id, _ in waiting]
    return done


async def _fill(keeper: Keeper, first: int, count: int) -> int:
    texts = [_numbered(number) for number in range(first, first + count)]
    vectors = np.stack([_wide(text) for text in texts])
    memories = [NewMemory(text=text) for text in texts]
    return len(await keeper.remember("many", f"fill-{first}", memories, vectors, session=f"s{first}"))


def _numbered(number: int) -> str:
    return f"On day {number} we spoke of number{number} and of the boats in harbour{number % 97}."


def _wide(text: str) -> Any:
    vector = np.random.default_rng(len(text) + sum(text.encode())).standard_normal(WIDTH)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _check(directory: Path, ledger: Ledger, tally: Tally) -> None:
    """Compare the database with what was acknowledged; what was in doubt is taken as it is found."""
    connection = connect(directory)
    try:
        compare(connection, ledger, tally.wrongs)
        tally.index_errors += index_errors(connection)
    finally:
        connection.close()
    found = {one for path in _files(directory) for one in TOKEN.findall(path.read_bytes())}
    tally.forgotten_bytes += len(found & _gone(ledger))


def _search_files(directory: Path, ledger: Ledger, tally: Tally) -> None:
    """No file has the end of a forgotten word, which the full-text index may keep apart, nor its vector."""
    living = ledger.living()
    content = b"\n".join(path.read_bytes() for path in _files(directory))
    tally.forgotten_bytes += sum(one[-12:] in content for one in _gone(ledger))
    tally.forgotten_bytes += sum(
        vector_of(text).astype("<f4").tobytes() in content for text in ledger.gone_texts - living
    )


def _gone(ledger: Ledger) -> set[bytes]:
    """Words that only forgotten memories had."""
    living = {token_of(text) for text in ledger.living()}
    return {token.encode() for text in ledger.gone_texts if (token := token_of(text)) not in living}


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


if __name__ == "__main__":
    raise SystemExit(main())
