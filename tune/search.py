"""Chooses settings and ends what is behind, with Optuna: the one door to it. Knows no trial's directory."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import Trial, TrialState

from configs.experiment import Axis
from configs.planned import Planned, Values, points_of, value_at

STRIDE = 1_000_003
"""Between the seeds of two choices."""
FEWEST = 8
"""Whole trials below which importance says nothing."""


class Search:
    """One study: what it answers is a function of the plan and of what it was told, in order."""

    def __init__(self, planned: Planned) -> None:
        warnings.filterwarnings("ignore", category=ExperimentalWarning)
        warnings.filterwarnings("ignore", message="The reported value is ignored")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._planned = planned
        self._early = planned.experiment.early
        base = planned.settings({})
        self._base = {key: value_at(base, key) for key in planned.experiment.space}
        gridded = planned.experiment.search.method == "grid"
        space = {
            key: Axis(values=tuple(points_of(axis))) if gridded else axis
            for key, axis in planned.experiment.space.items()
        }
        self._labels: dict[str, dict[Any, Any]] = {
            key: {_label(value): value for value in axis.values} for key, axis in space.items()
        }
        self._axes = {key: _distribution(axis, self._base[key]) for key, axis in space.items()}
        self._study = optuna.create_study(
            directions=[goal.direction for goal in planned.goals], pruner=self._pruner()
        )
        self._grid = planned.grid() if gridded else []
        self._asked: dict[int, Trial] = {}

    @property
    def trials(self) -> int:
        """Settings that are tried in all."""
        most = self._planned.experiment.budget.trials
        if self._planned.experiment.search.method == "grid":
            return min(most or len(self._grid), len(self._grid))
        return most or 16

    @property
    def asked(self) -> int:
        """Settings that were asked for."""
        return len(self._asked)

    def ask(self, values: Values | None = None) -> tuple[int, Values]:
        """The next settings and their number; `values` where they are known already."""
        number = len(self._asked)
        known = self._known(number) if values is None else values
        if known is not None:
            self._study.enqueue_trial({key: _label(value) for key, value in known.items()})
        self._study.sampler = self._sampler(number)
        trial = self._study.ask(self._axes)
        self._asked[number] = trial
        return number, {key: self._value(key, value) for key, value in trial.params.items()}

    def report(self, number: int, step: int, figures: Mapping[str, float]) -> bool:
        """Whether a trial goes on after a step."""
        goal = self._planned.goals[0]
        metric = self._early.metric or goal.metric
        if self._early.method in ("none", "pbt") or metric not in figures:
            return True
        turned = (self._early.direction or goal.direction) != goal.direction
        trial = self._asked[number]
        trial.report(-figures[metric] if turned else figures[metric], step)
        return not trial.should_prune()

    def tell(self, number: int, values: Sequence[float] | None, *, pruned: bool = False) -> None:
        """How a trial ended: its goals' figures, or that it was ended before, or that it failed."""
        state = TrialState.COMPLETE if values is not None else TrialState.FAIL
        if pruned:
            state, values = TrialState.PRUNED, None
        self._study.tell(self._asked[number], values, state=state)

    def best(self) -> list[int]:
        """Numbers of the best: one, or with several goals the front."""
        whole = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not whole:
            return []
        if len(self._planned.goals) == 1:
            return [self._study.best_trial.number]
        return sorted(trial.number for trial in self._study.best_trials)

    def importance(self) -> dict[str, float]:
        """Share of each setting in what makes a trial good (PED-ANOVA); none of too few trials."""
        whole = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(whole) < FEWEST or len(self._axes) < 2:
            return {}
        evaluator = PedAnovaImportanceEvaluator()
        target = None if len(self._planned.goals) == 1 else lambda trial: trial.values[0]
        return dict(get_param_importances(self._study, evaluator=evaluator, target=target))

    def _known(self, number: int) -> Values | None:
        """Settings that nobody needs to choose: a grid's, the base."""
        experiment = self._planned.experiment
        if experiment.search.method == "grid":
            return self._grid[number]
        inside = all(self._axes[key]._contains(self._internal(key)) for key in self._axes)
        return self._base if number == 0 and experiment.search.default_first and inside else None

    def _internal(self, key: str) -> float:
        """The base's value as Optuna holds it; one that is no choice is outside."""
        axis, label = self._axes[key], _label(self._base[key])
        if isinstance(axis, CategoricalDistribution) and label not in axis.choices:
            return -1.0
        return float(axis.to_internal_repr(label)) if label is not None else -1.0

    def _value(self, key: str, label: Any) -> Any:
        return self._labels[key].get(label, label) if self._labels[key] else label

    def _sampler(self, number: int) -> BaseSampler:
        search = self._planned.experiment.search
        seed = search.seed * STRIDE + number
        if search.method == "gp":
            return GPSampler(seed=seed, n_startup_trials=search.startup, deterministic_objective=False)
        if search.method in ("tpe", "bohb"):
            return TPESampler(
                seed=seed, n_startup_trials=search.startup, multivariate=True, constant_liar=True
            )
        return RandomSampler(seed=seed)

    def _pruner(self) -> BasePruner:
        early = self._early
        bohb = self._planned.experiment.search.method == "bohb"
        if early.method == "hyperband" or bohb:
            return HyperbandPruner(
                min_resource=early.first, max_resource=early.most or "auto", reduction_factor=early.factor
            )
        if early.method == "asha":
            return SuccessiveHalvingPruner(min_resource=early.first, reduction_factor=early.factor)
        if early.method == "median":
            return MedianPruner(n_startup_trials=early.startup, n_warmup_steps=early.first)
        return NopPruner()


def _distribution(axis: Axis, base: Any) -> BaseDistribution:
    if axis.values:
        return CategoricalDistribution([_label(value) for value in axis.values])
    assert axis.low is not None
    assert axis.high is not None
    whole = type(base) is int or (base is None and isinstance(axis.low, int) and isinstance(axis.high, int))
    if whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
    return FloatDistribution(float(axis.low), float(axis.high), log=axis.log, step=axis.step)


def _label(value: Any) -> Any:
    """What stands for a value in Optuna, which knows plain ones only."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
