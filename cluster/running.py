"""The note that a running server leaves in the state directory. Knows no server."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from actors.messages import PalError

Mode = Literal["ray", "local"]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that was started with `pal up`: where it listens, and the process to signal."""

    pid: int
    started_at: float
    """Unix seconds at which the process of `pid` was created, so that a reused pid is not mistaken for it."""
    host: str
    port: int
    url: str
    """Base URL that clients of this machine use, without /v1."""
    mode: Mode
    dashboard: str | None = None
    """URL of Ray's dashboard, where there is one."""

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return _created(self.pid) == self.started_at


def note_path(home: Path) -> Path:
    """Where the note lies."""
    return home / "run" / "server.json"


def read_note(home: Path) -> Running | None:
    """The server that runs on this state directory, or None; a note of a dead process counts as none.

    Raises PalError if the state directory is no directory, or may not be read.
    """
    try:
        content = json.loads(note_path(home).read_text(encoding="utf-8"))
        running = Running(**content)
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
    except (NotADirectoryError, PermissionError) as error:
        raise PalError(
            f"{error.filename}: {error.strerror}: set PAL_HOME to a directory that you may read and write"
        ) from error
    return running if running.alive() else None


def write_note(home: Path, running: Running) -> None:
    """Leave the note, readable by this user alone."""
    path = note_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(running), indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def remove_note(home: Path) -> None:
    """Take the note away if it is this process's own."""
    running = read_note(home)
    if running is not None and running.pid == os.getpid():
        note_path(home).unlink(missing_ok=True)


def this_process() -> tuple[int, float]:
    """This process's pid and the time it was created, as `Running` keeps them."""
    return os.getpid(), _created(os.getpid()) or 0.0


def local_url(host: str, port: int) -> str:
    """The URL at which this machine's own clients reach a server bound to `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    return f"http://{reachable}:{port}"


def _created(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None
