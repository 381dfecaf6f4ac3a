"""Reads YAML with the line on which each key and value stands. Knows no schema."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configs.errors import SettingsError

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Lined:
    """A mapping that was read from a file, and the line of each place in it."""

    path: Path
    tree: dict[str, Any]
    lines: Mapping[Place, int]

    def at(self, place: Sequence[str | int]) -> tuple[str, int]:
        """What of a place there is in the file, dotted, and its line; parts that are not there are skipped.

        `place` may name what a schema adds between, as pydantic's locations do.
        """
        found: Place = ()
        for part in place:
            if (*found, part) in self.lines:
                found = (*found, part)
        return ".".join(map(str, found)), self.lines[found]

    def fault(self, place: Sequence[str | int], message: str) -> SettingsError:
        """An error with the file and the line of a place, to be raised."""
        return SettingsError(f"{self.path}:{self.at(place)[1]}: {message}")


def read(path: Path) -> Lined:
    """The mapping in a YAML file. Raises SettingsError, with the line where there is one."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no UTF-8 text: byte {error.start} is none") from error
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        tree = {} if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(tree, dict):
        raise SettingsError(f"{path}:1: must hold a mapping")
    lines: dict[Place, int] = {(): 1}
    for place, line in _places(node, ()) if node else ():
        if place in lines:
            name = ".".join(map(str, place))
            raise SettingsError(f"{path}:{line}: {name} stands on line {lines[place]} already")
        lines[place] = line
    return Lined(path, tree, lines)


def _places(node: Any, place: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner: Place = (*place, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _places(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*place, number), value.start_mark.line + 1
            yield from _places(value, (*place, number))
