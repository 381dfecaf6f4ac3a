"""Whether a user's memories and documents may be trained on, as rows. Knows no text."""

import sqlite3

from actors.memory import events, unlearning
from actors.memory.files import content_id
from actors.memory.partitions import owner_of
from actors.memory.records import Consent
from actors.memory.users import user_number
from actors.messages import InvalidRequest

CONSENT = "consent"


def get(connection: sqlite3.Connection, user: str) -> Consent:
    """See Keeper.consent."""
    row = connection.execute(
        "SELECT training, shared, changed_at FROM consents WHERE user = ?", (user_number(connection, user),)
    ).fetchone()
    if row is None:
        return Consent()
    return Consent(training=bool(row["training"]), shared=bool(row["shared"]), changed_at=row["changed_at"])


def put(
    connection: sqlite3.Connection, user: str, event_id: str, training: bool, shared: bool, now: float
) -> Consent:
    """See Keeper.set_consent. Runs inside a write transaction."""
    if shared and not training:
        raise InvalidRequest("what may not be trained on cannot be shared", param="shared")
    number, owner, before = user_number(connection, user, create=True), owner_of(user), get(connection, user)
    if events.seen(connection, owner, event_id, CONSENT) is not None:
        return before
    withdrawn = (before.training is not False and not training) or (before.shared and not shared)
    if withdrawn:
        unlearning.put(connection, owner, number, sorted(_of_user(connection, number)))
    connection.execute(
        "INSERT INTO consents VALUES (:user, :training, :shared, :withdrawn, :now) ON CONFLICT DO UPDATE "
        "SET training = :training, shared = :shared, withdrawals = withdrawals + :withdrawn, "
        "changed_at = :now",
        {"user": number, "training": training, "shared": shared, "withdrawn": withdrawn, "now": now},
    )
    events.record(connection, owner, event_id, CONSENT, True)
    return get(connection, user)


def drop(connection: sqlite3.Connection, user: str) -> None:
    """Forget what the user said; documents that are left may no longer be learned from."""
    number = user_number(connection, user)
    unlearning.put(connection, owner_of(user), number, sorted(_of_user(connection, number)))
    connection.execute("DELETE FROM consents WHERE user = ?", (number,))


def learners(connection: sqlite3.Connection) -> list[str]:
    """See Keeper.learners."""
    rows = connection.execute(
        "SELECT name FROM users u LEFT JOIN consents c ON c.user = u.id WHERE c.training OR (c.user IS NULL "
        "AND (EXISTS (SELECT 1 FROM memories m WHERE m.user = u.id AND m.training = 1) "
        "OR EXISTS (SELECT 1 FROM comparisons g WHERE g.user = u.id AND g.training = 1))) ORDER BY name"
    )
    return [row["name"] for row in rows]


def _of_user(connection: sqlite3.Connection, number: int) -> set[str]:
    """Every id by which something of the user can stand in the provenance of training data."""
    rows = connection.execute(
        "SELECT id AS one, event_id AS other FROM memories WHERE user = :user "
        "UNION SELECT id, event_id FROM feedback WHERE user = :user "
        "UNION SELECT id, event_id FROM comparisons WHERE user = :user "
        "UNION SELECT c.event_id, '' FROM memory_changes c JOIN memories m ON m.number = c.memory "
        "WHERE m.user = :user",
        {"user": number},
    )
    found = {part for row in rows for part in (row["one"], row["other"]) if part}
    files = connection.execute("SELECT id, sha256 FROM files WHERE user = ?", (number,))
    for row in files:
        found |= {row["id"], content_id(row["id"], row["sha256"])}
    return found
