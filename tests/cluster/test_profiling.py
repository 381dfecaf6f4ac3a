import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app

EXPERIMENT = """name: demo
objective: branin
base: {steps: 5, seconds: 0.3}
"""


@pytest.mark.skipif(sys.platform == "darwin", reason="py-spy needs root there")
def test_a_command_is_watched_with_the_processes_that_it_begins(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    file = tmp_path / "demo.yaml"
    file.write_text(EXPERIMENT)
    command = ["experiment", "run", str(file), "--local", "--out", str(tmp_path / "out")]
    run = CliRunner().invoke(app, ["profile", "--json", "--out", str(tmp_path), "--", *command])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout.splitlines()[-1])
    assert {"pal", "child of python"} <= {one["process"] for one in found["processes"]}
    assert found["tokens"] == 5
    assert found["peak_gib"] > 0
    assert found["seconds"] > found["cpu_seconds"] > 0
    assert ET.parse(found["flame"]).getroot().tag.endswith("svg")
    refused = CliRunner().invoke(app, ["profile", "--out", str(tmp_path), "--", *command])
    assert refused.exit_code == 1
    assert "go on with --resume" in refused.stderr
