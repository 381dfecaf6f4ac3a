"""What serves, in one small file that is read at the start of each request. Knows no journal, no engine."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from actors.training.versions import Standing, Version

FILE = "standing.json"
REVISION_BYTES = 20
"""The file begins with its revision, so wide."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A version's id and its directory."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Standing, as far as a request needs it."""

    revision: int = 0
    common: Placed | None = None
    personal: Mapping[str, Placed] = field(default_factory=dict)
    """By user."""
    shadow: Placed | None = None
    share: float = 0.0

    def holds(self, id: str) -> bool:
        """Whether a version serves, or is tried beside."""
        return id in {one.id for one in (self.common, self.shadow, *self.personal.values()) if one}


def publish(root: Path, standing: Standing) -> None:
    """Replace the notice of the directory `root` in one step: who reads it sees the old one or the new."""
    tree = {
        "common": _written(standing.common),
        "personal": {user: _written(one) for user, one in standing.personal.items()},
        "shadow": _written(standing.shadow),
        "share": standing.share,
    }
    draft = root / f".{FILE}.{os.getpid()}"
    draft.write_text(f"{standing.revision:<{REVISION_BYTES}}" + json.dumps(tree), encoding="utf-8")
    draft.replace(root / FILE)


class Board:
    """Where the notice of a directory is read; parsed again only when it has changed."""

    def __init__(self, root: Path) -> None:
        self._path = root / FILE
        self._head = b""
        self._notice = Notice()

    def look(self) -> Notice:
        """The notice as it is now; nothing serves where there is none. Takes some microseconds."""
        try:
            with self._path.open("rb", buffering=0) as file:
                head = file.read(REVISION_BYTES)
                if head != self._head:
                    self._notice = _parsed(int(head), file.readall().decode())
                    self._head = head
        except FileNotFoundError:
            self._head, self._notice = b"", Notice()
        return self._notice


def _written(version: Version | None) -> dict[str, str] | None:
    return {"id": version.id, "path": version.path} if version else None


def _parsed(revision: int, text: str) -> Notice:
    tree = json.loads(text)
    return Notice(
        revision=revision,
        common=_placed(tree["common"]),
        personal={user: Placed(one["id"], Path(one["path"])) for user, one in tree["personal"].items()},
        shadow=_placed(tree["shadow"]),
        share=tree["share"],
    )


def _placed(one: dict[str, str] | None) -> Placed | None:
    return Placed(one["id"], Path(one["path"])) if one else None
