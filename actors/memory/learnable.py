"""What a user told, rated and uploaded, as records to learn from, some at a time. Judges only consent.

What may not be learned is told by its ids and the reason alone: its text does not leave the store.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from actors.memory import consents, exchanges, unlearning
from actors.memory.files import content_id
from actors.memory.memories import LIVE
from actors.memory.records import Consent
from actors.memory.users import user_number
from actors.messages import InvalidRequest, Json

EARLIER = 4
"""Turns of the session that are told before the question of an exchange."""
NEVER = "its request said that it may not be trained on"
WITHDRAWN = "the user switched training off"
UNSET = "the user has not switched training on"


def learnable(connection: sqlite3.Connection, user: str, after: str, limit: int, now: float) -> list[Json]:
    """See Keeper.learnable."""
    section, _, place = after.partition(":")
    if after and (section not in _SECTIONS or not place.isdecimal()):
        raise InvalidRequest(f"{after!r} is no place to go on from", param="after")
    number, consent = user_number(connection, user), consents.get(connection, user)
    found: list[Json] = []
    names = list(_SECTIONS)
    for name in names[names.index(section) if section else 0 :]:
        row = int(place) if name == section else 0
        asked = Asked(number, row, limit - len(found), now, consent)
        for at, marks, ids, record in _SECTIONS[name](connection, asked):
            known_as = unlearning.known_as(connection, number, ids)
            found.append(_admitted(name, at, marks, known_as, record, consent))
        if len(found) >= limit:
            break
    return found


class Asked(NamedTuple):
    """A page of one user's: the rows after `after`."""

    user: int
    after: int
    limit: int
    now: float
    consent: Consent


Read = Iterator[tuple[int, list[int | None], list[str], dict[str, Json]]]
"""Row, what the requests behind it said of training, ids it comes from, and the record without these."""


def refusal(consent: Consent, marks: Iterable[int | None]) -> str | None:
    """Why something may not be learned; None: it may. What a request forbade stays forbidden."""
    said = list(marks)
    if 0 in said:
        return NEVER
    if consent.training is False:
        return WITHDRAWN
    if consent.training or (said and all(said)):
        return None
    return UNSET


def _admitted(
    kind: str, at: int, marks: list[int | None], ids: list[str], record: dict[str, Json], consent: Consent
) -> Json:
    why = refusal(consent, marks)
    told = {"cursor": f"{kind}:{at}", "kind": kind, "id": record["id"], "events": ids, "refused": why}
    return told if why is not None else {**told, "shared": consent.shared, **record}


def _facts(connection: sqlite3.Connection, at: Asked) -> Read:
    rows = connection.execute(
        'SELECT f.number, f.subject, f.slot, f.value, f.single, f.start, f."end", f.valid_from, m.id, '
        "m.text, m.number AS memory, m.role, m.speaker, m.session, m.event_id, m.training "
        "FROM memory_facts f JOIN memories m ON m.number = f.memory WHERE f.user = ? AND f.number > ? "
        "AND f.holds AND f.valid_to IS NULL AND f.change IS NULL AND m.merged_into IS NULL "
        f"AND m.archived_at IS NULL AND {LIVE} ORDER BY f.number LIMIT ?",
        (at.user, at.after, at.now, at.limit),
    )
    for row in rows.fetchall():
        record = {
            **{name: row[name] for name in ("id", "subject", "slot", "value", "role", "speaker", "session")},
            "statement": row["text"][row["start"] : row["end"]],
            "single": bool(row["single"]),
            "at": row["valid_from"],
        }
        yield row["number"], [row["training"]], _ids(connection, [row]), record


def _exchanges(connection: sqlite3.Connection, at: Asked) -> Read:
    rows = connection.execute(
        "SELECT * FROM feedback WHERE user = ? AND number > ? ORDER BY number LIMIT ?",
        (at.user, at.after, at.limit),
    )
    for row in rows.fetchall():
        asked = _turns(connection, at, exchanges.asked(row["completion"]))
        answered = _turns(connection, at, exchanges.answered(row["completion"]))
        earlier = _earlier(connection, at, asked[0]) if asked else []
        turns = [*earlier, *asked, *answered]
        record = {
            "id": row["id"],
            "completion_id": row["completion"],
            "rating": row["rating"],
            "correction": row["correction"],
            "messages": _messages([*earlier, *asked]),
            "answer": _joined(turn["text"] for turn in answered),
            "session": row["session"],
            "at": row["at"],
        }
        ids = [row["id"], row["event_id"], *_ids(connection, turns)]
        yield row["number"], [turn["training"] for turn in turns], ids, record


def _preferences(connection: sqlite3.Connection, at: Asked) -> Read:
    for row, messages, answers in _compared(connection, at, "preference"):
        (chosen, _), (rejected, _) = answers
        told = {"messages": messages, "chosen": chosen, "rejected": rejected}
        yield row["number"], [row["training"]], [row["id"], row["event_id"]], {**_given(row), **told}


def _rewards(connection: sqlite3.Connection, at: Asked) -> Read:
    for row, messages, answers in _compared(connection, at, "reward"):
        completions = [{"text": text, "score": score} for text, score in answers]
        told = {"messages": messages, "completions": completions}
        yield row["number"], [row["training"]], [row["id"], row["event_id"]], {**_given(row), **told}


def _compared(
    connection: sqlite3.Connection, at: Asked, kind: str
) -> Iterator[tuple[sqlite3.Row, list[Json], list[Json]]]:
    """Rows, with the messages and the answers of each."""
    rows = connection.execute(
        "SELECT * FROM comparisons WHERE user = ? AND kind = ? AND number > ? ORDER BY number LIMIT ?",
        (at.user, kind, at.after, at.limit),
    )
    for row in rows.fetchall():
        messages = [{"role": role, "content": text} for role, text in json.loads(row["messages"])]
        yield row, messages, json.loads(row["answers"])


def _given(row: sqlite3.Row) -> dict[str, Json]:
    return {"id": row["id"], "session": "", "at": row["at"]}


def _passages(connection: sqlite3.Connection, at: Asked) -> Read:
    rows = connection.execute(
        'SELECT c.id AS number, c.ordinal, c.heading, c.start, c."end", c.text, f.id AS file, f.sha256, '
        "f.filename, f.created_at FROM chunks c JOIN files f ON f.number = c.file "
        "WHERE c.user = ? AND c.id > ? ORDER BY c.id LIMIT ?",
        (at.user, at.after, at.limit),
    )
    for row in rows.fetchall():
        record = {
            **{name: row[name] for name in ("heading", "start", "end", "text", "filename")},
            "id": f"{row['file']}#{row['ordinal']}",
            "file": row["file"],
            "at": row["created_at"],
        }
        yield row["number"], [None], [row["file"], content_id(row["file"], row["sha256"])], record


_SECTIONS: dict[str, Callable[[sqlite3.Connection, Asked], Read]] = {
    "fact": _facts,
    "exchange": _exchanges,
    "preference": _preferences,
    "reward": _rewards,
    "passage": _passages,
}


def _turns(connection: sqlite3.Connection, at: Asked, event_id: str) -> list[sqlite3.Row]:
    rows = connection.execute(
        f"SELECT m.*, m.number AS memory FROM memories m WHERE user = ? AND event_id = ? AND {LIVE} "
        "ORDER BY ordinal",
        (at.user, event_id, at.now),
    )
    return rows.fetchall()


def _earlier(connection: sqlite3.Connection, at: Asked, first: sqlite3.Row) -> list[sqlite3.Row]:
    """The turns just before a question that may be learned too; none of an unnamed session."""
    if first["session"] in ("", exchanges.UNNAMED):
        return []
    rows = connection.execute(
        "SELECT m.*, m.number AS memory FROM memories m WHERE user = ? AND session = ? AND ordinal < ? "
        f"AND kind = 'turn' AND {LIVE} ORDER BY ordinal DESC LIMIT ?",
        (at.user, first["session"], first["ordinal"], at.now, EARLIER),
    )
    found = list(takewhile(lambda row: refusal(at.consent, [row["training"]]) is None, rows.fetchall()))[::-1]
    while found and found[0]["role"] != "user":
        found.pop(0)
    return found


def _messages(turns: list[sqlite3.Row]) -> list[Json]:
    """Turns as messages; those of one role that follow each other are one."""
    found: list[dict[str, Json]] = []
    for turn in turns:
        if found and found[-1]["role"] == turn["role"]:
            found[-1]["content"] = _joined((found[-1]["content"], turn["text"]))
        else:
            found.append({"role": turn["role"], "content": turn["text"]})
    return found


def _joined(texts: Iterable[str]) -> str:
    """Pieces as the text they were cut from: a piece ends with the space it was cut after."""
    whole = ""
    for text in texts:
        whole += text if not whole or whole[-1].isspace() else f"\n{text}"
    return whole


def _ids(connection: sqlite3.Connection, turns: list[sqlite3.Row]) -> list[str]:
    """The memories, and every event that wrote one, changed it or said it again."""
    changed = connection.execute(
        "SELECT event_id FROM memory_changes WHERE event_id <> '' "
        "AND memory IN (SELECT value FROM json_each(?)) ORDER BY number",
        (json.dumps([turn["memory"] for turn in turns]),),
    )
    written = [part for turn in turns for part in (turn["id"], turn["event_id"]) if part]
    return list(dict.fromkeys([*written, *(row["event_id"] for row in changed)]))
