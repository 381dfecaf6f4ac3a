from benchmarks.keep_data import TABLES, spoken, tabled
from tune.cloze import questions


def test_what_is_generated_is_the_same_each_time_and_can_be_asked_about() -> None:
    tables = tabled()
    assert len(tables) == TABLES
    assert tables == tabled()
    assert all(questions(table, "seed") for table in tables)


def test_conversations_are_cut_at_blank_lines() -> None:
    (first, *_) = spoken()
    assert first.count("\n\n") > 5
    assert all(": " in line for line in first.splitlines() if line)
