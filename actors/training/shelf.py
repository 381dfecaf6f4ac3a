"""The files of all jobs below one directory, whole after any death of their writer. Knows no process."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from actors.engines.adapter import check_adapter
from actors.memory.database import DirectoryLock, sync_names
from actors.messages import NotFound, NotReady
from actors.recorder import FILE
from actors.training.records import Checkpoint, Job, JobEvent

RECORD = "job.json"
EVENTS = "events.jsonl"
LOG = "log.txt"
CONFIG = "config.yaml"
ADAPTER = "adapter"
MANIFEST = "manifest.json"
KEPT = frozenset({ADAPTER, FILE, "settings.json"})
"""What stays of a run that nobody will go on with."""


class Drawer:
    """A directory for each id; one process writes, any may read."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self) -> DirectoryLock:
        """Keep other writers out until the lock is released, or this process ends. Raises Locked."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = DirectoryLock(self._root)
        lock.acquire()
        return lock

    def folder(self, id: str) -> Path:
        """Where the files of one are."""
        return self._root / id

    def put(self, id: str, name: str, content: bytes) -> Path:
        """Write a file of one, for its owner alone; on disk when this returns."""
        path = self.folder(id) / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_names(path.parent)
        return path


class Shelf(Drawer):
    """Jobs by id."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "jobs")

    def run(self, id: str) -> Path:
        """Where the process that trains writes; trackers know the run by this directory's name."""
        return self.folder(id) / id

    def ids(self) -> list[str]:
        """Of all jobs."""
        return [path.parent.name for path in self._root.glob(f"*/{RECORD}")]

    def read(self, id: str) -> Job:
        """A job. Raises NotFound, and NotReady for a damaged record."""
        path = self.folder(id) / RECORD
        try:
            tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            checkpoints = tuple(Checkpoint(**one) for one in tree.pop("checkpoints"))
            return Job(**tree, checkpoints=checkpoints)
        except FileNotFoundError as error:
            raise NotFound(f"there is no job {id!r}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise NotReady(f"{path} is damaged ({error!r}): delete its directory") from error

    def write(self, job: Job) -> None:
        """Replace a job's record; on disk when this returns."""
        self.put(job.id, RECORD, json.dumps(asdict(job), indent=1).encode())

    def append(self, id: str, event: JobEvent) -> None:
        """Add an event; a line that was cut short before goes."""
        path = self.folder(id) / EVENTS
        with path.open("ab+") as file:
            end = file.tell()
            if end and _last(file, end) != b"\n":
                file.truncate(_whole(path.read_bytes()))
            file.write(json.dumps(asdict(event), ensure_ascii=False).encode() + b"\n")

    def events(self, id: str) -> list[JobEvent]:
        """A job's events in order."""
        return [JobEvent(**value) for value in _lines(self.folder(id) / EVENTS)]

    def figures(self, id: str, since: int) -> tuple[list[dict[str, Any]], int]:
        """What the training has written of each step from byte `since` on, and the byte to go on from.

        From the start where the file has become shorter: a training that is resumed writes lines anew.
        """
        path = self.run(id) / FILE
        try:
            with path.open("rb") as file:
                file.seek(since if since <= path.stat().st_size else 0)
                begin = file.tell()
                content = file.read()
        except FileNotFoundError:
            return [], 0
        return _parsed(content), begin + _whole(content)

    def saved(self, id: str) -> list[int]:
        """Steps of the checkpoints that are there now."""
        names = [path.name for path in (self.run(id) / "checkpoints").glob("*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def adapter(self, id: str) -> Path | None:
        """The directory of the finished adapter, None where it is not whole."""
        path = self.run(id) / ADAPTER
        if not (path / MANIFEST).is_file():
            return None
        with suppress(NotFound):
            check_adapter(path)
            return path
        return None

    def last_words(self, id: str) -> str:
        """Why the process ended, out of what it printed."""
        path = self.folder(id) / LOG
        lines = _tail(path).splitlines() if path.is_file() else []
        said = [line.strip() for line in lines if line.strip()]
        told = [line for line in said if line.startswith("error: ") or "Error: " in line]
        return (told or said or [""])[-1].removeprefix("error: ")[:1000]

    def log(self, id: str) -> str:
        """What the process printed."""
        path = self.folder(id) / LOG
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def tidy(self, id: str) -> None:
        """Remove the data that was trained on, and states that nobody will go on from."""
        for path in [*self.folder(id).glob("*.jsonl"), *self.run(id).glob("*")]:
            if path.name in KEPT or path.name == EVENTS:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def remove_adapter(self, id: str) -> None:
        """Remove the trained weights."""
        shutil.rmtree(self.run(id) / ADAPTER, ignore_errors=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return _parsed(content)


def _parsed(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content[: _whole(content)].splitlines() if line.strip()]


def _whole(content: bytes) -> int:
    """Bytes up to the end of the last whole line."""
    return content.rfind(b"\n") + 1


def _last(file: Any, end: int) -> bytes:
    file.seek(end - 1)
    return bytes(file.read(1))


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 16_384, 0))
        return file.read().decode("utf-8", "replace")
