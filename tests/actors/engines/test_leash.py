"""Children of a process that is killed."""

import subprocess
import sys

import psutil

PARENT = """
import subprocess, sys
from actors.engines.leash import leashed
with leashed():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_children_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
        psutil.wait_procs([child], timeout=30)
        assert not child.is_running()
