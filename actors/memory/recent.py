"""The last turns of the sessions that were asked for last, held in memory. Knows no table.

The short-term level: what is missing here is read from the table, so that nothing is lost with it.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from actors.memory.records import Memory

TURNS = 100
"""Turns held of one session."""
CHARACTERS = 16_000_000
"""Characters held in all."""


@dataclass(slots=True)
class _Session:
    turns: deque[Memory]
    whole: bool
    """The session has no turn before these."""

    @property
    def characters(self) -> int:
        return sum(len(turn.text) for turn in self.turns)


class Filling:
    """A session being read from the table; a write meanwhile makes what was read worthless."""

    def __init__(self, user: str, session: str) -> None:
        self.key = (user, session)
        self.stale = False


class RecentTurns:
    """For the one event loop of a keeper; every write tells it."""

    def __init__(self, characters: int = CHARACTERS) -> None:
        self._budget = characters
        self._held = 0
        self._sessions: OrderedDict[tuple[str, str], _Session] = OrderedDict()
        self._fillings: set[Filling] = set()

    def last(self, user: str, session: str, most: int) -> list[Memory] | None:
        """The last turns, oldest first; None where they are not all here."""
        held = self._sessions.get((user, session))
        if held is None or (most > len(held.turns) and not held.whole):
            return None
        self._sessions.move_to_end((user, session))
        return list(held.turns)[max(0, len(held.turns) - most) :]

    def has(self, user: str, session: str) -> bool:
        """Whether turns of the session are held, to which new ones are to be added."""
        return (user, session) in self._sessions

    def begin(self, user: str, session: str) -> Filling:
        """Call before reading the last TURNS turns from the table, and `end` after."""
        filling = Filling(user, session)
        self._fillings.add(filling)
        return filling

    def end(self, filling: Filling, turns: Sequence[Memory] | None) -> None:
        """Hold what was read, unless a write came between; None: reading failed."""
        self._fillings.discard(filling)
        if turns is not None and not filling.stale:
            self._put(filling.key, _Session(deque(turns, maxlen=TURNS), whole=len(turns) < TURNS))

    def add(self, user: str, session: str, turns: Sequence[Memory]) -> None:
        """Turns were stored at the session's end."""
        self._outdate(user)
        held = self._sessions.get((user, session))
        if held is None or not turns:
            return
        if held.turns and held.turns[-1].ordinal >= turns[0].ordinal:
            self._forget((user, session))
            return
        before = held.characters
        whole = held.whole and len(held.turns) + len(turns) <= TURNS
        held.turns.extend(turns)
        held.whole = whole
        self._held += held.characters - before
        self._shrink()

    def miss(self, user: str, session: str) -> None:
        """Turns were stored at the session's end, and are not at hand."""
        self._outdate(user)
        if (user, session) in self._sessions:
            self._forget((user, session))

    def drop(self, user: str) -> None:
        """Something else of the user changed: nothing is held until it is read again."""
        self._outdate(user)
        for key in [key for key in self._sessions if key[0] == user]:
            self._forget(key)

    def holds(self, user: str, memory_ids: Sequence[str]) -> bool:
        """Whether any of these memories of the user is held, or may be about to be."""
        wanted = frozenset(memory_ids)
        return any(filling.key[0] == user for filling in self._fillings) or any(
            turn.id in wanted for key, held in self._sessions.items() if key[0] == user for turn in held.turns
        )

    def _put(self, key: tuple[str, str], session: _Session) -> None:
        if key in self._sessions:
            self._forget(key)
        self._sessions[key] = session
        self._held += session.characters
        self._shrink()

    def _forget(self, key: tuple[str, str]) -> None:
        self._held -= self._sessions.pop(key).characters

    def _shrink(self) -> None:
        while self._held > self._budget and self._sessions:
            self._forget(next(iter(self._sessions)))

    def _outdate(self, user: str) -> None:
        for filling in self._fillings:
            if filling.key[0] == user:
                filling.stale = True
