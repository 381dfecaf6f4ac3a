"""The rounds of the loop below one directory, whole after any death of their writer. Knows no training.

A round's directory holds `round.json` and what its phases leave: `lessons.json`, `candidate/`, `card.json`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from actors.messages import NotFound, NotReady
from actors.training.shelf import Drawer

RECORD = "round.json"
Phase = Literal["gathered", "trained", "admitted", "ended"]
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
    events: tuple[str, ...] = ()
    """Ids of all that it learns from."""
    fresh: int = 0
    """How many facts and exchanges no version had learned."""
    facts: int = 0
    examples: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    """How much was left out, by reason."""
    version: str | None = None
    """The adapter that it made."""
    accepted: bool | None = None
    reasons: tuple[str, ...] = ()
    """Why the gate refused it, or why it ended without an adapter."""
    figures: Mapping[str, float] = field(default_factory=dict)
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
        """Those that were begun and not ended."""
        return [round for round in self.rounds() if round.phase != "ended"]

    def read(self, id: str) -> Round:
        """A round. Raises NotFound, and NotReady for a damaged record."""
        path = self.folder(id) / RECORD
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            lists = {name: tuple(tree.pop(name)) for name in ("events", "reasons")}
            return Round(**tree, **lists)
        except FileNotFoundError as error:
            raise NotFound(f"there is no round {id[:100]!r}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise NotReady(f"{path} is damaged ({error!r}): delete its directory") from error

    def write(self, round: Round) -> Round:
        """Replace a round's record; on disk when this returns."""
        self.put(round.id, RECORD, json.dumps(asdict(round), indent=1).encode())
        return round
