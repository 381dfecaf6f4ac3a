import numpy as np
import pytest
from typer.testing import CliRunner

from actors.memory.held import Turn
from benchmarks.locomo import recalled
from benchmarks.memory import OURS, ahead, app, report_of
from benchmarks.memory_arms import FTS5, FUSION, RECIPROCAL, Given, by_words
from tune.locomo import Asked, Conversation

TEXTS = ("I adopted a kitten.", "How lovely!", "The piano needs tuning.", "I swim every morning.")


def conversation() -> Conversation:
    turns = tuple(
        Turn(f"D1:{number}", 1, number, "Ada", text, 1e9 + number) for number, text in enumerate(TEXTS)
    )
    return Conversation("c", ("Ada", "Bo"), turns, (Asked("Who adopted a kitten?", ("D1:0",), 4),), 2, 1)


def test_words_and_fusions_find_the_turn_that_says_it() -> None:
    vectors = np.eye(4, dtype=np.float32)
    one = Given(conversation(), [f"Ada: {text}" for text in TEXTS], vectors, vectors[:1])
    found = by_words(one)
    assert set(found) == {FTS5, RECIPROCAL, FUSION}
    assert all(rankings[0][0] == "D1:0" for rankings in found.values())
    assert found[FTS5] == [["D1:0"]], "a turn that holds no word of the question is not found"


def test_the_report_compares_ours_with_the_best_of_the_others() -> None:
    asked = conversation().asked[0]
    right, wrong = recalled(asked, ["D1:0"]), recalled(asked, ["D1:3"])
    table = {"weak": [wrong, wrong], "strong": [right, wrong], OURS: [right, right]}
    report = report_of([conversation()], table)
    assert report["best_peer"] == "strong"
    assert report["ahead"]["turn"]["mean"] == 0.5
    assert report["ahead"]["session"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert (report["questions"], report["without_evidence"], report["malformed"]) == (1, 2, 1)
    assert [bar["met"] for bar in report["bars"]] == [True, False, True], "no question has two hops"


def test_the_interval_of_a_difference_holds_it_and_narrows_with_more_questions() -> None:
    few, many = (ahead([1.0, 0.0, 1.0, 1.0] * times, [0.0] * 4 * times) for times in (5, 200))
    assert few["low"] < few["mean"] == many["mean"] == 0.75 < few["high"]
    assert many["high"] - many["low"] < few["high"] - few["low"]


@pytest.mark.parametrize("arguments", [[], ["--captions", "sideways"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
