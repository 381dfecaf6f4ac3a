"""What every command shares: settings, output, exit codes. Knows no command."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from actors.messages import NotReady, PalError
from configs.errors import SettingsError

if TYPE_CHECKING:
    from configs.load import Loaded

FAILED = 1
USAGE = 2
NOT_READY = 3
REFUSED = 4
"""Exit codes: it failed, it was called wrongly, something is not there yet, a gate said no."""

PANELS = SERVE, TALK, DOCUMENTS, MEMORY, MODELS, TRAIN, MEASURE, SETUP = (
    "Serve",
    "Talk",
    "Documents",
    "Memory",
    "Models",
    "Train",
    "Measure",
    "Set-up",
)
"""Headings of `pal --help`, in their order."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one object or JSON lines on stdout.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Server to talk to; default: the one that `pal up` started."),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--api-key", metavar="KEY", help="API key; default: the first of the setting api_keys."),
]


@dataclass(frozen=True)
class Invocation:
    """What the options before the command said."""

    config: Path | None = None
    values: Mapping[str, str] = field(default_factory=dict)


class Commands(TyperGroup):
    """A group of commands in which an expected error becomes one line on stderr and an exit code."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands under the panel each belongs to, with the whole of its first sentence."""
        panels: dict[str, list[tuple[str, str]]] = {panel: [] for panel in (*PANELS, "Commands")}
        for name, command in self.commands.items():
            panel = command.rich_help_panel if isinstance(command, TyperCommand | TyperGroup) else None
            sentence = (command.short_help or command.help or "").partition("\n")[0]
            panels[panel if panel in panels else "Commands"].append((name, sentence))
        width = max(map(len, self.commands), default=0)
        for panel, rows in panels.items():
            if rows:
                with formatter.section(panel):
                    formatter.write_dl([(name.ljust(width), sentence) for name, sentence in rows])

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises typer.Exit."""
        try:
            return super().invoke(ctx)
        except PalError as error:
            fail(error.message, NOT_READY if isinstance(error, NotReady) else FAILED)
        except SettingsError as error:
            fail(str(error), USAGE)


def settings_of(ctx: typer.Context, flags: Mapping[str, Any] | None = None) -> "Loaded":
    """The settings of this call. `flags` are the command's own, by dotted key; None means not given.

    Raises SettingsError.
    """
    from configs.load import load

    invocation = ctx.obj if isinstance(ctx.obj, Invocation) else Invocation()
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    return load(flags={**invocation.values, **given}, preset=invocation.config)


def as_environment(ctx: typer.Context) -> dict[str, str]:
    """The settings of this call that are no defaults, as a process that it starts finds them."""
    loaded = settings_of(ctx)
    named = {}
    for key in loaded.origins:
        value: Any = loaded.settings.model_dump(mode="json")
        for part in key.split("."):
            value = value[part]
        named["PAL_" + key.upper().replace(".", "__")] = (
            ",".join(value) if isinstance(value, list) else str(value)
        )
    return named


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Print `error: …` on stderr and leave with `code`."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


def note(message: str) -> None:
    """Say something that is not the result: on stderr, so that stdout stays clean."""
    typer.echo(message, err=True)


def emit(value: Any) -> None:
    """Print one JSON value on a line of stdout; records and paths are converted."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))
    sys.stdout.flush()


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for people, on stdout; columns are never cut when stdout is not a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 1000
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
