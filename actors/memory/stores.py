"""Vector stores as rows: named sets of a user's files. Knows no passage."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from actors.identity import RANDOM, Identity
from actors.memory.database import next_number
from actors.memory.files import Order, file_number, record, seen
from actors.memory.users import user_number
from actors.messages import NotFound, StoreInfo


def create(
    connection: sqlite3.Connection,
    user: str,
    event_id: str,
    name: str,
    file_ids: Sequence[str],
    metadata: Mapping[str, str],
    identity: Identity = RANDOM,
) -> StoreInfo:
    """See Keeper.create_store."""
    number = user_number(connection, user, create=True)
    before = seen(connection, number, event_id)
    if before is not None:
        return get(connection, user, before)
    store_id = identity.stored("vs_", next_number(connection, "stores"))
    connection.execute(
        "INSERT INTO stores (id, user, name, metadata, created_at) VALUES (?, ?, ?, ?, ?)",
        (store_id, number, name, json.dumps(dict(metadata)), identity.now()),
    )
    for file_id in file_ids:
        attach(connection, user, store_id, file_id)
    record(connection, number, event_id, store_id)
    return get(connection, user, store_id)


def get(connection: sqlite3.Connection, user: str, store_id: str) -> StoreInfo:
    """See Keeper.get_store."""
    number = store_number(connection, user, store_id)
    row = connection.execute("SELECT * FROM stores WHERE number = ?", (number,)).fetchone()
    return _info(connection, row)


def listed(
    connection: sqlite3.Connection, user: str, limit: int, after: str | None, order: Order
) -> list[StoreInfo]:
    """See Keeper.list_stores."""
    bound = None if after is None else store_number(connection, user, after, param="after")
    rows = connection.execute(
        f"SELECT * FROM stores WHERE user = ? AND (? IS NULL OR number {'<' if order == 'desc' else '>'} ?) "
        f"ORDER BY number {'DESC' if order == 'desc' else 'ASC'} LIMIT ?",
        (user_number(connection, user), bound, bound, limit),
    ).fetchall()
    return [_info(connection, row) for row in rows]


def update(
    connection: sqlite3.Connection,
    user: str,
    store_id: str,
    name: str | None,
    metadata: Mapping[str, str] | None,
) -> StoreInfo:
    """See Keeper.update_store."""
    number = store_number(connection, user, store_id)
    if name is not None:
        connection.execute("UPDATE stores SET name = ? WHERE number = ?", (name, number))
    if metadata is not None:
        connection.execute(
            "UPDATE stores SET metadata = ? WHERE number = ?", (json.dumps(dict(metadata)), number)
        )
    return get(connection, user, store_id)


def delete(connection: sqlite3.Connection, user: str, store_id: str) -> None:
    """See Keeper.delete_store."""
    connection.execute("DELETE FROM stores WHERE number = ?", (store_number(connection, user, store_id),))


def attach(connection: sqlite3.Connection, user: str, store_id: str, file_id: str) -> None:
    """See Keeper.attach_file. A file already there stays there."""
    pair = store_number(connection, user, store_id), file_number(connection, user, file_id)
    connection.execute("INSERT OR IGNORE INTO store_files (store, file) VALUES (?, ?)", pair)


def detach(connection: sqlite3.Connection, user: str, store_id: str, file_id: str) -> None:
    """See Keeper.detach_file."""
    pair = store_number(connection, user, store_id), file_number(connection, user, file_id)
    if not connection.execute("DELETE FROM store_files WHERE store = ? AND file = ?", pair).rowcount:
        raise NotFound(f"the file {file_id!r} is not in the vector store {store_id!r}", param="file_id")


def store_number(
    connection: sqlite3.Connection, user: str, store_id: str, param: str = "vector_store_id"
) -> int:
    """The row of one of the user's stores. Raises NotFound."""
    if not store_id.isascii():
        raise NotFound(f"no vector store {store_id!r}", param=param)
    row = connection.execute(
        "SELECT number FROM stores WHERE user = ? AND id = ?", (user_number(connection, user), store_id)
    ).fetchone()
    if row is None:
        raise NotFound(f"no vector store {store_id!r}", param=param)
    return int(row["number"])


def _info(connection: sqlite3.Connection, row: sqlite3.Row) -> StoreInfo:
    files = connection.execute(
        "SELECT f.id, f.bytes FROM store_files s JOIN files f ON f.number = s.file WHERE s.store = ? "
        "ORDER BY f.number",
        (row["number"],),
    ).fetchall()
    return StoreInfo(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        file_ids=tuple(file["id"] for file in files),
        metadata=json.loads(row["metadata"]),
        bytes=sum(file["bytes"] for file in files),
    )
