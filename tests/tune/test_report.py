import json
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("optuna")

from actors.messages import InvalidRequest
from configs.sweep import plan
from tune.conductor import Conductor
from tune.report import HTML, write
from tune.results import compare, read
from tune.trials import carry_out

SWEEP = """name: searched
objective: branin
base: {steps: 4, noise: 0.1}
space:
  x1: {low: -5, high: 10}
  x2: {low: 0.5, high: 15, log: true}
search: {method: random}
early: {method: asha, factor: 3}
budget: {trials: 30}
seeds: [0]
confirm: [10, 11, 12, 13, 14, 15, 16]
"""
ABLATION = """name: parts
objective: branin
base: {x1: 3.1416, x2: 2.275, noise: 0.01}
ablate:
  pairs: true
  parts:
    far: {x1: 9}
    same: {seconds: 0.001}
seeds: [0, 1, 2, 3, 4, 5, 6, 7]
"""


def carried_out(folder: Path, text: str) -> Path:
    """A sweep in this process."""
    (folder / "sweep.yaml").write_text(text)
    conductor = Conductor(plan(folder / "sweep.yaml"), folder / "out", resume=False)
    while (run := conductor.next()) is not None:
        carry_out(run, partial(conductor.report, run.name))
        conductor.finish(run.name)
    return folder / "out"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carried_out(tmp_path_factory.mktemp("searched"), SWEEP)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carried_out(tmp_path_factory.mktemp("parts"), ABLATION)


def test_an_ablation_says_which_differences_are_real(parts: Path) -> None:
    found = {one.found.arm: one for one in compare([read(parts)])}
    assert list(found) == ["far", "same", "far + same"]
    assert found["far"].verdict == found["far + same"].verdict == "worse"
    assert found["same"].verdict == "not told apart"
    assert found["far"].found.low < found["far"].found.value < found["far"].found.high
    assert found["far"].found.seeds == 8


def test_the_best_of_a_search_is_judged_by_seeds_that_did_not_choose_it(searched: Path) -> None:
    (one,) = compare([read(searched)])
    assert one.found.seeds == 7
    assert not one.chosen
    assert one.verdict == "better"
    assert one.found.against == "base"


def test_the_page_has_all_figures_and_needs_nothing_else(searched: Path, parts: Path, tmp_path: Path) -> None:
    written = write([searched, parts], tmp_path, tmp_path / "figures")
    assert [path.name for path in written.files[:4]] == [
        "report.html",
        "report.md",
        "report.json",
        "results.jsonl",
    ]
    assert [path.name for path in written.files[4:]] == [
        *(f"searched-{name}.svg" for name in ("differences", "curves", "settings", "importance", "front")),
        *(f"parts-{name}.svg" for name in ("differences", "front")),
    ]
    assert all(ET.parse(path).getroot().tag.endswith("svg") for path in written.files[4:])
    page = (tmp_path / HTML).read_text()
    assert not any(asset in page for asset in ("http://", "https://", "<script", "<link", "src="))
    drawn = ["<svg" + part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    labels = [ET.fromstring(one).get("aria-label") for one in drawn]
    assert labels == [
        "difference in value, 95 % interval",
        "value by step",
        "settings of each trial",
        "importance of each setting",
        "value against seconds",
        "difference in value, 95 % interval",
        "value against seconds",
    ]
    assert "Which differences are real" in page
    found = json.loads((tmp_path / "report.json").read_text())
    assert [run["kind"] for run in found["runs"]] == ["sweep", "ablation"]
    assert sum(found["runs"][0]["states"].values()) == 30 + 14
    assert len(found["differences"]) == 1 + 3 + 1
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {"hardware", "versions", "git_commit", "config_hash", "seed", "value"} <= rows[0].keys()
    assert "| parts | far | base | value |" in (tmp_path / "report.md").read_text()


def test_what_early_stopping_saved_is_told(searched: Path, parts: Path, tmp_path: Path) -> None:
    found = read(searched).tokens()
    steps = [one.result.step for one in read(searched).trials if one.run.role == "search"]
    assert (found.search, found.whole) == (sum(steps), 4 * 30)
    assert found.spent == found.search + 4 * 14
    (said,) = write([searched, parts], tmp_path).notes
    assert f"{found.search / found.whole:.0%} of the 120 of the same trials without early stopping" in said


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no experiment"):
        write([tmp_path], tmp_path)
