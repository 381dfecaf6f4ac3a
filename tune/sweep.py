"""Carries out a sweep's trials on Ray Tune: retries, many at once, population-based training. Chooses none.

Which settings are tried, who ends early and what is known stand in the conductor and in the trials'
directories, which all nodes must reach; Ray Tune has the machines.
"""

import logging
import os
import shutil
import traceback
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.tune as ray_tune
from ray.tune.schedulers import FIFOScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import Searcher

from configs.experiment import Axis
from configs.planned import replaced, value_at
from configs.sweep import Machine
from tune.conductor import TRIALS, Conductor, Outcome
from tune.trials import CHECKPOINT, LOG, Figures, Run, alone, carry_out, last_word, run_of

ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "RAY_AIR_NEW_OUTPUT": "0",
}
"""What Ray Tune would keep and print beside the trials' own files."""
KEPT, PRINTED = "ray", "ray.log"
FIGURES = "figures/"


def machine() -> Machine:
    """What one trial can have at most of the cluster that this process belongs to."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Machine(*(max((one.get(name, 0.0) for one in nodes), default=0.0) for name in ("CPU", "GPU")))


def run(conductor: Conductor) -> Outcome:
    """All of a sweep, on the Ray that this process belongs to."""
    os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if conductor.planned.experiment.early.method == "pbt":
        _fit(conductor, _whole(conductor), _Ended(conductor))
    if not conductor.over:
        _fit(conductor, _one_by_one(conductor))
    return conductor.outcome()


def _fit(conductor: Conductor, choice: dict[str, Any], *callbacks: ray_tune.Callback) -> None:
    """Run what is chosen."""
    experiment = conductor.planned.experiment
    wanted, kept = experiment.resources, conductor.folder / KEPT
    resources = {"cpu": wanted.cpus, "gpu": wanted.gpus, "memory": wanted.memory_gib * 1024**3}
    shutil.rmtree(kept, ignore_errors=True)
    tuner = ray_tune.Tuner(
        ray_tune.with_resources(_trial, {name: value for name, value in resources.items() if value}),
        **choice,
        run_config=ray_tune.RunConfig(
            name=KEPT,
            storage_path=str(conductor.folder.absolute()),
            failure_config=ray_tune.FailureConfig(max_failures=experiment.retries),
            callbacks=list(callbacks),
            verbose=0,
        ),
    )
    with (conductor.folder / PRINTED).open("a", encoding="utf-8") as printed, redirect_stdout(printed):
        tuner.fit()
    shutil.rmtree(kept, ignore_errors=True)


def _one_by_one(conductor: Conductor) -> dict[str, Any]:
    """The conductor says what runs next."""
    wanted = conductor.planned.experiment.resources
    return {
        "tune_config": ray_tune.TuneConfig(
            search_alg=_Asked(conductor, wanted.concurrent or _room(wanted.cpus, wanted.gpus)),
            scheduler=_Watched(conductor),
            num_samples=-1,
            reuse_actors=True,
        )
    }


def _whole(conductor: Conductor) -> dict[str, Any]:
    """A population, begun whole."""
    trials: dict[str, Any] = {}
    while (trial := conductor.next()) is not None:
        trials[str(trial.folder.absolute())] = trial.values
    return {
        "param_space": {
            "folder": ray_tune.grid_search(list(trials)),
            "values": ray_tune.sample_from(lambda spec: trials[spec.config["folder"]]),
            "copies": True,
        },
        "tune_config": ray_tune.TuneConfig(scheduler=_population(conductor, len(trials))),
    }


def _room(cpus: float, gpus: float) -> int:
    """Trials that fit on all nodes together."""
    there = ray.cluster_resources()
    room = there.get("CPU", 1.0) // cpus
    return max(1, int(min(room, there.get("GPU", 0.0) // gpus) if gpus else room))


def _trial(config: dict[str, Any]) -> None:
    """What runs on a worker: one trial, with the checkpoint of another where it was told to copy it."""
    trial = run_of(Path(config["folder"]))
    copies = bool(config["copies"])
    given = ray_tune.get_checkpoint() if copies else None
    if given is not None:
        with alone(trial.folder):
            shutil.rmtree(trial.folder / CHECKPOINT, ignore_errors=True)
            given.to_directory(str(trial.folder / CHECKPOINT))
    if trial.values != config["values"]:
        settings = replaced(trial.settings, config["values"])
        trial = replace(trial, values=dict(config["values"]), settings=settings)
        trial.write()
    try:
        carry_out(trial, partial(_tell, trial, copies))
    except Exception:
        with (trial.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(traceback.format_exc())
        raise
    ray_tune.report({"ended": True})


def _tell(trial: Run, copies: bool, step: int, figures: Figures) -> bool:
    """Ray ends the process of a trial that is not to go on."""
    checkpoint = ray_tune.Checkpoint.from_directory(str(trial.folder / CHECKPOINT)) if copies else None
    ray_tune.report({"step": step, "figures": figures}, checkpoint=checkpoint)
    return True


class _Unsaved:
    """What Ray Tune keeps of us for going on: nothing, for the trials' directories say all."""

    def __getstate__(self) -> dict[str, Any]:
        """No conductor: who watches it may hold a terminal."""
        return {}


class _Asked(_Unsaved, Searcher):  # type: ignore[misc]
    """Asks the conductor what to run next."""

    def __init__(self, conductor: Conductor, at_once: int) -> None:
        super().__init__()
        self._conductor, self._at_once = conductor, at_once
        self._runs: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next trial; None where one has to wait, FINISHED where none comes any more."""
        if self._conductor.over:
            return Searcher.FINISHED
        trial = self._conductor.next() if len(self._runs) < self._at_once else None
        if trial is None:
            return None
        self._runs[trial_id] = trial.name
        return {"folder": str(trial.folder.absolute()), "values": trial.values, "copies": False}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Hear that a trial has ended, in whatever way."""
        _finish(self._conductor, self._runs.pop(trial_id), error)

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the trials' directories say all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""


class _Watched(_Unsaved, FIFOScheduler):  # type: ignore[misc]
    """Ends trials that the conductor wants no more of."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A step of a trial."""
        decision: str = (
            TrialScheduler.CONTINUE if _goes_on(self._conductor, trial, result) else TrialScheduler.STOP
        )
        return decision


class _Population(_Unsaved, PopulationBasedTraining):  # type: ignore[misc]
    """The worst copy the best and change what they copied."""

    conductor: Conductor
    fits: bool
    """All run at once: none has to wait for another's turn."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A step of a trial."""
        if "ended" in result:
            return str(TrialScheduler.CONTINUE)
        if not _goes_on(self.conductor, trial, result):
            return str(TrialScheduler.STOP)
        decision = str(super().on_trial_result(tune_controller, trial, result))
        return str(TrialScheduler.CONTINUE) if decision == TrialScheduler.PAUSE and self.fits else decision

    def _get_new_config(self, trial: Any, trial_to_clone: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a trial goes on with that copies another: settings like that one's, in its own directory."""
        config, operations = super()._get_new_config(trial, trial_to_clone)
        return {**config, "folder": trial.config["folder"]}, operations


class _Ended(_Unsaved, ray_tune.Callback):  # type: ignore[misc]
    """Tells the conductor of each trial of a population that has ended for good."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It went to its end, or was stopped."""
        _finish(self._conductor, Path(trial.config["folder"]).name, False)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It has failed too often."""
        _finish(self._conductor, Path(trial.config["folder"]).name, True)


def _finish(conductor: Conductor, name: str, failed: bool) -> None:
    conductor.finish(name, last_word(conductor.folder / TRIALS / name) if failed else "")


def _goes_on(conductor: Conductor, trial: Any, result: Mapping[str, Any]) -> bool:
    if "ended" in result:
        return True
    figures = {
        name.removeprefix(FIGURES): float(value) for name, value in result.items() if name.startswith(FIGURES)
    }
    return conductor.report(Path(trial.config["folder"]).name, int(result["step"]), figures)


def _population(conductor: Conductor, size: int) -> _Population:
    experiment, goal = conductor.planned.experiment, conductor.planned.goals[0]
    early = experiment.early
    base, space = conductor.planned.settings({}), experiment.space
    domains = {key: _domain(axis, type(value_at(base, key)) is int) for key, axis in space.items()}
    found = _Population(
        time_attr="step",
        metric=f"{FIGURES}{early.metric or goal.metric}",
        mode="max" if (early.direction or goal.direction) == "maximize" else "min",
        perturbation_interval=early.first,
        quantile_fraction=min(0.5, 1 / early.factor),
        hyperparam_mutations={"values": domains},
        custom_explore_fn=partial(_within, space),
    )
    found.conductor = conductor
    found.fits = size <= _room(experiment.resources.cpus, experiment.resources.gpus)
    return found


def _domain(axis: Axis, whole: bool) -> Any:
    if axis.values:
        return list(axis.values)
    assert axis.low is not None
    assert axis.high is not None
    if whole:
        return ray_tune.randint(int(axis.low), int(axis.high) + 1)
    return (ray_tune.loguniform if axis.log else ray_tune.uniform)(axis.low, axis.high)


def _within(space: Mapping[str, Axis], config: dict[str, Any]) -> dict[str, Any]:
    """What was changed, brought back between its bounds."""
    for key, axis in space.items():
        if axis.low is not None and axis.high is not None:
            config["values"][key] = min(max(config["values"][key], axis.low), axis.high)
    return config
