"""Starts, watches and stops the process of a training on this machine. Knows no job."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

PATIENCE_S = 20.0
"""How long a process may take to end once it was told to."""
FOREIGN = frozenset({("CUDA_VISIBLE_DEVICES", "")})
"""What Ray tells a worker that has no GPU, and no concern of what the worker starts."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code, negative for a signal, None where nobody was there to see it."""

    code: int | None


class Launcher(Protocol):
    """Where trainings run. A handle is a string that outlives whoever started the process."""

    @property
    def on_ray(self) -> bool:
        """Whether what trains belongs to Ray, and shows its figures there by itself."""
        ...

    def launch(self, id: str, command: Sequence[str], log: Path, environ: Mapping[str, str]) -> str:
        """Start a process whose output goes to `log`; returns its handle. Raises PalError."""
        ...

    def ended(self, handle: str) -> Ended | None:
        """How it ended; None while it runs."""
        ...

    def stop(self, handle: str) -> None:
        """End it and all that it started; returns when it has ended."""
        ...


class Processes:
    """Children of this process, each the first of a group and less important than those that serve."""

    on_ray = False

    def __init__(self, niceness: int) -> None:
        self._niceness = niceness
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def launch(self, id: str, command: Sequence[str], log: Path, environ: Mapping[str, str]) -> str:
        """Start a child."""
        inherited = dict(os.environ.items() - FOREIGN)
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**inherited, **environ},
                start_new_session=True,
            )
        _step_back(child.pid, self._niceness)
        handle = f"{child.pid} {_created(child.pid)}"
        self._children[handle] = child
        return handle

    def ended(self, handle: str) -> Ended | None:
        """How it ended; without a code where it was the child of an earlier process of ours."""
        child = self._children.get(handle)
        if child is not None:
            code = child.poll()
            return None if code is None else Ended(code)
        return None if _process(handle) else Ended(None)

    def stop(self, handle: str) -> None:
        """End the whole group: in order, then by force."""
        process = _process(handle)
        if process is None:
            return
        family = [process, *process.children(recursive=True)]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        child = self._children.get(handle)
        if child is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE_S)
        _, alive = psutil.wait_procs(family, timeout=0 if child else PATIENCE_S)
        for one in alive:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(alive, timeout=PATIENCE_S)
        if child is not None:
            child.wait()


def _step_back(pid: int, niceness: int) -> None:
    """Make the first process of a session less important.

    Linux may share the processor between sessions first (autogroups): within one alone does niceness count.
    """
    with suppress(psutil.NoSuchProcess, OSError):
        psutil.Process(pid).nice(niceness)
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")


def _created(pid: int) -> float:
    return float(psutil.Process(pid).create_time())


def _process(handle: str) -> psutil.Process | None:
    """The very process of a handle, while it runs."""
    pid, _, created = handle.partition(" ")
    try:
        process = psutil.Process(int(pid))
        gone = process.status() == psutil.STATUS_ZOMBIE or process.create_time() != float(created)
    except psutil.NoSuchProcess:
        return None
    return None if gone else process
