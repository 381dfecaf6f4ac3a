"""Which models there are and where their files come from. Knows not whether they are on disk."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from actors.messages import InvalidRequest, NotFound
from configs.schema import ModelSettings, Settings

SHIPPED = Path(__file__).parents[2] / "configs" / "models.yaml"
ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Entry(BaseModel):
    """A part of the registry file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Wheel(Entry):
    """Files inside one wheel of the Python package registry."""

    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[A-Za-z0-9.!+_]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the whole wheel."""
    files: Mapping[str, str] = Field(min_length=1)
    """Path in the wheel to file name in the model directory."""

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        for name in files.values():
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
                raise ValueError(f"{name!r} is not a plain file name")
        return files


class Source(Entry):
    """Where a model's files come from: exactly one of packages, hub, path and builtin."""

    packages: tuple[Wheel, ...] = ()
    convert: Literal["gguf"] | None = None
    """What to do with the files of the packages once."""
    hub: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    revision: str = "main"
    path: Path | None = None
    builtin: Literal["hash"] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        given = [name for name in ("packages", "hub", "path", "builtin") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of packages, hub, path, builtin; has {given or 'none'}")
        if self.convert and not self.packages:
            raise ValueError("convert goes with packages")
        return self

    def __str__(self) -> str:
        if self.packages:
            return "package:" + ",".join(f"{wheel.package}=={wheel.version}" for wheel in self.packages)
        if self.hub:
            return f"hub:{self.hub}@{self.revision}"
        return f"path:{self.path}" if self.path else f"builtin:{self.builtin}"


class ModelEntry(Entry):
    """One model of the registry."""

    alias: str
    kind: Literal["causal_lm", "embedder"]
    source: Source
    licence: str
    bytes: int = Field(ge=0)
    """Size of the download."""
    context: int = Field(ge=1)
    """Longest input and output together, in tokens."""
    parameters: int = Field(ge=0)
    quantize: Literal["none", "int8", "int4"] = "none"
    """Bits that the torch engine keeps the layers' weights in, where `engine.quantize` is unset."""
    about: str
    """One sentence."""

    @field_validator("alias")
    @classmethod
    def _plain_alias(cls, alias: str) -> str:
        if not ALIAS.fullmatch(alias):
            raise ValueError("an alias is of lower-case letters, digits, dots, dashes and underscores")
        return alias


class Registry:
    """The entries by alias, in the files' order."""

    def __init__(self, entries: Sequence[ModelEntry]) -> None:
        self.entries = {entry.alias: entry for entry in entries}

    def get(self, alias: str) -> ModelEntry:
        """The entry of an alias. Raises NotFound, with the nearest alias."""
        if alias in self.entries:
            return self.entries[alias]
        by_hub = [entry.alias for entry in self.entries.values() if entry.source.hub == alias]
        near = by_hub or get_close_matches(alias.lower(), self.entries, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "see: pal models list"
        raise NotFound(f"no model {alias!r}: {hint}", param="model", code="model_not_found")


def load_registry(settings: ModelSettings) -> Registry:
    """The shipped registry with the user's own file over it. Raises InvalidRequest, naming file and line."""
    entries = dict(shipped_entries())
    if settings.registry is not None:
        entries |= read_registry(settings.registry.expanduser())
    return Registry(tuple(entries.values()))


def quantize_of(settings: Settings) -> Literal["none", "int8", "int4"]:
    """What `engine.quantize` says; unset, the registry's entry of `engine.model`; none for a directory."""
    if settings.engine.quantize is not None:
        return settings.engine.quantize
    entry = load_registry(settings.models).entries.get(settings.engine.model)
    return entry.quantize if entry else "none"


@cache
def shipped_entries() -> Mapping[str, ModelEntry]:
    """The entries of configs/models.yaml."""
    return read_registry(SHIPPED)


def read_registry(path: Path) -> dict[str, ModelEntry]:
    """Entries of one file by alias; a relative `path` counts from the file. Raises InvalidRequest."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(
            f"models.registry: cannot read {path}: {error.strerror}", param="models.registry"
        ) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InvalidRequest(f"{path} is not valid YAML: {error}", param="models.registry") from error
    if not isinstance(tree, dict):
        raise InvalidRequest(f"{path}: must map aliases to models", param="models.registry")
    return {str(alias): _entry(path, root, alias, fields) for alias, fields in tree.items()}


def _entry(path: Path, root: yaml.Node | None, alias: Any, fields: Any) -> ModelEntry:
    if not isinstance(fields, dict):
        raise InvalidRequest(f"{path}:{_line(root, (alias,))}: {alias}: must be a mapping of fields")
    try:
        entry = ModelEntry.model_validate({**fields, "alias": str(alias)})
    except ValidationError as error:
        problems = "\n".join(_problem(path, root, (alias, *e["loc"]), e["msg"]) for e in error.errors())
        raise InvalidRequest(problems, param="models.registry") from error
    if entry.source.path is None:
        return entry
    absolute = (path.parent / entry.source.path.expanduser()).absolute()
    return entry.model_copy(update={"source": entry.source.model_copy(update={"path": absolute})})


def _problem(path: Path, root: yaml.Node | None, location: Sequence[Any], message: str) -> str:
    where = ".".join(str(part) for part in location)
    return f"{path}:{_line(root, location)}: {where}: {message.removeprefix('Value error, ')}"


def _line(node: yaml.Node | None, location: Sequence[Any]) -> int:
    """The line, from 1, of the deepest node of `location` that the file has."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if str(part) not in pairs:
                break
            key, node = pairs[str(part)]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
