"""Ids of what is gone or may no longer be learned, until whoever keeps trained models was told.

Rows are written in the transaction that deletes, so that no crash comes between.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence


def known_as(connection: sqlite3.Connection, user: int, ids: Iterable[str]) -> list[str]:
    """What ids are called in the provenance of training data: others after each withdrawal of consent.

    What was withdrawn is never learned under its name again, and may be learned anew once there is consent.
    """
    row = connection.execute("SELECT withdrawals FROM consents WHERE user = ?", (user,)).fetchone()
    after = f"~{row['withdrawals']}" if row is not None and row["withdrawals"] else ""
    return [f"{one}{after}" for one in dict.fromkeys(ids) if one]


def put(connection: sqlite3.Connection, owner: str, user: int, ids: Iterable[str]) -> None:
    """These are to be told of, under both names."""
    held = [one for one in dict.fromkeys(ids) if one]
    connection.executemany(
        "INSERT INTO unlearning (owner, id) VALUES (?, ?) "
        "ON CONFLICT (owner, id) DO UPDATE SET told_at = NULL WHERE told_at IS NOT NULL",
        ((owner, one) for one in dict.fromkeys([*held, *known_as(connection, user, held)])),
    )


def untold(connection: sqlite3.Connection, limit: int) -> list[str]:
    """See Keeper.untold."""
    rows = connection.execute(
        "SELECT id FROM unlearning WHERE told_at IS NULL ORDER BY number LIMIT ?", (limit,)
    )
    return list(dict.fromkeys(row["id"] for row in rows))


def told(connection: sqlite3.Connection, ids: Sequence[str], now: float) -> None:
    """See Keeper.told."""
    connection.execute(
        "UPDATE unlearning SET told_at = ? WHERE told_at IS NULL AND id IN (SELECT value FROM json_each(?))",
        (now, json.dumps(list(ids))),
    )
