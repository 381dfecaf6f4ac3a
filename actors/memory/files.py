"""Files and their passages as rows: added, replaced, deleted whole. Knows no search and no vector store."""

import sqlite3
from collections.abc import Sequence
from typing import Literal

from actors.identity import RANDOM, Identity
from actors.memory import indexing, keeping, unlearning, width
from actors.memory.database import next_number, to_rewrite
from actors.memory.partitions import owner_of
from actors.memory.spaces import PASSAGES
from actors.memory.users import user_number
from actors.memory.vectors import Vectors
from actors.messages import ChunkText, FileInfo, InvalidRequest, KeepScores, NotFound, ParsedDocument

Order = Literal["asc", "desc"]
LONGEST_FILENAME = 512


def check_filename(filename: str) -> None:
    """Raises InvalidRequest unless it is a plain relative path such as `docs/a.md`."""
    parts = filename.replace("\\", "/").split("/")
    wrong = (
        "is empty"
        if not filename.strip()
        else f"is longer than {LONGEST_FILENAME} characters"
        if len(filename) > LONGEST_FILENAME
        else "has control characters"
        if any(not character.isprintable() for character in filename)
        else "has a backslash"
        if "\\" in filename
        else "is not a relative path without `.` and `..`"
        if any(part in {"", ".", ".."} for part in parts) or filename[1:3] == ":/"
        else None
    )
    if wrong is not None:
        raise InvalidRequest(f"the file name {wrong}", param="filename", code="invalid_filename")


def seen(connection: sqlite3.Connection, user: int, event_id: str) -> str | None:
    """What the event made when it first came. Raises InvalidRequest without an event id."""
    if not event_id:
        raise InvalidRequest("an event id is needed, so that a retry never writes twice", param="event_id")
    row = connection.execute(
        "SELECT result FROM events WHERE user = ? AND event_id = ?", (user, event_id)
    ).fetchone()
    return None if row is None else str(row["result"])


def record(connection: sqlite3.Connection, user: int, event_id: str, result: str) -> None:
    """Remember what the event made."""
    connection.execute(
        "INSERT INTO events (user, event_id, result) VALUES (?, ?, ?)", (user, event_id, result)
    )


def add(
    connection: sqlite3.Connection,
    user: str,
    event_id: str,
    document: ParsedDocument,
    purpose: str,
    chunks: Sequence[ChunkText],
    vectors: Vectors,
    identity: Identity = RANDOM,
    keep: Sequence[KeepScores] = (),
) -> FileInfo:
    """See Keeper.add_file. Runs inside a write transaction."""
    check_filename(document.filename)
    width.check(connection, vectors, len(chunks))
    number = user_number(connection, user, create=True)
    before = seen(connection, number, event_id)
    if before is not None:
        return get(connection, user, before)
    row = connection.execute(
        "SELECT number, id, sha256 FROM files WHERE user = ? AND filename = ?",
        (number, document.filename),
    ).fetchone()
    if row is not None and row["sha256"] == document.sha256 and bool(chunks) == _has_chunks(connection, row):
        record(connection, number, event_id, row["id"])
        return get(connection, user, row["id"])
    if row is None:
        file_id, file = _insert(connection, number, document, purpose, identity)
    else:
        file_id, file = row["id"], row["number"]
        unlearning.put(connection, owner_of(user), number, [content_id(file_id, row["sha256"])])
        _clear(connection, number, file)
        _update(connection, file, document, purpose)
    connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (file, document.content, document.text))
    numbers = _insert_chunks(connection, number, file, chunks, vectors)
    if keep:
        keeping.put(connection, numbers, keep)
    if row is not None:
        indexing.scrub(connection, PASSAGES, number)
    record(connection, number, event_id, file_id)
    return get(connection, user, file_id)


def _has_chunks(connection: sqlite3.Connection, file: sqlite3.Row) -> bool:
    """Whether search finds the file: what is only trained on has no passages."""
    found = connection.execute("SELECT 1 FROM chunks WHERE file = ? LIMIT 1", (file["number"],))
    return found.fetchone() is not None


def holds(connection: sqlite3.Connection, user: str, filename: str) -> bool:
    """Whether the user has a file of that name, whatever its content."""
    return (
        connection.execute(
            "SELECT 1 FROM files WHERE user = ? AND filename = ?", (user_number(connection, user), filename)
        ).fetchone()
        is not None
    )


def find(connection: sqlite3.Connection, user: str, filename: str, sha256: str) -> FileInfo | None:
    """See Keeper.find_file."""
    check_filename(filename)
    row = connection.execute(
        f"{_INFO} WHERE f.user = ? AND f.filename = ? AND f.sha256 = ?",
        (user_number(connection, user), filename, sha256),
    ).fetchone()
    return None if row is None else FileInfo(**dict(row))


def get(connection: sqlite3.Connection, user: str, file_id: str) -> FileInfo:
    """See Keeper.get_file."""
    row = connection.execute(
        f"{_INFO} WHERE f.number = ?", (file_number(connection, user, file_id),)
    ).fetchone()
    return FileInfo(**dict(row))


def body(
    connection: sqlite3.Connection, user: str, file_id: str, column: Literal["text", "content"]
) -> object:
    """The stored text (str) or the bytes as uploaded. Raises NotFound."""
    file = file_number(connection, user, file_id)
    return connection.execute(f"SELECT {column} FROM bodies WHERE file = ?", (file,)).fetchone()[0]


def listed(
    connection: sqlite3.Connection,
    user: str,
    limit: int,
    after: str | None,
    order: Order,
    purpose: str | None,
) -> list[FileInfo]:
    """See Keeper.list_files."""
    number = user_number(connection, user)
    bound = None if after is None else file_number(connection, user, after, param="after")
    rows = connection.execute(
        f"{_INFO} WHERE f.user = ? AND (? IS NULL OR f.purpose = ?) "
        f"AND (? IS NULL OR f.number {'<' if order == 'desc' else '>'} ?) "
        f"ORDER BY f.number {'DESC' if order == 'desc' else 'ASC'} LIMIT ?",
        (number, purpose, purpose, bound, bound, limit),
    )
    return [FileInfo(**dict(row)) for row in rows]


def delete(connection: sqlite3.Connection, user: str, file_id: str) -> None:
    """See Keeper.delete_file. The user's last file takes the index tables with it."""
    number = user_number(connection, user)
    file = file_number(connection, user, file_id)
    gone = [file_id, content_id(file_id, get(connection, user, file_id).sha256)]
    unlearning.put(connection, owner_of(user), number, gone)
    _clear(connection, number, file)
    connection.execute("DELETE FROM files WHERE number = ?", (file,))
    if connection.execute("SELECT 1 FROM files WHERE user = ?", (number,)).fetchone() is None:
        indexing.drop(connection, PASSAGES, number)
    else:
        indexing.scrub(connection, PASSAGES, number)
    to_rewrite(connection)


def content_id(file_id: str, sha256: str) -> str:
    """What stands for a file as it is now in the provenance of training data."""
    return f"{file_id}@{sha256[:16]}"


def file_number(connection: sqlite3.Connection, user: str, file_id: str, param: str = "file_id") -> int:
    """The row of one of the user's files. Raises NotFound."""
    if not file_id.isascii():
        raise NotFound(f"no file {file_id!r}", param=param)
    row = connection.execute(
        "SELECT number FROM files WHERE user = ? AND id = ?", (user_number(connection, user), file_id)
    ).fetchone()
    if row is None:
        raise NotFound(f"no file {file_id!r}", param=param)
    return int(row["number"])


_INFO = """
SELECT f.id, f.filename, f.media_type, f.purpose, f.bytes, f.characters, f.sha256, f.created_at,
    (SELECT count(*) FROM chunks c WHERE c.file = f.number) AS chunks
FROM files f
"""


def _insert(
    connection: sqlite3.Connection, user: int, document: ParsedDocument, purpose: str, identity: Identity
) -> tuple[str, int]:
    file_id = identity.stored("file-", next_number(connection, "files"))
    cursor = connection.execute(
        "INSERT INTO files (id, user, filename, media_type, purpose, sha256, bytes, characters, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (file_id, user, document.filename, *_described(document, purpose), identity.now()),
    )
    indexing.prepare(connection, PASSAGES, user)
    return file_id, int(cursor.lastrowid or 0)


def _update(connection: sqlite3.Connection, file: int, document: ParsedDocument, purpose: str) -> None:
    connection.execute(
        "UPDATE files SET media_type = ?, purpose = ?, sha256 = ?, bytes = ?, characters = ? "
        "WHERE number = ?",
        (*_described(document, purpose), file),
    )


def _described(document: ParsedDocument, purpose: str) -> tuple[str, str, str, int, int]:
    return document.media_type, purpose, document.sha256, len(document.content), len(document.text)


def _insert_chunks(
    connection: sqlite3.Connection, user: int, file: int, chunks: Sequence[ChunkText], vectors: Vectors
) -> list[int]:
    numbers = []
    for ordinal, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True)):
        cursor = connection.execute(
            'INSERT INTO chunks (user, file, ordinal, start, "end", heading, text) '
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (user, file, ordinal, chunk.start, chunk.end, chunk.heading, chunk.text),
        )
        numbers.append(int(cursor.lastrowid or 0))
        connection.execute(
            "INSERT INTO vectors VALUES (?, ?)", (numbers[-1], vector.astype("<f4", copy=False).tobytes())
        )
    indexing.added(connection, PASSAGES, user, numbers)
    return numbers


def _clear(connection: sqlite3.Connection, user: int, file: int) -> None:
    rows = connection.execute("SELECT id FROM chunks WHERE file = ? ORDER BY id", (file,))
    indexing.removed(connection, PASSAGES, user, [row["id"] for row in rows.fetchall()])
    connection.execute("DELETE FROM vectors WHERE chunk IN (SELECT id FROM chunks WHERE file = ?)", (file,))
    connection.execute(
        "DELETE FROM keep_scores WHERE chunk IN (SELECT id FROM chunks WHERE file = ?)", (file,)
    )
    connection.execute("DELETE FROM chunks WHERE file = ?", (file,))
    connection.execute("DELETE FROM bodies WHERE file = ?", (file,))
