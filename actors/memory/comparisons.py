"""Answers that users compared, as rows: put, found, erased. Knows no training and no answer of a model."""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence

from actors.identity import Identity
from actors.memory import events, given, selection
from actors.memory.database import next_number
from actors.memory.partitions import owner_of
from actors.memory.records import Compared, Forgetting, Judged
from actors.memory.users import user_number
from actors.messages import InvalidRequest, NotFound, TooLarge

COMPARISON = "comparison"
PREFIX = "cmp_"
ROLES = ("system", "developer", "user", "assistant")
MOST_MESSAGES, MOST_ANSWERS = 100, 16
LEAST_SPREAD = 1e-9
"""Scores that are nearer to each other, measured by the largest, are equal."""


def check(messages: Sequence[Mapping[str, str]], answers: Sequence[Judged], most_characters: int) -> None:
    """Raises InvalidRequest, TooLarge."""
    if not 1 <= len(messages) <= MOST_MESSAGES:
        raise InvalidRequest(f"1 to {MOST_MESSAGES} messages are taken", param="messages")
    for number, message in enumerate(messages):
        if message["role"] not in ROLES:
            raise InvalidRequest(
                f"role {message['role'][:40]!r} is none of {', '.join(ROLES)}", param=f"messages[{number}]"
            )
        _check_text(message["content"], f"messages[{number}]", most_characters)
    if messages[-1]["role"] != "user":
        raise InvalidRequest("the last message must be the user's: answers to it are compared", "messages")
    if not 2 <= len(answers) <= MOST_ANSWERS:
        raise InvalidRequest(
            f"2 to {MOST_ANSWERS} answers can be compared, not {len(answers)}", param="completions"
        )
    for number, one in enumerate(answers):
        _check_text(one.text, f"completions[{number}]", most_characters)
    if len({" ".join(one.text.split()) for one in answers}) < len(answers):
        raise InvalidRequest("two of the answers are the same: nothing can be learned of them")
    _check_scores([one.score for one in answers])


def put(
    connection: sqlite3.Connection,
    user: str,
    event_id: str,
    messages: Sequence[Mapping[str, str]],
    answers: Sequence[Judged],
    training: bool | None,
    identity: Identity,
) -> Compared:
    """See Keeper.put_comparison; what is given has been checked. Runs inside a write transaction."""
    owner = owner_of(user)
    before = events.seen(connection, owner, event_id, COMPARISON)
    number = user_number(connection, user, create=True)
    if before is None:
        scored = any(one.score is not None for one in answers)
        before = identity.stored(PREFIX, next_number(connection, "comparisons"))
        values = (
            *(before, number, "reward" if scored else "preference"),
            json.dumps([[one["role"], one["content"]] for one in messages]),
            json.dumps([[one.text, one.score] for one in answers]),
            *(training, event_id, identity.now()),
        )
        connection.execute(
            "INSERT INTO comparisons (id, user, kind, messages, answers, training, event_id, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        events.record(connection, owner, event_id, COMPARISON, before)
    found = connection.execute(
        "SELECT id, kind, at FROM comparisons WHERE user = ? AND id = ?", (number, before)
    ).fetchone()
    if found is None:
        raise NotFound("this comparison was forgotten")
    return Compared(id=found["id"], kind=found["kind"], at=found["at"])


def chosen(connection: sqlite3.Connection, user: int, what: Forgetting) -> list[int]:
    """The rows that meet every condition of a request to forget; they are of no session and no agent."""
    rows = connection.execute("SELECT * FROM comparisons WHERE user = ? ORDER BY number", (user,))
    return [row["number"] for row in rows if _meets(row, what)]


def texts(connection: sqlite3.Connection, user: int, what: Forgetting) -> list[str]:
    """The first answer of each of `chosen`."""
    rows = connection.execute(
        "SELECT answers FROM comparisons WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number",
        (json.dumps(chosen(connection, user, what)),),
    )
    return [json.loads(row["answers"])[0][0] for row in rows]


def erase(
    connection: sqlite3.Connection, owner: str, user: int, numbers: Sequence[int], now: float
) -> list[tuple[str, str]]:
    """Delete rows; the id and the event of each, which stay as tombstones."""
    return given.erase(connection, "comparisons", owner, user, numbers, now)


def _meets(row: sqlite3.Row, what: Forgetting) -> bool:
    if what.everything:
        return True
    said = (part for told in (row["messages"], row["answers"]) for part in json.loads(told))
    return (
        what.session is None
        and what.agent is None
        and (not what.ids or row["id"] in what.ids)
        and (what.before is None or row["at"] < what.before)
        and (
            what.matching is None
            or selection.says("\n".join(str(part) for pair in said for part in pair), what.matching)
        )
    )


def _check_text(text: str, param: str, most_characters: int) -> None:
    if not text.strip():
        raise InvalidRequest(f"{param} needs a text", param=param)
    if len(text) > most_characters:
        raise TooLarge(
            f"{param} has {len(text)} characters, more than memory.max_characters ({most_characters})", param
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{param} is not valid Unicode: {error}", param=param) from error


def _check_scores(scores: Sequence[float | None]) -> None:
    """All answers have one, or none of two."""
    known = [score for score in scores if score is not None]
    if not known and len(scores) == 2:
        return
    if len(known) < len(scores):
        raise InvalidRequest("every answer needs a score", param="completions")
    if not all(map(math.isfinite, known)):
        raise InvalidRequest("a score is a finite number", param="completions")
    if max(known) - min(known) <= LEAST_SPREAD * max(1.0, *map(abs, known)):
        raise InvalidRequest("the scores are all equal: none is better than another", param="completions")
