"""Ends the processes that this one started once it is gone, however it went. Knows no engine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WATCHER = """
import sys, psutil
held = [psutil.Process(int(pid)) for pid in sys.argv[1:] if psutil.pid_exists(int(pid))]
sys.stdin.read()
for process in held:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        continue
"""


@contextmanager
def leashed() -> Iterator[None]:
    """Children that the block starts are killed as soon as this process ends, by a watcher beside it.

    A process that is killed cannot end its children itself, and what they hold would never be freed.
    """
    import psutil

    this = psutil.Process()
    before = {child.pid for child in this.children()}
    yield
    started = [str(child.pid) for child in this.children() if child.pid not in before]
    reading, writing = os.pipe()
    os.set_inheritable(writing, False)
    command = [sys.executable, "-c", _WATCHER, *started]
    subprocess.Popen(command, stdin=reading, stdout=subprocess.DEVNULL, start_new_session=True)
    os.close(reading)
