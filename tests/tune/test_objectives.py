import json
from pathlib import Path

import pytest

from configs.experiment import Experiment
from configs.objectives import Branin, Hartmann6
from configs.planned import Planned, as_tree
from tune.objective_learning import ATTRIBUTES, invented
from tune.trials import Result, Run, carry_out, items_of

BEST = {"x1": 0.20169, "x2": 0.150011, "x3": 0.476874, "x4": 0.275332, "x5": 0.311652, "x6": 0.6573}


def trial(folder: Path, objective: str, base: dict[str, object]) -> tuple[Run, Result, list[int]]:
    """One trial of an objective, carried out; and the steps that it told."""
    planned = Planned(Experiment(name="demo", objective=objective), base, folder)
    run = Run(
        folder=folder / "demo-0000-s0",
        number=0,
        seed=0,
        role="arm",
        arm="base",
        objective=objective,
        values={},
        settings=as_tree(planned.settings({})),
        goals=(planned.described.goal,),
        experiment="demo",
        config_hash=planned.hash,
    )
    run.write()
    steps: list[int] = []
    result = carry_out(run, lambda step, _: not steps.append(step))
    assert result is not None
    return run, result, steps


@pytest.mark.parametrize(
    ("objective", "best", "value"),
    [("hartmann6", BEST, 3.32237), ("branin", {"x1": 3.141593, "x2": 2.275}, 0.397887)],
)
def test_functions_have_the_optimum_that_is_known_of_them(
    tmp_path: Path, objective: str, best: dict[str, object], value: float
) -> None:
    _, result, steps = trial(tmp_path, objective, {**best, "noise": 0.0, "steps": 3})
    assert result.figures["true"] == result.figures["value"] == pytest.approx(value, abs=1e-4)
    assert steps == [1, 2, 3]
    assert Hartmann6().x6 == 0.5
    assert Branin().x2 == 7.5


def test_the_ranker_finds_evidence_and_less_of_it_without_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAL_MODELS__EMBEDDER", "hash")
    said = [
        "My cat is called Miso.",
        "It rained.",
        "I moved to Porto in May.",
        "Work was long.",
        "I like tea.",
    ]
    turns = [
        {"id": f"t{place}", "session": "1", "speaker": "Ada", "text": text, "said_at": 1e9 + place}
        for place, text in enumerate(said)
    ]
    questions = [
        {"question": "What is Ada's cat called?", "evidence": ["t0"]},
        {"question": "Where did Ada move to?", "evidence": ["t2"]},
    ]
    path = tmp_path / "examples.jsonl"
    path.write_text(json.dumps({"turns": turns, "questions": questions}) + "\n")
    run, result, _ = trial(tmp_path / "whole", "ranker", {"examples": str(path), "limit": 1})
    assert result.figures["recall"] == 1.0
    assert [(one.id, one.group, one.value) for one in items_of(run.folder)] == [
        ("1/0", "1/0", 1.0),
        ("1/1", "1/0", 1.0),
    ]
    parts = ("neighbours", "speaker", "session", "dates", "wording", "by_vector", "second_round")
    off: dict[str, object] = dict.fromkeys(parts, False)
    _, less, _ = trial(tmp_path / "less", "ranker", {"examples": str(path), "limit": 1, **off})
    assert less.figures["recall"] <= 1.0
    _, failed, _ = trial(tmp_path / "none", "ranker", {})
    assert (failed.state, "needs base.examples" in failed.said) == ("failed", True)


def test_invented_facts_are_a_function_of_the_seed_and_share_no_value() -> None:
    facts = invented(20, 1)
    assert facts == invented(20, 1) != invented(20, 2)
    assert len({fact.value for fact in facts}) == len({fact.subject for fact in facts}) == 20
    assert {fact.attribute for fact in facts} == set(ATTRIBUTES)
    assert all(fact.value in fact.statement for fact in facts)


def test_learning_tells_each_epoch_and_leaves_an_adapter_with_its_card(
    tmp_path: Path, tiny_model: Path
) -> None:
    from tune.scorecard import from_json

    how = {
        "model": str(tiny_model),
        "method": "gradient",
        "epochs": 2,
        "phrasings": 2,
        "neighbours": 1,
        "general": 2,
        "texts": 1,
        "stop": 0,
    }
    base = {"facts": 2, "unknown": 2, "general": 3, "texts": 2, "learning": how}
    run, result, steps = trial(tmp_path, "learning", base)
    assert result.state == "complete", result.said
    assert steps == [1, 2, 3]
    assert result.figures["tokens"] > 100
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= line["glance"] <= 1 and line["strain"] >= line["loss"] > 0 for line in lines[:2])
    found = items_of(run.folder)
    whole = sum(one.weight for one in found)
    assert result.figures["score"] == pytest.approx(sum(one.weight * one.value for one in found) / whole)
    assert (run.folder / "adapter" / "manifest.json").is_file()
    card = from_json((run.folder / "card.json").read_bytes())
    assert len(card.candidate.answers) == 2 * 3 + 2 + 3


def test_learning_by_writing_tells_its_loss_and_leaves_an_adapter_too(
    tmp_path: Path, tiny_model: Path
) -> None:
    edit = {
        "site": 0.0,
        "strangers": 16,
        "text_tokens": 120,
        "fit_steps": 20,
        "own_fit_steps": 20,
        "steps": 10,
    }
    how = {"model": str(tiny_model), "phrasings": 2, "stop": 0, "edit": edit}
    base = {"facts": 2, "unknown": 2, "general": 3, "texts": 2, "learning": how}
    run, result, steps = trial(tmp_path, "learning", base)
    assert result.state == "complete", result.said
    assert steps == [5, 10, 11]
    assert result.figures["tokens"] > 100
    manifest = json.loads((run.folder / "adapter" / "manifest.json").read_text())
    assert manifest["method"] == "edits"
