import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from actors.messages import InvalidRequest
from configs.planned import Planned
from configs.sweep import plan
from tune.conductor import TRIALS, Conductor, Event
from tune.trials import carry_out, lines_of, result_of

SWEEP = "space:\n  x1: {low: -5, high: 10}\n  x2: {low: 0, high: 15}\n"


def planned(folder: Path, more: str = SWEEP) -> Planned:
    path = folder / "sweep.yaml"
    path.write_text(f"name: demo\nobjective: branin\n{more}")
    return plan(path)


def play(conductor: Conductor, most: int = 1000) -> list[str]:
    """Carry out trials in this process, one after another; what ran, in order."""
    ran: list[str] = []
    while len(ran) < most and not conductor.over and (run := conductor.next()) is not None:
        carry_out(run, partial(conductor.report, run.name))
        conductor.finish(run.name)
        ran.append(run.name)
    return ran


def begun(folder: Path, more: str = SWEEP, **options: Any) -> Conductor:
    return Conductor(planned(folder, more), folder / "out", resume=options.pop("resume", False), **options)


def test_a_sweep_that_died_repeats_nothing_and_chooses_as_if_it_had_not(tmp_path: Path) -> None:
    more = SWEEP + "budget: {trials: 9}\nsearch: {method: tpe, startup: 4}\nbase: {steps: 2, noise: 0.1}\n"
    (tmp_path / "peace").mkdir()
    whole = begun(tmp_path / "peace", more)
    names = play(whole)
    first = begun(tmp_path, more)
    assert play(first, 5) == names[:5]
    cut = first.next()
    assert cut is not None
    carry_out(cut, lambda step, _: step < 1)
    again = begun(tmp_path, more, resume=True)
    assert play(again) == names[5:]
    assert [run.values for run in again.outcome().best] == [run.values for run in whole.outcome().best]
    assert again.outcome().states == {"complete": 9}
    assert [line["step"] for line in lines_of(cut.folder)] == [1, 2]
    assert play(begun(tmp_path, more, resume=True)) == []


def test_a_directory_that_holds_a_sweep_is_begun_once_and_gone_on_with_the_same_settings(
    tmp_path: Path,
) -> None:
    play(begun(tmp_path, SWEEP + "budget: {trials: 2}\n"))
    with pytest.raises(InvalidRequest, match="holds a sweep"):
        begun(tmp_path)
    with pytest.raises(InvalidRequest, match="begun with other settings"):
        begun(tmp_path, SWEEP + "base: {noise: 3}\n", resume=True)
    more = begun(tmp_path, SWEEP + "budget: {trials: 4}\n", resume=True)
    assert len(play(more)) == 2


def test_early_stopping_looks_at_the_first_seed_and_spares_the_others(tmp_path: Path) -> None:
    more = SWEEP + (
        "base: {steps: 9}\nbudget: {trials: 8}\nseeds: [3, 4]\nconfirm: [7]\n"
        "search: {method: random}\nearly: {method: asha, factor: 3}\n"
    )
    events: list[Event] = []
    conductor = begun(tmp_path, more, watch=events.append)
    names = play(conductor)
    ended = {event.run.name: event.state for event in events if event.kind == "end"}
    assert len(ended) == len(names)
    for number in range(8):
        second = f"demo-{number:04}-s4"
        assert (second in ended) == (ended[f"demo-{number:04}-s3"] == "complete")
    assert "pruned" in ended.values()
    assert names[-2:] == [f"demo-best-{conductor.outcome().best[0].number:04}-s7", "demo-base-s7"]
    tokens = sum(event.figures["tokens"] for event in events if event.kind == "end" and event.figures)
    assert tokens == conductor.outcome().tokens < 9 * 16


def test_a_trial_that_fails_ends_alone_and_a_budget_ends_all(tmp_path: Path) -> None:
    conductor = begun(tmp_path, SWEEP + "base: {steps: 3}\nbudget: {trials: 6, tokens: 7}\n")
    run = conductor.next()
    assert run is not None
    conductor.finish(run.name, "its process died")
    assert result_of(run.folder) is not None
    assert play(conductor) == ["demo-0001-s0", "demo-0002-s0", "demo-0003-s0"]
    assert conductor.outcome().states == {"failed": 1, "complete": 2}
    assert result_of(tmp_path / "out" / TRIALS / "demo-0003-s0") is None


def test_a_full_disk_costs_the_trial_that_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from tune import trials

    conductor = begun(tmp_path, SWEEP + "budget: {trials: 3}\nsearch: {method: random}\n")
    write: Callable[[Path, Any], None] = trials.write_json

    def full(path: Path, value: Any) -> None:
        if path.parent.name == "demo-0001-s0":
            raise OSError(errno.ENOSPC, "no space left on device")
        write(path, value)

    monkeypatch.setattr(trials, "write_json", full)
    assert play(conductor) == ["demo-0000-s0", "demo-0002-s0"]
    assert conductor.outcome().states == {"complete": 2, "failed": 1}


def test_an_ablation_runs_every_part_with_every_seed_side_by_side(tmp_path: Path) -> None:
    more = "ablate:\n  pairs: true\n  parts:\n    a: {x1: 0}\n    b: {x2: 0}\nseeds: [0, 1]\n"
    conductor = begun(tmp_path, more)
    assert play(conductor) == [f"demo-{number:04}-s{seed}" for seed in (0, 1) for number in range(4)]
    kept = json.loads((tmp_path / "out" / TRIALS / "demo-0003-s1" / "trial.json").read_text())
    assert (kept["arm"], kept["settings"]["x1"], kept["settings"]["x2"]) == ("a + b", 0, 0)
