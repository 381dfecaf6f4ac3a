"""Finds the settings in flags, environment, files and defaults, and says where each came from."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import platformdirs
import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError

from configs.schema import Settings

PREFIX = "PAL_"
Tree = dict[str, Any]


class SettingsError(ValueError):
    """A setting is unknown or has a wrong value; the message names it, its source and what would do."""


@dataclass(frozen=True)
class Loaded:
    """The settings and, for each dotted key that was set, the source that set it."""

    settings: Settings
    origins: Mapping[str, str]


def load(
    flags: Mapping[str, Any] | None = None,
    preset: Path | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Loaded:
    """Merge all sources, the strongest first: flags, environment, .env, pal.toml, preset, user file.

    `flags` maps dotted keys to values; None means "not given". Raises SettingsError.
    """
    environ = os.environ if environ is None else environ
    directory = directory or Path.cwd()
    user_file = Path(platformdirs.user_config_dir("palimpsest")) / "pal.toml"
    sources: list[tuple[str, Tree]] = [
        (str(user_file), _read_toml(user_file)),
        (str(preset), _read_yaml(preset) if preset else {}),
        ("pal.toml", _read_toml(directory / "pal.toml")),
        (".env", _from_environment(_dotenv(directory / ".env"))),
        ("environment", _from_environment(environ)),
        ("flag", _from_dotted({k: v for k, v in (flags or {}).items() if v is not None})),
    ]
    merged: Tree = {}
    origins: dict[str, str] = {}
    for name, tree in sources:
        for key, value in _leaves(tree, Settings):
            _put(merged, key, value)
            origins[key] = name
    if environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes"}:
        _put(merged, "models.offline", True)
        origins["models.offline"] = "environment (HF_HUB_OFFLINE)"
    try:
        return Loaded(Settings.model_validate(merged), origins)
    except ValidationError as error:
        raise SettingsError(_explain(error, origins)) from error


def dotted(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting as a dotted key and its value, in the schema's order."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _read_toml(path: Path) -> Tree:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def _read_yaml(path: Path) -> Tree:
    if not path.is_file():
        raise SettingsError(f"no such settings file: {path}")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{path} must hold a mapping of settings")
    return tree


def _dotenv(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    return {key: value for key, value in dotenv_values(path).items() if value is not None}


def _from_environment(environ: Mapping[str, str]) -> Tree:
    named = {
        k[len(PREFIX) :].lower().replace("__", "."): v for k, v in environ.items() if k.startswith(PREFIX)
    }
    return _from_dotted(named)


def _from_dotted(values: Mapping[str, Any]) -> Tree:
    tree: Tree = {}
    for key, value in values.items():
        _put(tree, key, value)
    return tree


def _put(tree: Tree, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = value


def _leaves(tree: Tree, model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        field = model.model_fields.get(name)
        section = field.annotation if field else None
        if isinstance(value, dict) and isinstance(section, type) and issubclass(section, BaseModel):
            yield from _leaves(value, section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    known = [key for key, _ in dotted(Settings())]
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        where = f" (from {origins[key]})" if key in origins else ""
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            near = get_close_matches(key, known, n=1)
            message = "no such setting" + (f"; did you mean {near[0]}?" if near else "")
        lines.append(f"{key}: {message}{where}" if key else message)
    return "\n".join(lines)
