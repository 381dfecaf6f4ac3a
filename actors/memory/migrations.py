"""The shape of the database, as numbered functions that are never edited once released. Knows no row."""

import sqlite3
from collections.abc import Callable

from actors.messages import InvalidRequest


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest shape, a transaction a step. Raises InvalidRequest if it is newer."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise InvalidRequest(
            f"the document store has version {version}, and this program knows versions up to "
            f"{len(MIGRATIONS)}: run the newer program that wrote it"
        )
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        step(connection)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def _m001_documents(connection: sqlite3.Connection) -> None:
    for statement in _DOCUMENTS.split(";\n"):
        connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_m001_documents,)

_DOCUMENTS = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO facts VALUES ('identity', lower(hex(randomblob(16))));
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    user INTEGER NOT NULL REFERENCES users (id),
    filename TEXT NOT NULL,
    media_type TEXT NOT NULL,
    purpose TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (user, filename)
);
CREATE TABLE bodies (
    file INTEGER PRIMARY KEY REFERENCES files (number) ON DELETE CASCADE,
    content BLOB NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL REFERENCES users (id),
    file INTEGER NOT NULL REFERENCES files (number),
    ordinal INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (file, ordinal)
);
CREATE INDEX chunks_by_user ON chunks (user, id);
CREATE TABLE vectors (
    chunk INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    vector BLOB NOT NULL
);
CREATE TABLE stores (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    user INTEGER NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at REAL NOT NULL
);
CREATE INDEX stores_by_user ON stores (user, number);
CREATE TABLE store_files (
    store INTEGER NOT NULL REFERENCES stores (number) ON DELETE CASCADE,
    file INTEGER NOT NULL REFERENCES files (number) ON DELETE CASCADE,
    PRIMARY KEY (store, file)
) WITHOUT ROWID;
CREATE INDEX stores_of_file ON store_files (file);
CREATE TABLE events (
    user INTEGER NOT NULL REFERENCES users (id),
    event_id TEXT NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (user, event_id)
) WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    present INTEGER NOT NULL
);
CREATE INDEX outbox_by_user ON outbox (user, chunk)
""".strip()
