import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from cluster.__main__ import app
from cluster.context import PANELS

pal = CliRunner()
HEAVY = (
    "torch",
    "ray",
    "transformers",
    "chromadb",
    "vllm",
    "fastapi",
    "httpx",
    "numpy",
    "rich",
    "configs.schema",
)
PROBE = f"""
import json, sys, time
begun = time.perf_counter()
from cluster.__main__ import app
imported = time.perf_counter() - begun
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.stdout.flush()
    try:
        app([*arguments, "--help"])
    except SystemExit as left:
        codes.append(left.code)
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps({{"imported_s": imported, "loaded": loaded, "codes": codes}}), file=sys.stderr)
"""


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


def test_no_help_imports_anything_heavy() -> None:
    paths = list(commands(typer.main.get_command(app)))
    run = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(paths)], capture_output=True, text=True, check=True
    )
    told = json.loads(run.stderr)
    print(f"importing cluster.__main__ took {told['imported_s']:.2f} s")
    assert told["loaded"] == []
    assert told["codes"] == [0] * len(paths)


def test_help_groups_the_commands_in_panels() -> None:
    shown = pal.invoke(app, ["--help"]).stdout
    places = [shown.index(f"\n{panel}:\n") for panel in PANELS]
    assert places == sorted(places)
    assert shown.count("...") == 1


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_says_what_it_does_in_a_sentence(path: tuple[str, ...]) -> None:
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]
    sentence = (command.help or "").split("\n")[0]
    assert sentence[:1].isupper()
    assert sentence.endswith(".")


def test_settings_before_the_command_reach_it(tmp_path) -> None:
    preset = tmp_path / "p.yaml"
    preset.write_text("engine: {kind: torch, threads: 2}")
    arguments = ["--config", str(preset), "--set", "engine.threads=3", "config", "show", "engine", "--json"]
    rows = map(json.loads, pal.invoke(app, arguments).stdout.splitlines())
    assert {row["key"]: (row["value"], row["origin"]) for row in rows if row["origin"] != "default"} == {
        "engine.kind": ("torch", str(preset)),
        "engine.threads": (3, "flag"),
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--set", "engine.kin=torch", "config", "show"], 2, "did you mean engine.kind?"),
        (["--set", "engine.kind", "config", "show"], 2, "KEY=VALUE"),
        (["--config", "no.yaml", "config", "show"], 2, "no such settings file"),
        (["frobnicate"], 2, "frobnicate"),
        (["ask"], 2, "question"),
    ],
)
def test_a_wrong_call_is_exit_2(arguments: list[str], code: int, message: str) -> None:
    result = pal.invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
