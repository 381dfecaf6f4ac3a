import subprocess
import sys

import pytest

CALL = """
import sys
import numpy as np
from tune.allocator import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

told = give_back() if sys.argv[1] == "told" else False
passing = np.ones(2_000_000)
del passing
held, pins = [], []
for _ in range(50):
    held.append(np.ones(500_000))
    pins.append(np.ones(1_000))
before = resident()
held.clear()
print(told, (before - resident()) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what it tells is the C library of Linux")
def test_what_is_freed_between_other_things_goes_back() -> None:
    freed = {}
    for how in ("told", "not told"):
        run = subprocess.run([sys.executable, "-c", CALL, how], capture_output=True, text=True, check=True)
        said, size = run.stdout.split()
        assert said == str(how == "told")
        freed[how] = int(size)
    assert freed["not told"] < 20 < 150 < freed["told"]
