"""Reads the file of an experiment or a sweep, and refuses what cannot work before anything starts."""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from configs.errors import SettingsError
from configs.experiment import Axis, Experiment
from configs.explain import faults, keys
from configs.lines import Lined, Place, read
from configs.objectives import COSTS, OBJECTIVES
from configs.planned import Planned, replaced, value_at
from configs.schema import Section

LISTED = "configs/experiment.py lists them"
MOST_GRID = 100_000
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Machine:
    """What one trial can have at most."""

    cpus: float
    gpus: float

    @classmethod
    def here(cls) -> "Machine":
        """This one."""
        shown = os.environ.get("CUDA_VISIBLE_DEVICES")
        found = len(list(Path("/dev").glob("nvidia[0-9]*")))
        return cls(
            os.cpu_count() or 1, found if shown is None else len([one for one in shown.split(",") if one])
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a tree of settings stands: in a file, below a place."""

    lined: Lined
    below: Place = ()

    def fault(self, place: Place, message: str) -> SettingsError:
        return self.lined.fault((*self.below, *place), message)

    def validated(self, model: type[Model], tree: Mapping[str, Any], listed: str) -> Model:
        """The settings of a tree. Raises SettingsError, a line for each fault."""
        try:
            return model.model_validate(tree)
        except ValidationError as error:
            lines = []
            for place, message in faults(error, model, listed):
                found, line = self.lined.at((*self.below, *place))
                key = ".".join(map(str, (*self.below, *place))) if len(place) == 1 else found
                lines.append(
                    f"{self.lined.path}:{line}: {key}: {message}"
                    if key
                    else f"{self.lined.path}:{line}: {message}"
                )
            raise SettingsError("\n".join(lines)) from error


def plan(path: Path, machine: Machine | None = None, given: Mapping[str, Any] | None = None) -> Planned:
    """What a file asks for, with some settings of its base exchanged by dotted key.

    Without a machine resources are not looked at. Raises SettingsError.
    """
    lined = read(path)
    top = _Source(lined)
    experiment = top.validated(Experiment, lined.tree, LISTED)
    if experiment.objective not in OBJECTIVES:
        raise top.fault(("objective",), _unknown("objective", experiment.objective, OBJECTIVES))
    source, base = _base(lined, experiment)
    listed = f"the settings of {experiment.objective} are in configs/objectives.py"
    model = OBJECTIVES[experiment.objective].settings
    known = sorted({*keys(model), *_leaves(source.validated(model, base, listed).model_dump())})
    for key in given or {}:
        if key not in known:
            raise SettingsError(f"--set {key}: {_unknown('setting', key, known)}")
    tree = replaced(base, given or {})
    planned = Planned(experiment, tree, path)
    whole = source.validated(model, tree, listed)
    _check_metrics(top, planned)
    for place, key, value in _changes(planned):
        _check_change(top, planned, place, key, value, known)
    _check_search(top, planned, whole)
    if machine is not None:
        check_resources(planned, machine, top.fault)
    return planned


def check_resources(planned: Planned, machine: Machine, fault: Any = None) -> None:
    """Raises SettingsError where a trial asks for more than the machine, or a node, can have."""
    wanted = planned.experiment.resources
    asked = (("cpus", wanted.cpus, machine.cpus), ("gpus", wanted.gpus, machine.gpus))
    for name, asks, there in asked:
        if asks > there:
            said = f"resources.{name}: a trial asks for {asks:g}, and {there:g} can be had"
            raise fault(("resources", name), said) if fault else SettingsError(f"{planned.path}: {said}")


def _base(lined: Lined, experiment: Experiment) -> tuple[_Source, dict[str, Any]]:
    """The objective's settings and where they stand."""
    if not isinstance(experiment.base, Path):
        return _Source(lined, ("base",)), experiment.base
    path = lined.path.parent / experiment.base
    if not path.is_file():
        near = get_close_matches(path.name, [one.name for one in path.parent.glob("*.y*ml")], n=1)
        more = f"; did you mean {path.with_name(near[0])}?" if near else ""
        raise lined.fault(("base",), f"base: there is no file {path}{more}")
    other = read(path)
    return _Source(other), other.tree


def _check_metrics(top: _Source, planned: Planned) -> None:
    known = {**planned.described.figures, **COSTS}
    named: list[tuple[Place, str]] = [
        (("goals", place, "metric"), goal.metric) for place, goal in enumerate(planned.experiment.goals)
    ]
    if planned.experiment.early.metric:
        named.append((("early", "metric"), planned.experiment.early.metric))
    for place, metric in named:
        if planned.described.figures and metric not in known:
            raise top.fault(place, _unknown("figure", metric, known))


def _changes(planned: Planned) -> Iterator[tuple[Place, str, Any]]:
    """Every value that some trial may have: where it stands, its key, and itself."""
    for key, axis in planned.experiment.space.items():
        given = axis.values or (axis.low, axis.high)
        for number, value in enumerate(given):
            inner: Place = (number,) if axis.values else (("low", "high")[number],)
            yield ("space", key, *inner), key, value
    ablate = planned.experiment.ablate
    for name, values in ablate.parts.items() if ablate else ():
        for key, value in values.items():
            yield ("ablate", "parts", name, key), key, value


def _check_change(
    top: _Source, planned: Planned, place: Place, key: str, value: Any, known: Collection[str]
) -> None:
    if key not in known:
        raise top.fault(place, f"{key}: {_unknown('setting', key, known)}")
    try:
        planned.settings({key: value})
    except ValidationError as error:
        (_, message), *_ = faults(error, planned.described.settings, "")
        raise top.fault(place, f"{key} = {value!r}: {message}") from error


def _check_search(top: _Source, planned: Planned, whole: Section) -> None:
    experiment = planned.experiment
    for key, axis in experiment.space.items():
        if experiment.search.method == "grid" and not axis.values and axis.step is None:
            raise top.fault(("space", key), f"{key}: a grid needs a list, or a range with step")
        if experiment.early.method == "pbt" and not axis.values and axis.step is not None:
            raise top.fault(("space", key), f"{key}: pbt takes a list, or a range without step")
        if _is_whole(whole, key, axis) and any(
            isinstance(one, float) and one != int(one) for one in (axis.low, axis.high, axis.step)
        ):
            raise top.fault(("space", key), f"{key} takes whole numbers alone")
    if experiment.space and experiment.search.method == "grid" and planned.points > MOST_GRID:
        raise top.fault(("space",), f"the grid has more than {MOST_GRID} points")
    for name, values in planned.arms.items():
        try:
            planned.settings(values)
        except ValidationError as error:
            (_, message), *_ = faults(error, planned.described.settings, "")
            raise top.fault(("ablate", "parts", name), f"{name}: {message}") from error


def _is_whole(whole: Section, key: str, axis: Axis) -> bool:
    return type(value_at(whole, key)) is int and not axis.values


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        yield from _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else (f"{prefix}{name}",)


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1) or [one for one in known if one.endswith(f".{name}")][:1]
    more = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
    return f"no such {what}: {name}; {more}"
