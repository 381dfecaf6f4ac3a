"""Moves users to where they belong among another number of partitions. Knows no row.

Whenever it is ended, nothing is lost or doubled, and running it again goes on: each user is copied and
compared in a transaction of their own while the former layout holds, then the layout changes in one step, and
then what the former partitions hold of those who moved is removed. Nobody else has the partitions meanwhile.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actors.memory import layout, moving
from actors.memory.database import (
    FILENAME,
    DirectoryLock,
    checkpoint,
    connect,
    rewrite,
    sync_names,
    transaction,
)
from actors.memory.layout import Layout
from actors.memory.migrations import migrate
from actors.memory.moving import Person
from actors.memory.partitions import directory_of, keepers_directory, partition_of_owner
from actors.messages import InvalidRequest, NotReady


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: `done` of `total` users copied, or removed from where they were."""

    step: Literal["copy", "remove"]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """What it did: how many users now are in another partition, of how many that there are."""

    partitions: int
    moved: int
    users: int


OnProgress = Callable[[Progress], None]


def rebalance(home: Path, partitions: int, on_progress: OnProgress = lambda _: None) -> Rebalanced:
    """Spread the users over so many partitions; what was cut short before is ended first. Blocking.

    `on_progress` is told after each user. Raises Locked while a server has the partitions, InvalidRequest if
    another number was asked of a copying that was cut short, NotReady if a partition cannot be opened.
    """
    if partitions < 1:
        raise InvalidRequest("there is at least one partition", param="partitions")
    with layout.exclusive(home) as found:
        before = found or Layout(partitions)
        if before.copying_to not in {None, partitions}:
            raise InvalidRequest(
                f"moving users to {before.copying_to} partitions was cut short: end that first, with "
                f"--partitions {before.copying_to}"
            )
        moved = 0
        with _opened(home, before, partitions) as directories:
            if before.clearing_from is not None:
                moved += _clear(home, before, on_progress)
                before = Layout(before.partitions)
            if before.partitions != partitions:
                moved = _move(home, before, directories, partitions, on_progress)
            elif found is None:
                layout.write(home, before)
            users = sum(len(_people(home, number, partitions)) for number in range(partitions))
    return Rebalanced(partitions, moved, users)


def _move(
    home: Path, before: Layout, directories: Sequence[Path], partitions: int, on_progress: OnProgress
) -> int:
    if before.copying_to is None:
        _check_unused(directories[before.partitions :])
        layout.write(home, Layout(before.partitions, copying_to=partitions))
    _copy(home, before.partitions, partitions, on_progress)
    after = Layout(partitions, clearing_from=before.partitions)
    layout.write(home, after)
    return _clear(home, after, on_progress)


def _check_unused(directories: Sequence[Path]) -> None:
    for directory in directories:
        if (directory / FILENAME).exists():
            raise NotReady(f"{directory} is of no known layout: move it away")


def _copy(home: Path, before: int, after: int, on_progress: OnProgress) -> None:
    """Every user of the former layout whose partition changes is in the new one as well."""
    moves = [
        (number, target, person)
        for number in range(before)
        for person in _people(home, number, before)
        if (target := partition_of_owner(person.owner, after)) != number
    ]
    for done, (number, target, person) in enumerate(moves, 1):
        with _database(directory_of(home, target)) as connection:
            connection.execute("ATTACH ? AS source", (str(directory_of(home, number) / FILENAME),))
            with transaction(connection):
                moving.copy(connection, person)
        on_progress(Progress("copy", done, len(moves)))


def _clear(home: Path, after: Layout, on_progress: OnProgress) -> int:
    """Remove from each former partition whoever is elsewhere now; how many they were."""
    before = after.clearing_from or 0
    strays = {number: _strays(home, number, after.partitions) for number in range(before)}
    total, done = sum(map(len, strays.values())), 0
    for number, gone in strays.items():
        if number >= after.partitions:
            shutil.rmtree(directory_of(home, number))
        else:
            _remove(directory_of(home, number), gone)
        for _ in gone:
            done += 1
            on_progress(Progress("remove", done, total))
    sync_names(keepers_directory(home))
    layout.write(home, Layout(after.partitions))
    return total


def _strays(home: Path, number: int, partitions: int) -> list[Person]:
    """Of whom a partition still holds rows though they belong elsewhere; its directory may be half gone."""
    if not (directory_of(home, number) / FILENAME).exists():
        return []
    return [one for one in _people(home, number) if partition_of_owner(one.owner, partitions) != number]


def _remove(directory: Path, gone: Sequence[Person]) -> None:
    """No byte of them stays, whether they are removed now or were before this was cut short."""
    with _database(directory) as connection:
        for person in gone:
            with transaction(connection):
                moving.remove(connection, person)
        rewrite(connection)


def _people(home: Path, number: int, partitions: int | None = None) -> list[Person]:
    """Of whom a partition holds rows; with `partitions`, only those who belong there among so many."""
    with _database(directory_of(home, number)) as connection:
        found = moving.people(connection)
    return [
        person
        for person in found
        if partitions is None or partition_of_owner(person.owner, partitions) == number
    ]


@contextmanager
def _opened(home: Path, before: Layout, partitions: int) -> Iterator[list[Path]]:
    """The directories of all partitions, former and new, each locked."""
    number = max(before.partitions, before.clearing_from or 0, partitions)
    directories = [directory_of(home, one) for one in range(number)]
    with ExitStack() as held:
        for directory in directories:
            directory.mkdir(exist_ok=True, mode=0o700)
            lock = DirectoryLock(directory)
            lock.acquire()
            held.callback(lock.release)
        sync_names(keepers_directory(home))
        yield directories


@contextmanager
def _database(directory: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(connect(directory)) as connection:
            migrate(connection)
            yield connection
            checkpoint(connection)
    except sqlite3.DatabaseError as error:
        raise NotReady(
            f"the partition in {directory} cannot be used ({error}); nothing was lost: run this again when "
            "that is mended"
        ) from error
