"""Says what is wrong with settings, and what was probably meant. Knows no source of settings."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

PREFIX = "PAL_"


def explain(
    error: ValidationError,
    model: type[BaseModel],
    listed: str,
    origins: Mapping[str, str] | None = None,
) -> list[str]:
    """A line for each thing that is wrong with what was to become a `model`.

    `listed` says where all settings can be seen, `origins` where those that were set came from.
    """
    lines = []
    for place, message in faults(error, model, listed, origins):
        key = ".".join(map(str, place))
        lines.append(f"{key}: {message}" if key else message)
    return lines


def faults(
    error: ValidationError,
    model: type[BaseModel],
    listed: str,
    origins: Mapping[str, str] | None = None,
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """The place of each thing that is wrong, and what is wrong there."""
    for item in error.errors():
        origin = _origin_of([str(part) for part in item["loc"]], origins or {})
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            named = ".".join(str(part) for part in item["loc"] if not isinstance(part, int))
            message = "no such setting" + _near(named, origin, list(keys(model)), listed)
        if item["type"] == "literal_error":
            allowed = [part.strip("' ") for part in re.split(", | or ", item["ctx"]["expected"])]
            near = get_close_matches(str(item["input"]), allowed, n=1)
            message += f"; did you mean {near[0]}?" if near else ""
        yield item["loc"], f"{message} (from {origin})" if origin else message


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted key of every setting, in the schema's order; of lists of groups that of one of them."""
    for name, field in model.model_fields.items():
        groups = list(_groups(field.annotation))
        for group in groups:
            yield from keys(group, f"{prefix}{name}.")
        if not groups:
            yield f"{prefix}{name}"


def _groups(annotation: Any) -> Iterator[type[BaseModel]]:
    """The groups of settings in a type: itself, or what a union or list of them holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _groups(part)


def _origin_of(parts: list[str], origins: Mapping[str, str]) -> str:
    """Where the value at this place was set, as a whole or by a part of it; empty for a default."""
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        for name, origin in origins.items():
            if name == key or name.startswith(f"{key}."):
                return origin
    return ""


def _near(key: str, origin: str, known: list[str], listed: str) -> str:
    near = get_close_matches(key, known, n=1) or [name for name in known if name.endswith(f".{key}")]
    if not near:
        return f"; {listed}"
    named = PREFIX + near[0].upper().replace(".", "__") if f"({PREFIX}" in origin else near[0]
    return f"; did you mean {named}?"
