"""Finds the settings in flags, environment, files and defaults, and says where each came from."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
from pydantic import BaseModel, ValidationError

from configs.errors import SettingsError as SettingsError
from configs.explain import PREFIX, explain
from configs.schema import Settings

Tree = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class _Found:
    value: Any
    origin: str


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
    merged: dict[str, _Found] = {}
    for source in (
        _from_file(user_file, _read_toml(user_file)),
        _from_file(preset, _read_yaml(preset)) if preset else {},
        _from_file(Path("pal.toml"), _read_toml(directory / "pal.toml")),
        _from_environment(".env", _dotenv(directory / ".env")),
        _from_environment("environment", environ),
        {key: _Found(value, "flag") for key, value in (flags or {}).items() if value is not None},
    ):
        merged |= source
    if environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        merged["models.offline"] = _Found(True, "environment (HF_HUB_OFFLINE)")
    origins = {key: found.origin for key, found in merged.items()}
    try:
        return Loaded(Settings.model_validate(_tree(merged)), origins)
    except ValidationError as error:
        lines = explain(error, Settings, "`pal config show` lists them", origins)
        raise SettingsError("\n".join(lines)) from error


def section(model: type[Model], path: Path | None) -> Model:
    """Settings that have a YAML file of their own; without one the defaults. Raises SettingsError."""
    try:
        return model.model_validate(_read_yaml(path) if path else {})
    except ValidationError as error:
        lines = explain(error, model, f"{model.__module__.replace('.', '/')}.py lists them")
        raise SettingsError("\n".join(f"{path}: {line}" for line in lines)) from error


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
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


def _read_yaml(path: Path) -> Tree:
    if not path.is_file():
        raise SettingsError(f"no such settings file: {path}")
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{path} must hold a mapping of settings")
    return tree


def _dotenv(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {key: value for key, value in dotenv_values(path).items() if value is not None}


def _from_environment(source: str, environ: Mapping[str, str]) -> dict[str, _Found]:
    """`PAL_SERVE__HOST` is `serve.host`; an empty value counts as not set."""
    return {
        name.removeprefix(PREFIX).lower().replace("__", "."): _Found(value, f"{source} ({name})")
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }


def _from_file(path: Path, tree: Tree) -> dict[str, _Found]:
    return {key: _Found(value, str(path)) for key, value in _leaves(tree, Settings)}


def _tree(found: Mapping[str, _Found]) -> Tree:
    root: Tree = {}
    for key in sorted(found, key=lambda key: key.count(".")):
        *parents, last = key.split(".")
        level = root
        for depth, parent in enumerate(parents, start=1):
            level = level.setdefault(parent, {})
            if not isinstance(level, dict):
                group = ".".join(parents[:depth])
                origin = found[group].origin if group in found else found[key].origin
                raise SettingsError(f"{group}: is a group of settings, not a value (from {origin})")
        level[last] = found[key].value
    return root


def _leaves(tree: Tree, model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        field = model.model_fields.get(name)
        section = field.annotation if field else None
        if isinstance(value, dict) and isinstance(section, type) and issubclass(section, BaseModel):
            yield from _leaves(value, section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
