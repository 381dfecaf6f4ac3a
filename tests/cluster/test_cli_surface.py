"""Commands, flags and settings are promises: a change to any of them must be meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cluster.__main__ import app
from configs.load import dotted
from configs.schema import Settings

SURFACE = Path(__file__).with_name("cli_surface.txt")


def commands(command: Any, path: str = "pal") -> Iterator[str]:
    """A line for each command: its path, arguments and options."""
    words = [
        "|".join(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
        if parameter.param_type_name == "option"
        else parameter.name.upper()
        for parameter in command.params
    ]
    children = getattr(command, "commands", {})
    if words or not children:
        yield " ".join([path, *words])
    for name in sorted(children):
        yield from commands(children[name], f"{path} {name}")


def test_commands_flags_and_settings_are_those_that_were_agreed(tmp_path: Path) -> None:
    keys = [key for key, _ in dotted(Settings())]
    surface = [*commands(typer.main.get_command(app)), "", *keys]
    now = tmp_path / "cli_surface.txt"
    now.write_text("\n".join(surface) + "\n")
    agreed = SURFACE.read_text().splitlines()
    assert surface == agreed, f"if the change is meant: cp {now} {SURFACE}"
