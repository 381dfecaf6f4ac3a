"""An experiment with the settings of its objective: its arms, its grid, its hash. Knows no fault."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from configs.experiment import Axis, Experiment, Goal
from configs.objectives import OBJECTIVES, Described
from configs.schema import Section

BASE = "base"
"""Name of what nothing was taken from."""
Values = dict[str, Any]
"""Settings by dotted key."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment that was found to be possible."""

    experiment: Experiment
    base: dict[str, Any]
    """The objective's settings, as the file gives them."""
    path: Path

    @property
    def described(self) -> Described:
        """The objective."""
        return OBJECTIVES[self.experiment.objective]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What is best; there is at least one."""
        own = Goal(metric=self.described.goal, direction=self.described.direction)
        return self.experiment.goals or (own,)

    @property
    def arms(self) -> dict[str, Values]:
        """What an ablation compares, the whole first."""
        ablate = self.experiment.ablate
        found: dict[str, Values] = {BASE: {}}
        if ablate is not None:
            found |= ablate.parts
        if ablate is not None and ablate.pairs:
            for (one, less), (other, fewer) in combinations(ablate.parts.items(), 2):
                if not less.keys() & fewer.keys():
                    found[f"{one} + {other}"] = {**less, **fewer}
        return found

    @property
    def kind(self) -> str:
        """experiment, sweep or ablation."""
        return "sweep" if self.experiment.space else "ablation" if self.experiment.ablate else "experiment"

    @property
    def hash(self) -> str:
        """Of what decides the figures: not of retries, resources, budget and trackers."""
        what = self.experiment.model_dump(
            mode="json", exclude={"base", "retries", "resources", "budget", "tracking", "confirm"}
        )
        text = json.dumps({**what, "base": as_tree(self.settings({}))}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def settings(self, values: Values) -> Section:
        """The objective's settings with some of them exchanged. Raises pydantic.ValidationError."""
        return self.described.settings.model_validate(replaced(self.base, values))

    @property
    def points(self) -> int:
        """How many a grid has."""
        return prod(len(points_of(axis)) for axis in self.experiment.space.values())

    def grid(self) -> list[Values]:
        """All combinations of a space of lists and steps."""
        names = list(self.experiment.space)
        points = [points_of(axis) for axis in self.experiment.space.values()]
        return [dict(zip(names, found, strict=True)) for found in product(*points)]


def as_tree(settings: BaseModel) -> dict[str, Any]:
    """Settings as plain values, paths from the root: trials run elsewhere."""
    found: dict[str, Any] = json.loads(
        json.dumps(settings.model_dump(), default=lambda path: str(path.absolute()))
    )
    return found


def replaced(tree: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of settings with some exchanged, by dotted key."""
    root = json.loads(json.dumps(tree, default=str))
    for key, value in values.items():
        level = root
        *parents, last = key.split(".")
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    found: dict[str, Any] = root
    return found


def value_at(settings: BaseModel, key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    level: Any = settings.model_dump()
    for part in key.split("."):
        level = level.get(part) if isinstance(level, dict) else None
    return level


def points_of(axis: Axis) -> Sequence[Any]:
    """The values of a list, or of a range with steps."""
    if axis.values:
        return axis.values
    assert axis.low is not None
    assert axis.high is not None
    assert axis.step is not None
    count = int((axis.high - axis.low) / axis.step + 1e-9) + 1
    return [axis.low + number * axis.step for number in range(count)]
