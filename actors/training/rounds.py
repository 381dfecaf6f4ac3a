"""The rounds of the loop below one directory, whole after any death of their writer. Knows no training.

A round's directory holds `round.json`, and until it ends what its process is given, `order.json` and
`records.jsonl`, and what it gives: `candidate/`, `card.json`, `verdict.json`, and last `lessons.json`.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from actors.messages import Json, NotFound, NotReady
from actors.training.shelf import Drawer

RECORD = "round.json"
ORDER = "order.json"
RECORDS = "records.jsonl"
LESSONS = "lessons.json"
CANDIDATE = "candidate"
CARD = "card.json"
VERDICT = "verdict.json"
LOG = "log.txt"
SCHEDULE = "hours.json"
Phase = Literal["gathered", "studied", "admitted", "ended"]
"""What was done last; a round that is taken up again goes on after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn of the loop for one scope, as it stands."""

    id: str
    scope: str
    """The user who is learned for; empty for the adapter of all."""
    created_at: float
    phase: Phase = "gathered"
    parent: str | None = None
    """The version that served as it began."""
    process: str | None = None
    """How its launcher knows the process that studies; None while there is none."""
    launches: int = 0
    events: tuple[str, ...] = ()
    """Ids of all that it was given to learn from, then of all that it did learn from."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Of facts, exchanges and passages, and of the fresh ones among them."""
    quarantined: Mapping[str, int] = field(default_factory=dict)
    """How much was left out, by reason."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Of the training."""
    version: str | None = None
    """The adapter that it made."""
    accepted: bool | None = None
    reasons: tuple[str, ...] = ()
    """Why the gate refused it, or why it ended without an adapter."""
    ended_at: float | None = None


class Book(Drawer):
    """Rounds by id."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "loop")

    def rounds(self) -> list[Round]:
        """All of them, oldest first."""
        found = [self.read(path.parent.name) for path in self._root.glob(f"*/{RECORD}")]
        return sorted(found, key=lambda round: (round.created_at, round.id))

    def unfinished(self) -> list[Round]:
        """Those that were begun and not ended, oldest first."""
        return [round for round in self.rounds() if round.phase != "ended"]

    def load(self, id: str, name: str) -> Json:
        """The JSON value in a file of a round; None where there is none."""
        try:
            return json.loads((self.folder(id) / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def read(self, id: str) -> Round:
        """A round. Raises NotFound, and NotReady for a damaged record."""
        path = self.folder(id) / RECORD
        try:
            tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            lists: dict[str, Any] = {name: tuple(tree.pop(name)) for name in ("events", "reasons")}
            return Round(**tree, **lists)
        except FileNotFoundError as error:
            raise NotFound(f"there is no round {id[:100]!r}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise NotReady(f"{path} is damaged ({error!r}): delete its directory") from error

    def write(self, round: Round) -> Round:
        """Replace a round's record; on disk when this returns."""
        self.put(round.id, RECORD, json.dumps(asdict(round), indent=1).encode())
        return round

    def hours(self) -> float | None:
        """Hours between rounds as they were set last; None: never."""
        hours: float | None = self.load("", SCHEDULE)
        return hours

    def keep_hours(self, hours: float) -> None:
        """Set them."""
        self.put("", SCHEDULE, json.dumps(hours).encode())

    def tidy(self, id: str) -> None:
        """Remove all but the record: what people said is kept nowhere else than in the memory."""
        for path in self.folder(id).iterdir():
            if path.name != RECORD:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
