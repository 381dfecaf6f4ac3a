"""The import contracts hold on the real tree, and each of them catches what it is there to catch."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS: dict[str, dict[str, Any]] = {contract["name"]: contract for contract in CONFIG["contracts"]}
PACKAGES: list[str] = CONFIG["root_packages"]

Violation = tuple[str, str]
"""An importing module, which is made for it or exists, and what it imports."""


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    unwrapped = {**os.environ, "COLUMNS": "1000"}
    return subprocess.run(command, cwd=directory, env=unwrapped, capture_output=True, text=True, check=False)


def violations(name: str) -> Iterator[Violation]:
    """Every import that the contract forbids, once for each pair of packages it speaks of."""
    contract, module = CONTRACTS[name], "planted_" + re.sub(r"\W+", "_", name).lower()
    match contract["type"]:
        case "layers":
            floors = [floor.split(" | ") for floor in contract["layers"]]
            for high, low in combinations(floors, 2):
                yield from ((f"{lower}.{module}", higher) for lower in low for higher in high)
            for floor in floors:
                yield from ((f"{one}.{module}", other) for one, other in permutations(floor, 2))
        case "forbidden":
            for source in contract["source_modules"]:
                is_package = (ROOT / source.replace(".", "/")).is_dir()
                importer = f"{source}.{module}" if is_package else source
                yield from ((importer, forbidden) for forbidden in contract["forbidden_modules"])
        case "protected":
            for protected in contract["protected_modules"]:
                yield from ((f"{package}.{module}", protected) for package in PACKAGES)


def reported(output: str) -> dict[str, str]:
    """The part of the report that speaks of each broken contract."""
    parts = re.split(r"^(.+)\n-{3,}\n", output, flags=re.MULTILINE)
    return {name: text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name in CONTRACTS}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports says of a copy of the tree in which every contract is broken in every way."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=only_python_files)
    for name in CONTRACTS:
        for importer, imported in violations(name):
            with (copy / f"{importer.replace('.', '/')}.py").open("a") as file:
                file.write(f"import {imported}\n")
    return lint(copy).stdout


def only_python_files(directory: str, names: list[str]) -> set[str]:
    """What copytree leaves out."""
    return {name for name in names if not (name.endswith(".py") or Path(directory, name).is_dir())}


def test_the_real_tree_keeps_every_contract() -> None:
    run = lint(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert all(f"{name} KEPT" in run.stdout for name in CONTRACTS)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_planted_violation_is_reported_under_its_own_contract(report: str, name: str) -> None:
    assert f"{name} BROKEN" in report
    planted = list(violations(name))
    assert planted
    told = reported(report)[name]
    assert [pair for pair in planted if f"{pair[0]} -> {pair[1]} (l." not in told] == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("from ray import serve", "ICN003"),
        ("from ray import tune", "ICN003"),
        ("import ray.serve", "ICN001"),
        ("import importlib\n\nimportlib.import_module('torch')", "TID251"),
        ("from importlib import import_module\n\nimport_module('torch')", "TID251"),
        ("import builtins\n\nbuiltins.__import__('torch')", "TID251"),
        ("import ray.serve.llm", "TID251"),
        ("import litellm", "TID251"),
    ],
)
def test_ruff_catches_the_imports_that_contracts_cannot_see(line: str, code: str) -> None:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--output-format=concise",
        "--stdin-filename=cluster/x.py",
    ]
    run = subprocess.run(
        [*command, "-"], input=line + "\n", cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert f" {code} " in run.stdout


def test_no_file_calls_the_bare_builtin_import_which_ruff_does_not_see() -> None:
    called = {
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "__import__"
    }
    assert not called
