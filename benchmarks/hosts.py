"""Starts `pal up` as a user would, in a process of its own, and stops it. Knows no measurement."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 400


@dataclass(frozen=True)
class Host:
    """A server that runs: its base URL, and the clock (time.perf_counter) when its command was given."""

    url: str
    began: float
    ready_s: float
    """Seconds from the command to ready."""
    pid: int
    """Of `pal up` itself."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def pal_up(
    *arguments: str, home: Path | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Host]:
    """`pal up` with these arguments on free ports; stopped as with Ctrl-C. Raises RuntimeError."""
    port = free_port()
    settings = {"PAL_CLUSTER__DASHBOARD_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    if home is not None:
        settings["PAL_HOME"] = str(home)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cluster", "up", "--json", "--port", str(port), *arguments],
        cwd=ROOT,
        env={**os.environ, **settings, **(environ or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said:
            raise RuntimeError(f"pal up {' '.join(arguments)} ended with {process.wait()}")
        yield Host(json.loads(said)["url"], began, time.perf_counter() - began, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
