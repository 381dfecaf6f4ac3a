"""How many partitions a state directory has, as a file beside them. Knows no user and no row."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from actors.memory.adoption import adopt
from actors.memory.database import FILENAME, DirectoryLock, sync_names
from actors.memory.partitions import directory_of, keepers_directory
from actors.messages import InvalidRequest, NotReady

VERSION = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """`partitions` hold the users; beyond that, only while users are being moved or after that was cut short.

    `copying_to`: users are being copied to where they belong among so many partitions. `clearing_from`: they
    are there, and what the former partitions still hold of them is being removed.
    """

    partitions: int
    copying_to: int | None = None
    clearing_from: int | None = None


@contextmanager
def opened(home: Path, partitions: int) -> Iterator[list[Path]]:
    """The directories of all partitions, kept from being rebalanced or opened by another server meanwhile.

    What an earlier version kept in `documents` is taken over. Raises Locked where another process has them,
    NotReady where the partitions are not so many or a rebalancing was cut short, InvalidRequest where a
    newer program wrote them.
    """
    with exclusive(home) as layout:
        if layout is None:
            layout = Layout(partitions)
            write(home, layout)
        _check(layout, partitions)
        yield [directory_of(home, number) for number in range(partitions)]


@contextmanager
def exclusive(home: Path) -> Iterator[Layout | None]:
    """The layout, None where nothing was ever kept, with every other server and rebalancing kept out.

    Raises as `opened` does.
    """
    directory = keepers_directory(home)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    sync_names(home)
    lock = DirectoryLock(directory)
    lock.acquire()
    try:
        adopt(home)
        yield read(home)
    finally:
        lock.release()


def read(home: Path) -> Layout | None:
    """The layout as it stands; None for an empty directory. Raises InvalidRequest, NotReady."""
    path = _path(home)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, counts = (
            content["version"],
            [content["partitions"], *map(content.get, ("copying_to", "clearing_from"))],
        )
        if not all(count is None or count >= 1 for count in counts):
            raise ValueError(f"partitions are counted from 1: {content}")
    except FileNotFoundError:
        return _without_file(home)
    except (ValueError, KeyError, TypeError) as error:
        raise NotReady(f"{path} is damaged ({error!r}): restore it from a backup") from error
    if version != VERSION:
        raise InvalidRequest(
            f"{path} has version {version}, and this program knows version {VERSION}: run the newer program "
            "that wrote it"
        )
    return Layout(*counts)


def write(home: Path, layout: Layout) -> None:
    """Replace the layout; on disk when this returns."""
    path = _path(home)
    content = {"partitions": layout.partitions, "version": VERSION}
    if layout.copying_to is not None:
        content["copying_to"] = layout.copying_to
    if layout.clearing_from is not None:
        content["clearing_from"] = layout.clearing_from
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_names(path.parent)


def _path(home: Path) -> Path:
    return keepers_directory(home) / "layout.json"


def _without_file(home: Path) -> Layout | None:
    """One partition alone was adopted, and the program was ended before it could say so."""
    held = sorted(path.parent.name for path in keepers_directory(home).glob(f"*/{FILENAME}"))
    if not held:
        return None
    if held == ["0"]:
        write(home, Layout(1))
        return Layout(1)
    raise NotReady(
        f"{_path(home)} is missing, and there are partitions {', '.join(held)}: restore it from a backup; "
        'without one, write {"partitions": N, "version": 1} with the number there were'
    )


def _check(layout: Layout, partitions: int) -> None:
    if layout.copying_to is not None or layout.clearing_from is not None:
        target = layout.copying_to or layout.partitions
        raise NotReady(
            f"moving users to {target} partitions was cut short: end it with "
            f"`pal memory rebalance --partitions {target}`"
        )
    if layout.partitions != partitions:
        raise NotReady(
            f"memory.partitions is {partitions}, and users are spread over {layout.partitions}: set it back, "
            f"or move the users with `pal memory rebalance --partitions {partitions}`"
        )
