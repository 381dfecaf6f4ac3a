"""Keep-scores as rows beside passages: put, filled in later, found missing. Knows no policy and no score."""

import sqlite3
from collections.abc import Sequence

from actors.memory.users import user_number
from actors.messages import KeepScores


def put(connection: sqlite3.Connection, chunk_ids: Sequence[int], keep: Sequence[KeepScores]) -> None:
    """Store the keep-scores of passages that are there. Raises ValueError unless there is one for each."""
    connection.executemany(
        "INSERT OR REPLACE INTO keep_scores VALUES (?, ?, ?)",
        ((chunk, one.policy, one.scores) for chunk, one in zip(chunk_ids, keep, strict=True)),
    )


def fill(
    connection: sqlite3.Connection, user: str, chunk_ids: Sequence[int], keep: Sequence[KeepScores]
) -> None:
    """See Keeper.put_scores. Runs inside a write transaction."""
    number = user_number(connection, user)
    connection.executemany(
        "INSERT OR REPLACE INTO keep_scores SELECT id, ?, ? FROM chunks WHERE id = ? AND user = ?",
        ((one.policy, one.scores, chunk, number) for chunk, one in zip(chunk_ids, keep, strict=True)),
    )


def unscored(connection: sqlite3.Connection, policy: str, limit: int) -> list[tuple[str, int, str]]:
    """See Keeper.unscored."""
    rows = connection.execute(
        "SELECT u.name, c.id, c.text FROM chunks c JOIN users u ON u.id = c.user WHERE c.id IN ("
        "SELECT c.id FROM chunks c LEFT JOIN keep_scores k ON k.chunk = c.id WHERE k.policy IS NOT ? LIMIT ?"
        ")",
        (policy, limit),
    )
    return [(row["name"], row["id"], row["text"]) for row in rows]
