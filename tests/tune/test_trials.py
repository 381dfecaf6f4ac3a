import errno
import fcntl
import json
from pathlib import Path

import pytest

from actors.messages import Gone
from tune import objectives, trials
from tune.trials import Item, Reporter, Run, alone, carry_out, items_of, lines_of, result_of, run_of


def trial(folder: Path, **settings: float) -> Run:
    run = Run(
        folder=folder / "demo-0000-s0",
        number=0,
        seed=0,
        role="search",
        arm="#0",
        objective="branin",
        values={},
        settings=settings,
        goals=("value",),
        experiment="demo",
        config_hash="x",
    )
    run.write()
    return run


def test_a_trial_leaves_settings_figures_machine_and_result(tmp_path: Path) -> None:
    run = trial(tmp_path, steps=3)
    assert run_of(run.folder) == run
    seen: list[int] = []
    result = carry_out(run, lambda step, _: not seen.append(step))
    assert result == result_of(run.folder)
    assert result is not None
    assert (result.state, result.step, result.figures["tokens"], seen) == ("complete", 3, 3.0, [1, 2, 3])
    assert result.figures["peak_bytes"] > 1e6
    assert [line["value"] for line in lines_of(run.folder)][-1] == result.figures["value"]
    known = json.loads((run.folder / trials.PROVENANCE).read_text())
    assert known["versions"]["python"].startswith("3.")
    assert known["hardware"]["cores"] >= 1


def test_one_that_has_ended_is_not_run_again_and_one_that_was_cut_goes_on(tmp_path: Path) -> None:
    run = trial(tmp_path, steps=4)
    assert carry_out(run, lambda step, _: step < 2) is None
    assert result_of(run.folder) is None
    seen: list[int] = []
    whole = carry_out(run, lambda step, _: not seen.append(step))
    assert seen == [3, 4]
    assert whole is not None
    assert whole.figures["tokens"] == 4
    assert [line["step"] for line in lines_of(run.folder)] == [1, 2, 3, 4]
    assert carry_out(run, lambda *_: pytest.fail("ran again")) == whole


def test_one_that_died_after_its_last_step_is_complete_with_the_figures_of_that_step(tmp_path: Path) -> None:
    run = trial(tmp_path, steps=3)
    assert carry_out(run, lambda step, _: step < 3) is None
    result = carry_out(run, lambda *_: pytest.fail("told twice"))
    assert result is not None
    assert (result.state, result.step, result.figures["tokens"]) == ("complete", 3, 3.0)


@pytest.mark.parametrize(
    ("fault", "said"),
    [(float("nan"), "value is nan at step 1"), (OSError(errno.ENOSPC, "full"), "the disk is full")],
)
def test_no_number_and_a_full_disk_end_the_trial_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: float | OSError, said: str
) -> None:
    def faulty(settings: object, report: Reporter) -> None:
        if isinstance(fault, OSError):
            raise fault
        report(1, {"value": fault})

    monkeypatch.setitem(objectives.FUNCTIONS, "branin", faulty)  # type: ignore[arg-type]
    result = carry_out(trial(tmp_path), lambda *_: True)
    assert result is not None
    assert (result.state, result.said) == ("failed", said)
    assert result_of(tmp_path / "demo-0000-s0") == result


def test_what_may_pass_is_raised_so_that_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(settings: object, report: Reporter) -> None:
        raise RuntimeError("once")

    monkeypatch.setitem(objectives.FUNCTIONS, "branin", faulty)  # type: ignore[arg-type]
    run = trial(tmp_path)
    with pytest.raises(RuntimeError, match="once"):
        carry_out(run, lambda *_: True)
    assert result_of(run.folder) is None


def test_items_are_kept(tmp_path: Path) -> None:
    run = trial(tmp_path)
    found = [Item("a", "g", 1.0), Item("b", "g", 0.0, 0.5)]
    Reporter(run, lambda *_: True, 0).items(found)
    assert items_of(run.folder) == found


def test_a_directory_in_which_another_one_works_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Gone, match="is being worked in"), alone(tmp_path, patience_s=0.0):
            pass
    with alone(tmp_path, patience_s=0.0):
        pass
