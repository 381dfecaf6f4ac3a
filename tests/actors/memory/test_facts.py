import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.identity import RANDOM
from actors.memory import facts, forgetting, writing
from actors.memory.database import connect, transaction
from actors.memory.migrations import migrate
from actors.memory.records import Forgetting, NewMemory

TEXTS = (
    "I live in Porto.",
    "I live in Faro.",
    "I moved to Braga.",
    "I no longer live in Porto.",
    "I like tea.",
    "I like coffee.",
    "I no longer like tea.",
    "My dog is called Rex.",
    "Hello there.",
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with no user."""
    opened = connect(tmp_path)
    migrate(opened)
    yield opened
    opened.close()


def say(connection: sqlite3.Connection, event: str, text: str, at: float) -> str:
    with transaction(connection):
        new = [NewMemory(text=text, said_at=at, kind="note")]
        done = writing.remember(connection, "u", event, new, None, "", "", RANDOM, 100.0)
    return done.written[0].id


@pytest.mark.parametrize("seed", range(12))
def test_times_are_the_same_one_by_one_as_all_at_once(connection: sqlite3.Connection, seed: int) -> None:
    rng, ids = random.Random(seed), []
    for step in range(25):
        ids.append(say(connection, f"e{step}", rng.choice(TEXTS), rng.choice((10.0, step, 50.0 - step))))
        with transaction(connection):
            if rng.random() < 0.3:
                edit = writing.Edit(text=rng.choice(TEXTS))
                writing.update(connection, "u", f"u{step}", rng.choice(ids), edit, 100.0 + step)
            if rng.random() < 0.1 and len(set(ids)) > 1:
                gone = rng.choice(ids)
                forgetting.forget(connection, "u", f"f{step}", Forgetting(ids=(gone,)), 100.0 + step)
                ids = [one for one in ids if one != gone]
        rows = connection.execute("SELECT DISTINCT subject, slot FROM memory_facts").fetchall()
        with transaction(connection):
            assert facts.retime(connection, 1, [(row["subject"], row["slot"]) for row in rows]) == set()


def test_what_is_retracted_holds_no_longer_and_the_statement_is_quoted(
    connection: sqlite3.Connection,
) -> None:
    say(connection, "1", "Well. I live in Porto. Fine.", 1.0)
    gone = say(connection, "2", "I no longer live in Porto.", 2.0)
    (fact,) = facts.held(connection, "u", 9.0, subject="user", slot="home", history=True)
    assert (fact.statement, fact.valid_to, fact.superseded_by) == ("I live in Porto.", 2.0, gone)
    assert facts.held(connection, "u", 9.0) == []
    assert [fact.value for fact in facts.held(connection, "u", 9.0, as_of=1.5)] == ["Porto"]
    assert facts.held(connection, "nobody", 9.0) == []


def test_a_fact_said_again_in_the_same_note_is_told_once(connection: sqlite3.Connection) -> None:
    for step in range(3):
        say(connection, f"e{step}", "I live in Porto.", float(step))
    assert len(facts.held(connection, "u", 9.0)) == 1
    assert facts.count(connection, 1, 9.0) == 1
    assert len(facts.held(connection, "u", 9.0, history=True)) == 3
