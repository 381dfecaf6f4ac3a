"""The shape of the database, as numbered functions that are never edited once released. Knows no row."""

import sqlite3
from collections.abc import Callable

from actors.messages import InvalidRequest


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest shape, a transaction a step. Raises InvalidRequest if it is newer."""
    version = check_version(connection)
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        step(connection)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")


def check_version(connection: sqlite3.Connection) -> int:
    """How many steps the database has behind it. Raises InvalidRequest if a newer program wrote it."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise InvalidRequest(
            f"the store has version {version}, and this program knows versions up to {len(MIGRATIONS)}: "
            "run the newer program that wrote it"
        )
    return int(version)


def _m001_documents(connection: sqlite3.Connection) -> None:
    for statement in _DOCUMENTS.split(";\n"):
        connection.execute(statement)


def _m002_memories(connection: sqlite3.Connection) -> None:
    for statement in _MEMORIES.split(";\n"):
        connection.execute(statement)


def _m003_keep_scores(connection: sqlite3.Connection) -> None:
    connection.execute(_KEEP_SCORES)


def _m004_learning(connection: sqlite3.Connection) -> None:
    for statement in _LEARNING.split(";\n"):
        connection.execute(statement)


def _m005_comparisons(connection: sqlite3.Connection) -> None:
    for statement in _COMPARISONS.split(";\n"):
        connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _m001_documents,
    _m002_memories,
    _m003_keep_scores,
    _m004_learning,
    _m005_comparisons,
)

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

_MEMORIES = """
CREATE TABLE memories (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    session TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    agent TEXT NOT NULL,
    role TEXT NOT NULL,
    speaker TEXT NOT NULL,
    text TEXT NOT NULL,
    words INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    embedded INTEGER NOT NULL DEFAULT 0,
    valid_from REAL NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    importance REAL NOT NULL,
    pinned INTEGER NOT NULL,
    expires_at REAL,
    archived_at REAL,
    merged_into INTEGER REFERENCES memories (number) ON DELETE SET NULL,
    uses INTEGER NOT NULL DEFAULT 0,
    used_at REAL,
    event_id TEXT NOT NULL,
    metadata TEXT NOT NULL,
    changed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (user, id)
);
CREATE INDEX memories_by_change ON memories (user, changed);
CREATE INDEX memories_by_session ON memories (user, session, ordinal);
CREATE INDEX memories_by_user ON memories (user);
CREATE INDEX memories_that_expire ON memories (user, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX memories_to_embed ON memories (number) WHERE NOT embedded;
CREATE INDEX memories_merged ON memories (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX notes_by_digest ON memories (user, digest) WHERE kind = 'note';
CREATE TABLE memory_vectors (
    memory INTEGER PRIMARY KEY REFERENCES memories (number) ON DELETE CASCADE,
    vector BLOB NOT NULL
);
CREATE TABLE memory_facts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL REFERENCES users (id),
    memory INTEGER NOT NULL REFERENCES memories (number) ON DELETE CASCADE,
    change INTEGER REFERENCES memory_changes (number) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    slot TEXT NOT NULL,
    value TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    single INTEGER NOT NULL,
    valid_from REAL NOT NULL,
    valid_to REAL,
    ended_by INTEGER,
    created_at REAL NOT NULL
);
CREATE INDEX facts_by_slot ON memory_facts (user, subject, slot, valid_from);
CREATE INDEX facts_of_memory ON memory_facts (memory);
CREATE INDEX facts_that_hold ON memory_facts (user, subject, slot) WHERE valid_to IS NULL;
CREATE INDEX facts_edited_away ON memory_facts (user, subject, slot) WHERE change IS NOT NULL;
CREATE INDEX facts_of_change ON memory_facts (change) WHERE change IS NOT NULL;
CREATE TABLE memory_sources (
    memory INTEGER NOT NULL REFERENCES memories (number) ON DELETE CASCADE,
    source TEXT NOT NULL,
    PRIMARY KEY (memory, source)
) WITHOUT ROWID;
CREATE INDEX memories_from_source ON memory_sources (source);
CREATE TABLE memory_changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    memory INTEGER NOT NULL REFERENCES memories (number) ON DELETE CASCADE,
    event TEXT NOT NULL,
    old TEXT,
    new TEXT,
    at REAL NOT NULL,
    event_id TEXT NOT NULL
);
CREATE INDEX changes_of_memory ON memory_changes (memory);
CREATE TABLE tombstones (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    forgotten_at REAL NOT NULL,
    UNIQUE (owner, memory_id, event_id)
);
CREATE INDEX tombstones_by_event ON tombstones (owner, event_id);
CREATE TABLE memory_events (
    owner TEXT NOT NULL,
    event_id TEXT NOT NULL,
    call TEXT NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (owner, event_id)
) WITHOUT ROWID;
ALTER TABLE outbox ADD COLUMN space TEXT NOT NULL DEFAULT 'passages';
ALTER TABLE users ADD COLUMN memory_generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN memory_removals INTEGER NOT NULL DEFAULT 0
""".strip()

_KEEP_SCORES = """
CREATE TABLE keep_scores (
    chunk INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    scores BLOB NOT NULL
)
""".strip()

_LEARNING = """
ALTER TABLE memories ADD COLUMN training INTEGER;
CREATE INDEX memories_by_event ON memories (user, event_id);
CREATE TABLE consents (
    user INTEGER PRIMARY KEY REFERENCES users (id),
    training INTEGER NOT NULL,
    shared INTEGER NOT NULL,
    withdrawals INTEGER NOT NULL,
    changed_at REAL NOT NULL
);
CREATE TABLE feedback (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES users (id),
    completion TEXT NOT NULL,
    session TEXT NOT NULL,
    agent TEXT NOT NULL,
    rating INTEGER,
    correction TEXT,
    event_id TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (user, completion)
);
CREATE TABLE unlearning (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    told_at REAL,
    UNIQUE (owner, id)
);
CREATE INDEX unlearning_to_tell ON unlearning (number) WHERE told_at IS NULL
""".strip()

_COMPARISONS = """
CREATE TABLE comparisons (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    user INTEGER NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL,
    messages TEXT NOT NULL,
    answers TEXT NOT NULL,
    training INTEGER,
    event_id TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX comparisons_by_user ON comparisons (user, kind, number)
""".strip()
