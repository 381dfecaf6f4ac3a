"""Rules of the house that no linter states: where packages load from, how long files are, who has a main."""

import subprocess
from pathlib import Path

import actors
import cluster
import configs
import serve
import tune

ROOT = Path(__file__).parents[1]


def _python_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def test_the_five_packages_load_from_this_checkout() -> None:
    for package in (cluster, actors, serve, tune, configs):
        assert Path(package.__path__[0]).parent == ROOT


def test_no_file_is_longer_than_500_lines() -> None:
    too_long = {path.name: n for path in _python_files() if (n := len(path.read_text().splitlines())) > 500}
    assert not too_long


def test_only_entry_points_have_a_main_block() -> None:
    marker = '__name__ == "__main__"'
    allowed = {ROOT / "cluster" / "__main__.py", Path(__file__)}
    found = {path for path in _python_files() if marker in path.read_text()} - allowed
    assert {path.parent.name for path in found} <= {"benchmarks"}


def test_tests_are_no_package_and_mirror_the_floors() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    floors = {"actors", "benchmarks", "cluster", "configs", "serve", "tune", "data"}
    assert {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__"} <= floors
