"""The rows of users, one for each name. Knows nothing of what is stored of them."""

import sqlite3

from actors.messages import InvalidRequest


def user_number(connection: sqlite3.Connection, user: str, *, create: bool = False) -> int:
    """The user's row; 0, which no row has, for one not seen before. Raises InvalidRequest without a user."""
    if not user or "\0" in user:
        raise InvalidRequest("a user is needed: nothing is ever stored without one", param="user")
    if create:
        connection.execute("INSERT OR IGNORE INTO users (name) VALUES (?)", (user,))
    row = connection.execute("SELECT id FROM users WHERE name = ?", (user,)).fetchone()
    return 0 if row is None else int(row["id"])
