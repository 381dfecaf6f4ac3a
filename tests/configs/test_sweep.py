import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import SettingsError
from configs.planned import BASE
from configs.sweep import Machine, plan

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "configs").glob("*s/*.yaml"))
GOOD = """name: demo
objective: learning
base:
  facts: 5
goals:
  - {metric: score, direction: maximize}
space:
  learning.rank: [4, 8]
  learning.rate: {low: 1.0e-4, high: 1.0e-2, log: true}
search:
  method: tpe
resources: {cpus: 1}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "  learning.rate:",
            "  learning.rte:",
            ":9: learning.rte: no such setting: learning.rte; did you mean learning.rate?",
        ),
        ("[4, 8]", "[4, 0]", ":8: learning.rank = 0: Input should be greater than or equal to 1"),
        ("low: 1.0e-4", "low: -1", ":9: space.learning.rate: log needs a low above 0"),
        ("high: 1.0e-2", "high: 1.0e-5", ":9: space.learning.rate: needs a low below its high"),
        ("{cpus: 1}", "{cpus: 64}", ":12: resources.cpus: a trial asks for 64, and 2 can be had"),
        ("{cpus: 1}", "{gpus: 0.5}", ":12: resources.gpus: a trial asks for 0.5, and 0 can be had"),
        (
            "method: tpe",
            "method: tpee",
            ":11: search.method: Input should be 'grid', 'random', 'tpe', 'gp' or 'bohb'; did you mean",
        ),
        (
            "objective: learning",
            "objective: lerning",
            ":2: no such objective: lerning; did you mean learning?",
        ),
        ("metric: score", "metric: scor", ":6: no such figure: scor; did you mean score?"),
        ("facts: 5", "fatcs: 5", ":4: base.fatcs: no such setting; did you mean facts?"),
        ("facts: 5", "facts: none", ":4: base.facts: Input should be a valid integer"),
        ("method: tpe", "method: grid", ":9: learning.rate: a grid needs a list"),
        ("name: demo", "nmae: demo", ":1: nmae: no such setting; did you mean name?"),
        ("base:\n  facts: 5", "base: bse.yaml", ":3: base: there is no file"),
        (
            "name: demo",
            "name: demo\nablate: {parts: {a: {learning.rank: 1}}}",
            ":1: space and ablate: one of them",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_file_line_and_the_nearest_name(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(SettingsError) as raised:
        plan(path, Machine(2, 0))
    assert f"{path}{said}" in str(raised.value)


def test_a_part_that_is_taken_away_is_checked_like_any_setting(tmp_path: Path) -> None:
    text = "name: x\nobjective: learning\nablate:\n  parts:\n    no hold:\n      learning.hold: 0\n"
    with pytest.raises(SettingsError, match=r":6: learning\.hold: no such setting"):
        plan(written(tmp_path, text))


def test_the_base_may_stand_in_a_file_of_its_own_which_is_named_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("facts: 5\nlearning:\n  rank: none\n")
    path = written(tmp_path, GOOD.replace("base:\n  facts: 5", "base: base.yaml"))
    with pytest.raises(SettingsError, match=r"base.yaml:3: learning.rank: Input should be a valid integer"):
        plan(path)
    (tmp_path / "base.yaml").write_text("facts: 7\n")
    assert plan(path).base == {"facts": 7}
    assert plan(path, given={"facts": 9}).base == {"facts": 9}
    with pytest.raises(SettingsError, match="--set fact: no such setting: fact; did you mean facts"):
        plan(path, given={"fact": 9})


def test_parts_are_taken_away_alone_and_in_pairs_that_do_not_meet(tmp_path: Path) -> None:
    text = (
        "name: x\nobjective: ranker\nablate:\n  pairs: true\n  parts:\n"
        "    a: {speaker: false}\n    b: {session: false}\n    c: {speaker: false, dates: false}\n"
    )
    arms = plan(written(tmp_path, text)).arms
    assert list(arms) == [BASE, "a", "b", "c", "a + b", "b + c"]
    assert arms["a + b"] == {"speaker": False, "session": False}


def test_only_what_decides_the_figures_is_in_the_hash(tmp_path: Path) -> None:
    first = plan(written(tmp_path, GOOD)).hash
    assert plan(written(tmp_path, GOOD.replace("cpus: 1", "cpus: 2"))).hash == first
    assert plan(written(tmp_path, GOOD.replace("facts: 5", "facts: 6"))).hash != first


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_is_possible(path: Path) -> None:
    assert plan(path, Machine(2, 0)).experiment.name == path.stem


def test_nothing_heavy_is_imported_before_a_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("tpe", "bayes"))
    heavy = ("torch", "ray", "optuna", "numpy", "transformers")
    code = (
        "import sys; from cluster.__main__ import app\n"
        f"try: app(['sweep', 'run', {str(path)!r}])\n"
        f"except SystemExit as end: print(end.code, [name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "2 []"
    assert f"error: {path}:11: search.method" in run.stderr
