"""When the first of each user's memories expires, so that no call need look. Deletes nothing."""

import math
import sqlite3

from actors.memory.users import user_number
from actors.memory.workers import Workers

USERS = 10_000
"""Users of whom it is known without looking."""


class Expiries:
    """For the one event loop of a keeper; a write of what expires tells it."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    async def due(self, workers: Workers, user: str, now: float) -> bool:
        """Whether a memory of the user has expired and is still there. Raises InvalidRequest."""
        moment = self._next.get(user)
        if moment is None:
            if len(self._next) >= USERS:
                self._next.clear()
            moment = self._next[user] = await workers.read(first_expiry, user)
        return moment <= now

    def unknown(self, user: str) -> None:
        """Something that expires was written or deleted."""
        self._next.pop(user, None)


def first_expiry(connection: sqlite3.Connection, user: str) -> float:
    """When the first of a user's memories expires; infinity where none does."""
    row = connection.execute(
        "SELECT min(expires_at) FROM memories WHERE user = ? AND expires_at IS NOT NULL",
        (user_number(connection, user),),
    ).fetchone()
    return math.inf if row[0] is None else float(row[0])
