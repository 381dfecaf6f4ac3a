import json
from pathlib import Path

import pytest

from benchmarks import learning
from benchmarks.learning_figures import missed, table

ROW = {
    "arm": "ours",
    "seed": 0,
    "rounds": 1,
    "facts": 30,
    "by_round": [[0.9]],
    "recall": 0.9,
    "leak": 0.02,
    "perplexity": {"prose": 1.01, "code": 1.02, "dialogue": 1.2},
    "world_change": 0.0,
    "world_low": -0.02,
    "train_seconds": 100.0,
    "gate_seconds": 50.0,
    "missed": [],
}


def test_a_row_at_the_bars_misses_none_and_one_below_misses_each():
    assert missed(ROW) == []
    bad = {
        **ROW,
        "recall": 0.79,
        "leak": 0.06,
        "perplexity": {"prose": 1.04, "code": 1.0},
        "world_low": -0.03,
    }
    assert missed({**bad, "gate_seconds": 101.0}) == [
        "recall 0.79",
        "leak 0.06",
        "prose +4.0%",
        "world -0.030",
        "201 CPU-s",
    ]
    assert missed({**ROW, "rounds": 5, "recall": 0.71, "by_round": [[0.5, 0.9]]}) == ["oldest 0.50"]


def test_the_table_has_a_line_for_each_arm_that_was_measured():
    lines = table(
        [ROW, {**ROW, "seed": 1, "recall": 0.8, "missed": ["leak 0.06"]}], ["ours", "peft"]
    ).splitlines()
    assert len(lines) == 3
    assert "0.850 (0.800)" in lines[2]
    assert "1: leak 0.06" in lines[2]


@pytest.mark.parametrize("arm", ["merge", "afresh"])
def test_arms_run_from_facts_to_rows_that_are_kept(arm: str, tiny_model: Path, tmp_path: Path, capsys):
    wanted = ["--model", str(tiny_model), "--rounds", "2", "--facts", "2", "--seeds", "0", "--arms", arm]
    wanted += ["--probes", "general", "--most", "1", "--every", "1", "--peer-steps", "2"]
    wanted += ["--out", str(tmp_path)]
    small = ["epochs=1", "phrasings=2", "neighbours=1", "general=1", "texts=1", "text_tokens=8"]
    code = learning.main([*wanted, *(part for pair in small for part in ("--set", pair))])
    (row,) = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert code == 1
    assert row["missed"]
    assert [len(part) for part in row["by_round"]] == [2, 2]
    assert row["by_round"][0][1] is None
    assert f"| {arm} |" in capsys.readouterr().out
    assert learning.main([*wanted, "--plot", str(tmp_path / "plot.png")]) == 1
    assert (tmp_path / "plot.png").stat().st_size > 1000
