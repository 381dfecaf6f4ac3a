"""Copies all rows of one user between two databases, and removes them. Knows no partition and no file.

Rows of a user are numbered anew where they come to, in the same order; ids, times and texts stay as they are.
Whoever forgot everything has no name left, only an owner (see `partitions.owner_of`), with rows under it.
"""

import hashlib
import sqlite3
from dataclasses import dataclass, field

from actors.memory import fulltext, indexing, memory_index, outbox
from actors.memory.partitions import owner_of
from actors.memory.spaces import PASSAGES, SPACES
from actors.memory.users import user_number
from actors.messages import InvalidRequest, PalError


@dataclass(frozen=True, slots=True)
class Table:
    """Where a table's rows of one user are, and which of its columns count rows of the whole database.

    `of` is the column that the rows hang on: of the user, of the owner, or of a row of the table it `refers`
    to. `number` is the column that is given anew. `own` columns are set by the indexes and not compared.
    """

    name: str
    of: str
    number: str | None = None
    refers: dict[str, str] = field(default_factory=dict)
    own: tuple[str, ...] = ()


TABLES = (
    Table("files", "user", "number"),
    Table("bodies", "file", refers={"file": "files"}),
    Table("chunks", "user", "id", {"file": "files"}),
    Table("vectors", "chunk", refers={"chunk": "chunks"}),
    Table("keep_scores", "chunk", refers={"chunk": "chunks"}),
    Table("stores", "user", "number"),
    Table("store_files", "store", refers={"store": "stores", "file": "files"}),
    Table("events", "user"),
    Table("memories", "user", "number", {"merged_into": "memories"}, own=("changed",)),
    Table("memory_vectors", "memory", refers={"memory": "memories"}),
    Table("memory_sources", "memory", refers={"memory": "memories"}),
    Table("memory_changes", "memory", "number", {"memory": "memories"}),
    Table(
        "memory_facts",
        "user",
        "number",
        {"memory": "memories", "change": "memory_changes", "ended_by": "memories"},
    ),
    Table("consents", "user"),
    Table("feedback", "user", "number"),
    Table("comparisons", "user", "number"),
    Table("tombstones", "owner", "number"),
    Table("memory_events", "owner"),
    Table("unlearning", "owner", "number"),
)
"""Those that others refer to come first."""
NOT_MOVED = frozenset({"facts", "users", "outbox", "sqlite_sequence"})
"""Of the database itself, or made anew."""
_BY_NAME = {table.name: table for table in TABLES}


@dataclass(frozen=True, slots=True)
class Person:
    """Whose rows they are; `name` is None where only what was forgotten is left."""

    owner: str
    name: str | None


def people(connection: sqlite3.Connection) -> list[Person]:
    """Everybody of whom the database holds a row."""
    names = (row["name"] for row in connection.execute("SELECT name FROM users ORDER BY id").fetchall())
    found = {owner_of(name): name for name in names}
    rows = connection.execute("SELECT owner FROM tombstones UNION SELECT owner FROM memory_events").fetchall()
    found |= {row["owner"]: None for row in rows if row["owner"] not in found}
    return [Person(owner, name) for owner, name in found.items()]


def copy(connection: sqlite3.Connection, person: Person) -> bool:
    """Give `main` the rows that `source`, attached to the connection, has of a person; in a transaction.

    What `main` had of the person before is replaced; False where it was the same. Raises InvalidRequest where
    the vectors of both are not equally wide, PalError where the copy is not the same as what was copied.
    """
    wanted = digest(connection, "source", person)
    known = person.name is None or _user(connection, "main", person)
    if known and digest(connection, "main", person) == wanted:
        return False
    remove(connection, person)
    user = 0 if person.name is None else user_number(connection, person.name, create=True)
    _number(connection, "source", person, first=None)
    for table in TABLES:
        columns = ", ".join(f'"{name}"' for name in _columns(connection, table))
        rows = _rows(connection, "source", table, _columns(connection, table))
        connection.execute(
            f"INSERT INTO main.{table.name} ({columns}) {rows}",
            {**_of(connection, "source", person), "to": user},
        )
    if user:
        _index(connection, user)
    if digest(connection, "main", person) != wanted:
        raise PalError(f"the copy of user {person.name or person.owner!r} differs; nothing was changed")
    return True


def remove(connection: sqlite3.Connection, person: Person) -> None:
    """Take every row of a person out of `main`, index and vector cache; in a transaction."""
    user = _user(connection, "main", person)
    for space in SPACES:
        numbers = _numbers(connection, space.rows, space.key, user)
        if numbers:
            outbox.removed(connection, space, user, numbers)
        if fulltext.exists(connection, user, space):
            fulltext.drop(connection, user, space)
    whose = _of(connection, "main", person)
    for table in reversed(TABLES):
        connection.execute(f"DELETE FROM main.{table.name} WHERE {_condition('main', table)}", whose)
    connection.execute("DELETE FROM users WHERE id = :user", whose)


def digest(connection: sqlite3.Connection, schema: str, person: Person) -> str:
    """A hash of all rows of a person, however they are numbered."""
    _number(connection, schema, person, first=1)
    found = hashlib.sha256()
    for table in TABLES:
        columns = [name for name in _columns(connection, table) if name not in table.own]
        rows = _rows(connection, schema, table, columns)
        for row in connection.execute(rows, {**_of(connection, schema, person), "to": 0}):
            for value in (table.name, *row):
                content = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
                found.update(f"{type(value).__name__} {len(content)} ".encode() + content)
    return found.hexdigest()


def _user(connection: sqlite3.Connection, schema: str, person: Person) -> int:
    """The person's row; 0, which no row has, where there is none."""
    row = connection.execute(f"SELECT id FROM {schema}.users WHERE name = ?", (person.name,)).fetchone()
    return 0 if row is None else int(row["id"])


def _of(connection: sqlite3.Connection, schema: str, person: Person) -> dict[str, str | int]:
    """Parameters of `_condition`."""
    return {"user": _user(connection, schema, person), "owner": person.owner}


def _condition(schema: str, table: Table) -> str:
    if table.of in {"user", "owner"}:
        return f"{table.of} = :{table.of}"
    parent = _BY_NAME[table.refers[table.of]]
    return f"{table.of} IN (SELECT {parent.number} FROM {schema}.{parent.name} WHERE user = :user)"


def _number(connection: sqlite3.Connection, schema: str, person: Person, first: int | None) -> None:
    """Note which number each of the person's rows gets: counted from `first`, or from the next in `main`."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS moved "
        "(part TEXT, old INTEGER, new INTEGER, PRIMARY KEY (part, old)) WITHOUT ROWID"
    )
    connection.execute("DELETE FROM temp.moved")
    for table in TABLES:
        if table.number is not None:
            connection.execute(
                "INSERT INTO temp.moved "
                "SELECT :part, s.number, :before + row_number() OVER (ORDER BY number) "
                f"FROM (SELECT {table.number} AS number FROM {schema}.{table.name} "
                f"WHERE {_condition(schema, table)}) s",
                {
                    **_of(connection, schema, person),
                    "part": table.name,
                    "before": (_next(connection, table) if first is None else first) - 1,
                },
            )


def _next(connection: sqlite3.Connection, table: Table) -> int:
    row = connection.execute("SELECT seq FROM main.sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
    return 1 if row is None else int(row["seq"]) + 1


def _rows(connection: sqlite3.Connection, schema: str, table: Table, columns: list[str]) -> str:
    """SQL for the person's rows, in the order of their numbers, with what `moved` says in place of these."""
    order = ", ".join(f's."{name}"' for name in _columns(connection, table, key=True))
    values = ", ".join(_value(table, name) for name in columns)
    return f"SELECT {values} FROM {schema}.{table.name} s WHERE {_condition(schema, table)} ORDER BY {order}"


def _value(table: Table, column: str) -> str:
    if column == "user":
        return ":to"
    part = table.name if column == table.number else table.refers.get(column)
    if part is None:
        return f's."{column}"'
    return f"(SELECT new FROM temp.moved WHERE part = '{part}' AND old = s.\"{column}\")"


def _columns(connection: sqlite3.Connection, table: Table, *, key: bool = False) -> list[str]:
    rows = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table.name,)).fetchall()
    return [row["name"] for row in rows if row["pk"] or not key]


def _index(connection: sqlite3.Connection, user: int) -> None:
    """Full text, outbox and the width of vectors for rows that were just copied."""
    chunks, memories = (_numbers(connection, space.rows, space.key, user) for space in SPACES)
    if _numbers(connection, "files", "number", user):
        indexing.prepare(connection, PASSAGES, user)
        indexing.added(connection, PASSAGES, user, chunks)
    if memories:
        memory_index.added(connection, user, memories)
    _check_width(connection, user)


def _numbers(connection: sqlite3.Connection, table: str, key: str, user: int) -> list[int]:
    rows = connection.execute(f"SELECT {key} FROM main.{table} WHERE user = ? ORDER BY {key}", (user,))
    return [row[0] for row in rows.fetchall()]


def _check_width(connection: sqlite3.Connection, user: int) -> None:
    """A database's vectors are all equally wide; one that had none yet takes the source's width."""
    if not any(
        connection.execute(
            f"SELECT 1 FROM main.{space.vectors} v JOIN main.{space.rows} r "
            f"ON r.{space.key} = v.{space.vector_key} WHERE r.user = ? LIMIT 1",
            (user,),
        ).fetchone()
        for space in SPACES
    ):
        return
    width = "SELECT value FROM {}.facts WHERE name = 'dimensions'"
    connection.execute(f"INSERT OR IGNORE INTO main.facts SELECT 'dimensions', ({width.format('source')})")
    ours, theirs = (connection.execute(width.format(one)).fetchone()["value"] for one in ("main", "source"))
    if ours != theirs:
        raise InvalidRequest(
            f"one partition's vectors have {theirs} dimensions and another's {ours}: they were made with "
            "different embedding models, and cannot be in one partition"
        )
