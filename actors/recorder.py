"""Holds metric sinks: JSON lines always, Ray's metrics in Ray, others when asked. Knows no training."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from actors.messages import NotReady
from actors.training.figures import ray_gauges
from configs.compression import TrackingSettings

FILE = "metrics.jsonl"


class Recorder:
    """Writes the figures of numbered steps to every sink that the settings name."""

    def __init__(self, folder: Path, settings: TrackingSettings, since: int = 0) -> None:
        """Open the sinks in a folder. Lines of step `since` and later are dropped: they come again.

        Raises NotReady if a sink's package is missing.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        _drop(path, since)
        self._lines = path.open("a", encoding="utf-8")
        self._board = _tensorboard(folder / "tensorboard", since) if settings.tensorboard else None
        self._run = _wandb(folder, settings) if settings.wandb != "off" else None
        self._mlflow = _Mlflow(folder, settings) if settings.mlflow != "off" else None
        self._gauges = ray_gauges(folder.resolve().name)

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Write one step's figures; what is not finite is written as null."""
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        self._lines.write(json.dumps({"step": step, **finite}) + "\n")
        self._lines.flush()
        if self._gauges is not None:
            self._gauges.show({**finite, "step": step + 1})
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)
        if self._run is not None:
            self._run.log(dict(figures), step=step)
        if self._mlflow is not None:
            self._mlflow.record(step, figures)

    def close(self) -> None:
        """Flush and close every sink."""
        self._lines.close()
        if self._board is not None:
            self._board.close()
        if self._run is not None:
            self._run.finish()
        if self._mlflow is not None:
            self._mlflow.close()

    def __enter__(self) -> Self:
        """Itself, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class _Mlflow:
    """One MLflow run, named like the folder; going on writes into the same, where steps may come again."""

    def __init__(self, folder: Path, settings: TrackingSettings) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # Since 3.7 it writes plain files only where they are asked for; a database needs its full package.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        try:
            from mlflow.entities import Metric
            from mlflow.tracking import MlflowClient
        except ModuleNotFoundError as error:
            raise NotReady(
                "MLflow runs need the package mlflow-skinny: install palimpsest[mlflow]"
            ) from error
        local = settings.mlflow == "local"
        self._metric = Metric
        self._client = MlflowClient((folder / "mlruns").resolve().as_uri() if local else settings.mlflow)
        experiment = self._client.get_experiment_by_name(settings.project)
        known = experiment.experiment_id if experiment else self._client.create_experiment(settings.project)
        name = folder.resolve().name
        runs = self._client.search_runs([known], filter_string=f"attributes.run_name = '{name}'")
        self._id = (runs[0] if runs else self._client.create_run(known, run_name=name)).info.run_id

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Write one step's figures."""
        now = int(time.time() * 1000)
        self._client.log_batch(
            self._id, [self._metric(name, value, now, step) for name, value in figures.items()]
        )

    def close(self) -> None:
        """Say that the run has ended."""
        self._client.set_terminated(self._id)


def _drop(path: Path, since: int) -> None:
    """Keep the whole lines of the steps before `since`."""
    if not path.is_file():
        return
    lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1:] == "\n"]
    kept = [line for line in lines if json.loads(line)["step"] < since]
    path.write_text("".join(kept), encoding="utf-8")


def _tensorboard(folder: Path, since: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise NotReady(
            "TensorBoard files need the package tensorboardX: install palimpsest[cluster]"
        ) from error
    return SummaryWriter(str(folder), purge_step=since)


def _wandb(folder: Path, settings: TrackingSettings) -> Any:
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise NotReady("Weights & Biases needs the package wandb: install palimpsest[cluster]") from error
    return wandb.init(
        project=settings.project,
        dir=str(folder),
        mode="online" if settings.wandb == "online" else "offline",
        id=folder.resolve().name,
        resume="allow",
        settings=wandb.Settings(silent=True),
    )
