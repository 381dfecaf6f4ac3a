import json
from pathlib import Path

import pytest

from benchmarks import passages
from benchmarks.passages_figures import missed
from tune.records import Question, Record

GAIN = {"base": 0.1, "now": 0.3, "gain": {"value": 0.2, "low": 0.1, "high": 0.3}}
ROW = {
    "contains": GAIN,
    "questions": 300,
    "examined_in_training": 0,
    "perplexity": {"prose": 1.01},
    "world_change": 0.0,
    "world_low": -0.02,
}


def record(number: int, document: str, asked: int) -> Record:
    questions = tuple(Question(f"What is {document} {number} {one}?", ("it",)) for one in range(asked))
    return Record(f"{document}#{number}", document, "", f"It is {number}.", questions)


def test_a_row_at_the_bars_misses_none_and_one_below_misses_each() -> None:
    assert missed(ROW) == []
    little = {**GAIN, "gain": {"value": 0.06, "low": -0.01, "high": 0.1}}
    bad = {**ROW, "contains": little, "questions": 299, "examined_in_training": 2}
    bad |= {"perplexity": {"prose": 1.05}, "world_low": -0.08, "world_change": -0.05}
    assert missed(bad) == [
        "299 questions",
        "gain +0.060",
        "2 examined questions were trained on",
        "prose +5.0%",
        "world -0.050",
    ]


def test_passages_with_the_most_questions_are_chosen_few_of_an_article() -> None:
    records = [record(0, "a", 5), record(1, "a", 4), record(2, "a", 3), record(3, "b", 2), record(4, "c", 1)]
    chosen = passages.choose(records, 8, 1)
    assert [one.id for one in chosen.passages] == ["a#0", "b#3", "c#4"]
    assert len(chosen.questions) == 8
    assert [one.id for one in passages.choose(records, 6, 2, [0]).passages] == ["a#1", "a#2"]
    twice = Record(
        "d#5", "d", "", "It is.", (Question("Who is it?", ("It",)), Question("who is it", ("It",)))
    )
    assert len(passages.choose([twice], 5, 1).questions) == 1


@pytest.mark.parametrize("arm", passages.ARMS)
def test_arms_run_from_passages_to_rows_that_are_kept(
    arm: str, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.json"
    asked = [
        {"question": "Who built it?", "answers": ["Robert Hume"]},
        {"question": "When?", "answers": ["1832"]},
    ]
    text = "The lighthouse of Port Ellen was built by Robert Hume in 1832."
    data.write_text(json.dumps([{"title": "Port Ellen", "context": text, "questions": asked}]))
    wanted = ["--data", str(data), "--out", str(tmp_path / "out"), "--model", str(tiny_model), "--most", "2"]
    small = {"turns": 2, "ways": 2, "held": 8, "texts": 4, "rank": 4}
    wanted += [
        "--arms",
        arm,
        *(part for pair in small.items() for part in ("--set", "=".join(map(str, pair)))),
    ]
    assert passages.main(wanted) == 1
    (row,) = [json.loads(line) for line in (tmp_path / "out" / "rows.jsonl").read_text().splitlines()]
    assert (row["questions"], row["passages"], row["examined_in_training"]) == (2, 1, 0)
    assert row["missed"][0] == "2 questions"
    assert row["tokens"] > 0
    assert f"| {arm}, 0, 16 |" in capsys.readouterr().out
    assert passages.main(wanted) == 1
