import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.keeper import Keeper
from actors.memory import fulltext


def test_no_term_is_syntax() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5(text)")

        @given(st.lists(st.text(), min_size=1, max_size=5))
        def check(terms: list[str]) -> None:
            connection.execute("SELECT 1 FROM t WHERE t MATCH ?", (fulltext.expression(terms),)).fetchall()

        check()


async def test_a_window_holds_neighbours_heading_and_file_name(keeper: Keeper, add: Any) -> None:
    await add("docs/lighthouse.md", "alpha\nbeta\ngamma\ndelta")

    def windows(connection: sqlite3.Connection, word: str) -> list[int]:
        return sorted(fulltext.best(connection, 1, "window", [word], None, 9))

    ids = [1, 2, 3, 4]
    assert await keeper._workers.read(windows, "alpha") == ids[:2]
    assert await keeper._workers.read(windows, "gamma") == ids[1:]
    assert await keeper._workers.read(windows, "lighthouse") == ids


async def test_scores_of_chosen_passages_are_those_of_the_search(keeper: Keeper, add: Any) -> None:
    await add("a.txt", "tower\ntower harbour\nharbour\nnothing")
    terms = ["tower", "harbour"]
    best = await keeper._workers.read(fulltext.best, 1, "text", terms, None, 9)
    chosen = await keeper._workers.read(fulltext.scores, 1, "text", terms, [1, 3, 4])
    assert chosen == {passage: best[passage] for passage in (1, 3)}
    assert next(iter(best)) == 2
    assert await keeper._workers.read(fulltext.best, 1, "text", terms, [999], 9) == {}


async def test_terms_are_stemmed_and_accents_ignored(keeper: Keeper, add: Any) -> None:
    await add("a.txt", "Running cafés")
    for term, count in (("run", 1), ("CAFE", 1), ("running cafes", 1), ("cafes running", 0), ("", 0)):
        assert await keeper._workers.read(fulltext.frequency, 1, term, None) == count


async def test_a_very_long_query_is_answered(keeper: Keeper, add: Any) -> None:
    await add("a.txt", "tower")
    terms = [f"word{number}" for number in range(20_000)] + ["tower"]
    assert await keeper._workers.read(fulltext.best, 1, "text", terms, None, 9)


@pytest.mark.parametrize(
    "damage", ["DELETE FROM text_1 WHERE rowid = 1", "UPDATE chunks SET text = 'x' WHERE id = 1"]
)
async def test_check_sees_an_index_that_differs(keeper: Keeper, add: Any, damage: str) -> None:
    await add("a.txt", "alpha\nbeta")
    assert await keeper._workers.outside(fulltext.check, 1)
    await keeper._workers.outside(sqlite3.Connection.execute, damage)
    assert not await keeper._workers.outside(fulltext.check, 1)


async def test_a_thousand_edits_do_not_wear_the_index_out(keeper: Keeper, add: Any) -> None:
    """FTS5 before 3.42 adds two levels at each merge of all segments, and calls 2,000 levels corrupt."""
    for number in range(1100):
        await add("a.txt", f"tower {number}")
    assert await keeper._workers.read(fulltext.frequency, 1, "tower", None) == 1
    assert await keeper._workers.outside(fulltext.check, 1)


def test_terms_are_spelt_together_as_each_alone() -> None:
    terms = ["Café-Häuser", "running", "", "\0", "running", "new york"]
    found = fulltext.spelt(terms)
    assert found == {term: fulltext.spelt([term])[term] for term in terms}
    assert (found["running"], found["new york"], found[""]) == (("run",), ("new", "york"), ())
