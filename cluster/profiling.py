"""Watches a command and all processes that it begins: time, memory, Ray's object store. Knows no command."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from actors.messages import NotReady
from cluster.context import FAILED

EVERY_S = 0.5
"""Between two looks at the processes."""
RUN = """
import sys
from pathlib import Path
from cluster.__main__ import main
sys.argv[0], code = "pal", Path(sys.argv.pop(1))
try:
    main()
except SystemExit as ended:
    code.write_text(str(ended.code or 0))
"""
"""The command, whose exit code py-spy keeps to itself."""
_TOKENS = re.compile(r"([\d,]+) tokens")


@dataclass(slots=True)
class Process:
    """What one process came to."""

    name: str
    cpu_s: float = 0.0
    peak_bytes: int = 0


@dataclass(slots=True)
class Watched:
    """What a command came to."""

    code: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    """Of all processes at once; what they share counts more than once."""
    object_store_bytes: int = 0
    """The most that lay in Ray's object stores."""
    tokens: int | None = None
    """As the command said last."""
    processes: dict[int, Process] = field(default_factory=dict)

    def named(self) -> list[tuple[str, int, float, int]]:
        """Names with their number, processor seconds and greatest memory, the busiest first."""
        groups: dict[str, list[Process]] = {}
        for one in self.processes.values():
            groups.setdefault(one.name, []).append(one)
        rows = [
            (name, len(some), sum(one.cpu_s for one in some), max(one.peak_bytes for one in some))
            for name, some in groups.items()
        ]
        return sorted(rows, key=lambda row: -row[2])


def watch(arguments: Sequence[str], environ: Mapping[str, str], flame: Path, rate: int) -> Watched:
    """Run `pal ARGUMENTS`, with a flame graph of all its processes' Python stacks. Raises NotReady."""
    spy = Path(sys.executable).with_name("py-spy")
    if not spy.is_file():
        raise NotReady("pal profile needs py-spy: pip install 'palimpsest[cluster]'")
    code = flame.with_suffix(".code")
    code.unlink(missing_ok=True)
    record = [
        str(spy),
        "record",
        "--subprocesses",
        "--nonblocking",
        "--function",
        "--rate",
        str(rate),
        "--output",
        str(flame),
    ]
    command = [*record, "--", sys.executable, "-c", RUN, str(code), *arguments]
    found, began = Watched(), time.monotonic()
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the command's, which is told of it too
    with subprocess.Popen(command, env=dict(environ), stderr=subprocess.PIPE, text=True) as ran:
        over = threading.Event()
        looks = threading.Thread(target=_look, args=(psutil.Process(ran.pid), found, over), daemon=True)
        looks.start()
        for line in ran.stderr or ():
            sys.stderr.write(line)
            if counts := _TOKENS.findall(line):
                found.tokens = int(counts[-1].replace(",", ""))
        ran.wait()
        over.set()
        looks.join()
    signal.signal(signal.SIGINT, before)
    found.code = int(code.read_text()) if code.is_file() else FAILED
    code.unlink(missing_ok=True)
    found.seconds = time.monotonic() - began
    return found


def _look(root: psutil.Process, found: Watched, over: threading.Event) -> None:
    """Again and again, until it is over."""
    while not over.wait(EVERY_S):
        try:
            running = root.children(recursive=True)
        except psutil.NoSuchProcess:
            return
        held, stored = 0, 0
        for one in running:
            try:
                held += _seen(one, found)
                stored += _shared(one) if one.name() == "raylet" else 0
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                continue
        found.peak_bytes = max(found.peak_bytes, held)
        found.object_store_bytes = max(found.object_store_bytes, stored)


def _seen(one: psutil.Process, found: Watched) -> int:
    """Keep what a process has come to; the memory that it holds."""
    times, held = one.cpu_times(), one.memory_info().rss
    before = found.processes.setdefault(one.pid, Process(""))
    before.name = _named(one.cmdline()) or before.name
    before.cpu_s = times.user + times.system
    before.peak_bytes = max(before.peak_bytes, held)
    return int(held)


def _shared(raylet: psutil.Process) -> int:
    """What a node's object store holds: the shared memory of its raylet; 0 where the system does not tell."""
    status = Path(f"/proc/{raylet.pid}/status")
    if not status.is_file():
        return 0
    lines = [line for line in status.read_text().splitlines() if line.startswith("RssShmem")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def _named(command: Sequence[str]) -> str:
    """What a process is, in a few words."""
    if not command or not command[0]:
        return ""
    if command[0].startswith("ray::"):
        return command[0].split()[0]
    if RUN in command:
        return "pal"
    if any("multiprocessing" in word for word in command):
        return "child of python"
    scripts = [word for word in command if word.endswith(".py")]
    return Path(scripts[0] if scripts else command[0]).name
