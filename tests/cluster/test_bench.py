import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.__main__ import app
from cluster.commands import bench

PROBE = (
    "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('PAL_ENGINE__KIND'), os.getcwd()]))"
)


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """A directory with a package `benchmarks` whose `serving` tells how it was called."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").touch()
    (tmp_path / "benchmarks" / "serving.py").write_text(PROBE)
    return tmp_path


def test_a_measurement_gets_its_arguments_the_settings_and_the_working_directory(probe: Path) -> None:
    call = (
        "import pathlib, sys; from cluster.commands import bench; from cluster.__main__ import app; "
        f"bench.ROOT = pathlib.Path({str(probe)!r}); app(sys.argv[1:])"
    )
    arguments = ["--set", "engine.kind=torch", "bench", "serve", "--streams", "8", "x.json"]
    work = probe / "work"
    work.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", call, *arguments], cwd=work, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == f'[["--streams", "8", "x.json"], "torch", "{work}"]'


def test_help_tells_how_to_see_the_measurements_own() -> None:
    shown = CliRunner().invoke(app, ["bench", "serve", "--help"])
    assert shown.exit_code == 0
    assert "-- --help" in shown.stdout


def test_every_measurement_is_a_module() -> None:
    missing = [
        name
        for name in bench.MEASUREMENTS
        if not (bench.ROOT / f"{bench.module_of(name).replace('.', '/')}.py").is_file()
    ]
    assert not missing
