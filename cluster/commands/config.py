"""`pal config`: what is set, to what, and by whom. Changes nothing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.context import JsonFlag, emit, settings_of, show_table

if TYPE_CHECKING:
    from pydantic import BaseModel

    from configs.load import Loaded

app = typer.Typer(no_args_is_help=True, help="Show the settings.")


@app.callback()
def config() -> None:
    """Show the settings."""


@app.command()
def show(
    ctx: typer.Context,
    prefix: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Only this setting or group, e.g. engine.")
    ] = "",
    origin: Annotated[bool, typer.Option("--origin", help="Also say where each value came from.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show every setting, its value, and what it is for."""
    rows = [row for row in _rows(settings_of(ctx)) if _within(row["key"], prefix)]
    if not rows:
        raise typer.BadParameter(f"no setting or group is called {prefix!r}", param_hint="NAME")
    if as_json:
        for row in rows:
            emit(row)
        return
    columns = ["key", "value", "origin", "description"] if origin else ["key", "value", "description"]
    titles = {"key": "Setting", "value": "Value", "origin": "From", "description": "What it is for"}
    show_table(
        [titles[column] for column in columns],
        ([_readable(row[column]) for column in columns] for row in rows),
    )


def _rows(loaded: "Loaded") -> Iterator[dict[str, Any]]:
    for key, value, description in _described(loaded.settings):
        yield {
            "key": key,
            "value": _masked(value) if key == "api_keys" else value,
            "origin": loaded.origins.get(key, "default"),
            "description": description,
        }


def _described(section: "BaseModel", prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    from pydantic import BaseModel

    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _described(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, field.description or ""


def _masked(keys: tuple[str, ...]) -> list[str]:
    """Whose keys they are, without the keys."""
    return [f"{key.partition(':')[0]}:***" if ":" in key else "***" for key in keys]


def _within(key: str, prefix: str) -> bool:
    return not prefix or key == prefix or key.startswith(prefix.rstrip(".") + ".")


def _readable(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
