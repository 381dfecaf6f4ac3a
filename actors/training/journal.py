"""What became of adapter versions, in SQLite: several tables change in one commit. Knows no adapter file."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from actors.memory.database import checkpoint, connect, transaction
from actors.messages import InvalidRequest, NotFound
from actors.training.versions import COMMON, Answer, Move, Slice, Standing, State, Verdict, Version, unquoted

LEGAL: Mapping[State, frozenset[State]] = {
    "candidate": frozenset({"shadow", "serving", "retired", "refused"}),
    "shadow": frozenset({"shadow", "serving", "retired", "refused"}),
    "serving": frozenset({"retired"}),
    "retired": frozenset({"serving", "shadow"}),
    "refused": frozenset(),
}
STANDS = frozenset({"serving", "shadow"})
FIXED = (
    *("id", "scope", "base_model", "base_model_hash", "parent", "created_at"),
    *("method", "events", "scores", "files"),
)
"""What of a version never changes."""
Fits = Callable[[Version], bool]
"""Whether a version is made for the model that is served."""


class Journal:
    """States, verdicts and answers. Every method commits all that it does, or nothing; used by one thread.

    What serves is unique by an index of the database, so no crash leaves two versions, or half of one.
    """

    def __init__(self, directory: Path) -> None:
        """Raises InvalidRequest for the file of a newer program, sqlite3.DatabaseError for a damaged one."""
        self._directory = directory
        self._sql = connect(directory, "journal.sqlite3")
        _migrate(self._sql)

    def close(self) -> None:
        """Release the file."""
        self._sql.close()

    # --- reading ---

    def version(self, id: str) -> Version:
        """Raises NotFound."""
        return self._version(self._row(id))

    def versions(self, scope: str | None = None) -> list[Version]:
        """All, or those of one scope, oldest first."""
        rows = self._sql.execute(
            "SELECT * FROM versions WHERE ? IS NULL OR scope = ? ORDER BY number", (scope, scope)
        )
        return [self._version(row) for row in rows]

    def standing(self, fits: Fits) -> Standing:
        """What serves, of what fits."""
        rows = self._sql.execute("SELECT * FROM versions WHERE state IN ('serving', 'shadow')").fetchall()
        found = [(row, version) for row in rows if fits(version := self._version(row))]
        serving = {version.scope: version for _, version in found if version.state == "serving"}
        shadow = next(((version, row["share"]) for row, version in found if version.state == "shadow"), None)
        return Standing(
            revision=self._revision(),
            common=serving.pop(COMMON, None),
            personal=serving,
            shadow=shadow[0] if shadow else None,
            share=shadow[1] if shadow else 0.0,
        )

    def moves(self, id: str) -> list[Move]:
        """What became of a version, in order."""
        rows = self._sql.execute("SELECT * FROM moves WHERE version = ? ORDER BY number", (id,))
        return [Move(version=id, state=row["state"], reason=row["reason"], at=row["at"]) for row in rows]

    def forgotten(self, events: Iterable[str]) -> list[str]:
        """Which of them were forgotten."""
        asked = "SELECT 1 FROM forgotten WHERE event = ?"
        return [event for event in events if self._sql.execute(asked, (event,)).fetchone()]

    def to_retrain(self) -> list[Version]:
        """Versions that served or were tried until something of theirs was forgotten, with none since."""
        rows = self._sql.execute("SELECT * FROM versions WHERE retrain ORDER BY number")
        return [self._version(row) for row in rows]

    # --- what becomes of versions ---

    def add(self, version: Version, at: float) -> None:
        """A new candidate. The same id twice is one."""
        fixed = {name: value for name, value in asdict(version).items() if name in FIXED}
        with transaction(self._sql):
            cursor = self._sql.execute(
                "INSERT OR IGNORE INTO versions (id, scope, fixed, state) VALUES (?, ?, ?, 'candidate')",
                (version.id, version.scope, json.dumps(fixed)),
            )
            if cursor.rowcount:
                rows = [(event, version.id) for event in version.events]
                self._sql.executemany("INSERT OR IGNORE INTO learned VALUES (?, ?)", rows)
                self._tell(version.id, "candidate", version.reason, at)

    def judge(self, id: str, verdict: Verdict, at: float) -> None:
        """Write a verdict down; refused where it says so. The same one twice is one."""
        with transaction(self._sql):
            version = self.version(id)
            if version.verdict == verdict:
                return
            if version.state not in ("candidate", "shadow"):
                raise InvalidRequest(f"{id} is {version.state}: only a candidate or a shadow is judged")
            text = json.dumps(asdict(verdict))
            self._sql.execute("UPDATE versions SET verdict = ? WHERE id = ?", (text, id))
            if not verdict.accepted:
                self._move(version, "refused", "; ".join(verdict.reasons) or "the gate refused it", at)

    def promote(self, id: str, share: float, at: float) -> None:
        """Serving, or with a share shadow; what stood there before is retired. Twice the same is once."""
        with transaction(self._sql):
            version, row = self.version(id), self._row(id)
            to: State = "shadow" if share else "serving"
            if version.state == to and row["share"] == share:
                return
            before = self._standing_in(version.scope, to)
            if before is not None and before.id != id:
                self._move(before, "retired", f"{id} took its place", at, good=to == "serving")
            self._move(version, to, "", at, share=share)
            if to == "serving":
                self._sql.execute("UPDATE versions SET served = ? WHERE id = ?", (self._revision(), id))
                self._sql.execute("UPDATE versions SET retrain = 0 WHERE scope = ?", (version.scope,))

    def leave(self, id: str, reason: str, fits: Fits, at: float) -> None:
        """Retired for good reason; where it served, the last one that served well before it serves again."""
        with transaction(self._sql):
            version = self.version(id)
            if version.state != "retired":
                self._leave(version, reason, fits, at)

    def rollback(self, scope: str, of: str | None, reason: str, fits: Fits, at: float) -> None:
        """As `leave`, of what serves; nothing where nothing serves, or something else than `of`."""
        with transaction(self._sql):
            serving = self._standing_in(scope, "serving")
            if serving is not None and of in (None, serving.id):
                self._leave(serving, reason, fits, at)

    def forget(self, events: Sequence[str], fits: Fits, at: float) -> list[str]:
        """Ids of all versions that learned from one of these: none of them serves any more."""
        with transaction(self._sql):
            self._sql.executemany("INSERT OR IGNORE INTO forgotten VALUES (?, ?)", [(e, at) for e in events])
            holding = [self._versions_of(event) for event in events]
            ids = list(dict.fromkeys(id for found in holding for id in found))
            self._forget([self.version(id) for id in ids], fits, at, retrain=True)
        if ids:
            checkpoint(self._sql)
        return ids

    def retire_of(self, user: str, fits: Fits, at: float) -> list[Version]:
        """A user's own versions as they were, none of which serves any more."""
        with transaction(self._sql):
            found = self.versions(user)
            self._forget(found, fits, at, retrain=False)
        return found

    def erase(self, user: str) -> None:
        """No byte of the user's name, versions and answers is in the file when this returns."""
        mine = "(SELECT id FROM versions WHERE scope = ?)"
        with transaction(self._sql):
            self._sql.execute('DELETE FROM answers WHERE "user" = ?', (user,))
            self._sql.execute(f"DELETE FROM learned WHERE version IN {mine}", (user,))
            self._sql.execute(f"DELETE FROM moves WHERE version IN {mine}", (user,))
            self._sql.execute("DELETE FROM versions WHERE scope = ?", (user,))
        self._sql.execute("VACUUM")
        checkpoint(self._sql)

    # --- answers ---

    def note(self, answers: Iterable[Answer], keep: int) -> None:
        """Write down what stands behind answers; the newest `keep` of all stay."""
        rows = [(one.id, one.user, one.version, json.dumps(one.memories), one.at) for one in answers]
        with transaction(self._sql):
            self._sql.executemany(
                'INSERT OR REPLACE INTO answers (id, "user", version, memories, at) VALUES (?, ?, ?, ?, ?)',
                rows,
            )
            self._sql.execute(
                "DELETE FROM answers WHERE number <= (SELECT max(number) FROM answers) - ?", (keep,)
            )

    def answer(self, id: str, user: str | None) -> Answer:
        """Raises NotFound, also where it is another user's; None asks for anybody's."""
        row = self._sql.execute(
            'SELECT * FROM answers WHERE id = ? AND (? IS NULL OR "user" = ?)', (id, user, user)
        ).fetchone()
        if row is None:
            raise NotFound(f"nothing is known of an answer {id[:100]!r}")
        memories = tuple(json.loads(row["memories"]))
        return Answer(id=id, user=row["user"], version=row["version"], memories=memories, at=row["at"])

    # --- parts ---

    def _row(self, id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._sql.execute("SELECT * FROM versions WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no adapter version {id[:100]!r}", "version")
        return row

    def _version(self, row: sqlite3.Row) -> Version:
        fixed = json.loads(row["fixed"])
        fixed["events"] = tuple(fixed["events"])
        return Version(
            **fixed,
            path=str(self._directory / row["id"]),
            state=row["state"],
            verdict=verdict_of(json.loads(row["verdict"])) if row["verdict"] else None,
            reason=row["reason"],
            forgotten=bool(row["forgotten"]),
        )

    def _versions_of(self, event: str) -> list[str]:
        return [row[0] for row in self._sql.execute("SELECT version FROM learned WHERE event = ?", (event,))]

    def _standing_in(self, scope: str, state: State) -> Version | None:
        row = self._sql.execute(
            "SELECT * FROM versions WHERE scope = ? AND state = ?", (scope, state)
        ).fetchone()
        return None if row is None else self._version(row)

    def _leave(self, version: Version, reason: str, fits: Fits, at: float) -> None:
        self._move(version, "retired", reason, at)
        if version.state != "serving":
            return
        rows = self._sql.execute(
            "SELECT * FROM versions WHERE scope = ? AND state = 'retired' AND good AND NOT forgotten "
            "ORDER BY served DESC",
            (version.scope,),
        ).fetchall()
        back = next((found for row in rows if fits(found := self._version(row))), None)
        if back is not None:
            self._move(back, "serving", f"{version.id} was retired", at)

    def _forget(self, versions: Sequence[Version], fits: Fits, at: float, *, retrain: bool) -> None:
        ids = [(version.id,) for version in versions]
        self._sql.executemany("UPDATE versions SET good = 0 WHERE id = ?", ids)
        for version in versions:
            if version.state in STANDS:
                self._sql.execute("UPDATE versions SET retrain = ? WHERE id = ?", (retrain, version.id))
            if version.state in STANDS or version.state == "candidate":
                self._leave(version, "what it learned from was forgotten", fits, at)
        self._sql.executemany("UPDATE versions SET forgotten = 1 WHERE id = ?", ids)
        self._unquote(ids)

    def _unquote(self, ids: Sequence[tuple[str]]) -> None:
        """Verdicts and reasons of versions hold no questions and answers any more."""
        self._sql.create_function("unquoted", 1, unquoted, deterministic=True)
        for (id,) in ids:
            verdict = self.version(id).verdict
            if verdict is not None:
                slices = tuple(replace(one, said=unquoted(one.said)) for one in verdict.slices)
                plain = replace(verdict, slices=slices, reasons=tuple(map(unquoted, verdict.reasons)))
                text = json.dumps(asdict(plain))
                self._sql.execute("UPDATE versions SET verdict = ? WHERE id = ?", (text, id))
        self._sql.executemany("UPDATE versions SET reason = unquoted(reason) WHERE id = ?", ids)
        self._sql.executemany("UPDATE moves SET reason = unquoted(reason) WHERE version = ?", ids)

    def _move(
        self, version: Version, to: State, reason: str, at: float, *, share: float = 0.0, good: bool = False
    ) -> None:
        if to not in LEGAL[version.state]:
            raise InvalidRequest(f"{version.id} is {version.state} and cannot become {to}", "version")
        self._sql.execute(
            "UPDATE versions SET state = ?, reason = ?, share = ?, good = ? WHERE id = ?",
            (to, reason, share, good, version.id),
        )
        self._tell(version.id, to, reason, at)
        if {to, version.state} & STANDS:
            self._sql.execute("UPDATE counters SET value = value + 1 WHERE name = 'revision'")

    def _tell(self, id: str, state: State, reason: str, at: float) -> None:
        self._sql.execute(
            "INSERT INTO moves (version, state, reason, at) VALUES (?, ?, ?, ?)", (id, state, reason, at)
        )

    def _revision(self) -> int:
        row = self._sql.execute("SELECT value FROM counters WHERE name = 'revision'").fetchone()
        return int(row[0])


def verdict_of(tree: Mapping[str, Any]) -> Verdict:
    """A verdict from its JSON form."""
    slices = tuple(Slice(**one) for one in tree["slices"])
    return Verdict(
        accepted=tree["accepted"],
        slices=slices,
        reasons=tuple(tree["reasons"]),
        judged_at=tree["judged_at"],
    )


def _migrate(sql: sqlite3.Connection) -> None:
    """Bring the file to the newest shape, a transaction a step."""
    (version,) = sql.execute("PRAGMA user_version").fetchone()
    if version > len(SHAPES):
        raise InvalidRequest(
            f"the journal of adapters has version {version}, and this program knows versions up to "
            f"{len(SHAPES)}: run the newer program that wrote it"
        )
    for number, shape in enumerate(SHAPES[version:], start=version + 1):
        with transaction(sql):
            for statement in shape.split(";\n"):
                sql.execute(statement)
            sql.execute(f"PRAGMA user_version = {number}")


SHAPES = (
    """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('revision', 0);
CREATE TABLE versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    fixed TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('candidate', 'shadow', 'serving', 'retired', 'refused')),
    verdict TEXT,
    reason TEXT NOT NULL DEFAULT '',
    share REAL NOT NULL DEFAULT 0,
    served INTEGER NOT NULL DEFAULT 0,
    good INTEGER NOT NULL DEFAULT 0,
    forgotten INTEGER NOT NULL DEFAULT 0,
    retrain INTEGER NOT NULL DEFAULT 0,
    CHECK (NOT forgotten OR state NOT IN ('shadow', 'serving'))
);
CREATE UNIQUE INDEX one_stands ON versions (scope, state) WHERE state IN ('shadow', 'serving');
CREATE TABLE learned (
    event TEXT NOT NULL,
    version TEXT NOT NULL REFERENCES versions (id),
    PRIMARY KEY (event, version)
) WITHOUT ROWID;
CREATE TABLE moves (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    version TEXT NOT NULL REFERENCES versions (id),
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX moves_of_version ON moves (version, number);
CREATE TABLE forgotten (event TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    "user" TEXT NOT NULL,
    version TEXT,
    memories TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (id, "user")
);
CREATE INDEX answers_by_user ON answers ("user")
""".strip(),
)
"""Statements of each step; one that was released is never edited."""
