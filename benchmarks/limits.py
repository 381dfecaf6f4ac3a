"""Runs a program in no more memory than it is given, enforced by the kernel. Knows no program."""

import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How programs ended that ran side by side; `answer` is the first one's last line, None if one failed."""

    answer: dict[str, Any] | None
    seconds: float
    said: str


def how() -> str:
    """What enforces the limit on this machine."""
    if os.access(V1 / "cgroup.procs", os.W_OK):
        return "cgroup v1"
    if (V2 / "cgroup.subtree_control").exists() and os.access(V2 / "cgroup.procs", os.W_OK):
        return "cgroup v2"
    return "RLIMIT_DATA"


def run(
    commands: Sequence[Sequence[str]], environs: Sequence[Mapping[str, str]], limit: int, patience_s: float
) -> Outcome:
    """Run programs side by side, each in so many bytes of its own, until one fails or all have ended."""
    began = time.perf_counter()
    with ExitStack() as stack:
        running = []
        for command, environ in zip(commands, environs, strict=True):
            enter = stack.enter_context(_limit(limit))
            running.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, **environ},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    preexec_fn=enter,
                )
            )
        said = _ended(running, patience_s)
    fine = all(one.returncode == 0 for one in running)
    lines = [line for line in said.splitlines() if line.startswith("{")]
    return Outcome(
        json.loads(lines[-1]) if fine and lines else None, time.perf_counter() - began, said[-2000:]
    )


def _ended(running: Sequence[subprocess.Popen[str]], patience_s: float) -> str:
    """Wait; where one fails or takes too long, end the others. Returns what the first one printed."""
    end = time.monotonic() + patience_s
    while any(one.poll() is None for one in running):
        if any(one.returncode for one in running) or time.monotonic() > end:
            for one in running:
                one.kill()
        time.sleep(0.2)
    said = [one.communicate()[0] for one in running]
    return said[0]


@contextmanager
def _limit(limit: int) -> Iterator[Callable[[], None]]:
    """What a child calls to put itself under the limit."""
    kind = how()
    if kind == "RLIMIT_DATA":
        yield lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        return
    group = (V1 if kind == "cgroup v1" else V2) / f"palimpsest-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    names = ("memory.limit_in_bytes",) if kind == "cgroup v1" else ("memory.max", "memory.swap.max")
    try:
        for name in names:
            (group / name).write_text("0" if name == "memory.swap.max" else str(limit))
        yield lambda: _enter(group)
    finally:
        _leave(group)


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def _leave(group: Path) -> None:
    """Remove the group; the kernel may take a moment to see that it is empty."""
    for _ in range(50):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.1)
