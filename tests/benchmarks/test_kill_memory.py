import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_few_kills_lose_and_double_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks.kill_memory", "--kills", "6", "--many", "50", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figures = json.loads(done.stdout)
    assert figures["kills"] == 6
    assert figures["remembered"] > 6
    assert figures["cache_rounds"] == 1
    assert figures["passed"] is True, figures
