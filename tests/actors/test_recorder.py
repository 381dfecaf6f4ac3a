import json
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from actors.messages import NotReady
from actors.recorder import FILE, Recorder
from configs.compression import TrackingSettings


def lines(folder: Path) -> list[dict[str, float | None]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_json_lines_are_always_written(tmp_path: Path) -> None:
    with Recorder(tmp_path / "new", TrackingSettings()) as recorder:
        recorder.record(0, {"reward": 0.5, "loss": float("nan")})
        assert lines(tmp_path / "new") == [{"step": 0, "reward": 0.5, "loss": None}]


def test_going_on_drops_what_comes_again(tmp_path: Path) -> None:
    with Recorder(tmp_path, TrackingSettings()) as recorder:
        for step in range(4):
            recorder.record(step, {"reward": 1.0})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"step": 4, "rew')
    with Recorder(tmp_path, TrackingSettings(), since=2) as recorder:
        recorder.record(2, {"reward": 2.0})
    assert [(line["step"], line["reward"]) for line in lines(tmp_path)] == [(0, 1.0), (1, 1.0), (2, 2.0)]


def test_tensorboard_files_are_written_when_asked(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    with Recorder(tmp_path, TrackingSettings(tensorboard=True)) as recorder:
        recorder.record(0, {"reward": 1.0})
    assert any((tmp_path / "tensorboard").glob("events.*"))


def test_an_mlflow_run_stays_in_the_folder_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    for step in range(2):
        with Recorder(tmp_path, TrackingSettings(mlflow="local", project="mine"), since=step) as recorder:
            recorder.record(step, {"reward": 1.0 + step})
    client = MlflowClient((tmp_path / "mlruns").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert run.info.run_name == tmp_path.name
    assert [one.value for one in client.get_metric_history(run.info.run_id, "reward")] == [1.0, 2.0]


def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.entities", None)
    with pytest.raises(NotReady, match=r"install palimpsest\[mlflow\]"):
        Recorder(tmp_path, TrackingSettings(mlflow="local"))
    with pytest.raises(ValidationError, match="pattern"):
        TrackingSettings(mlflow="elsewhere")


@pytest.mark.slow
def test_an_offline_run_of_weights_and_biases_stays_on_disk(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    with Recorder(tmp_path, TrackingSettings(wandb="offline")) as recorder:
        recorder.record(0, {"reward": 1.0})
    assert any((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
