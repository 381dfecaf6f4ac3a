"""What the trials of runs came to, read from their directories, and set side by side. Draws nothing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from actors.messages import InvalidRequest
from configs.experiment import Experiment, Goal
from configs.objectives import COSTS
from configs.planned import BASE, Planned, Values, as_tree
from tune.conductor import BEST, EXPERIMENT, TRIALS
from tune.differences import Difference, Worth, corrected, difference
from tune.trials import (
    PROVENANCE,
    TRIAL,
    Figures,
    Item,
    Result,
    Role,
    Run,
    items_of,
    lines_of,
    result_of,
    run_of,
)


@dataclass(frozen=True, slots=True)
class Ended:
    """One trial that has ended, with one seed."""

    run: Run
    result: Result
    lines: list[dict[str, Any]]
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Arm:
    """The same settings with all their seeds; the trials are complete."""

    name: str
    role: Role
    number: int
    values: Values
    trials: tuple[Ended, ...]

    def mean(self, figure: str) -> float | None:
        """Over the seeds; None where none of them has it."""
        found = [one.result.figures[figure] for one in self.trials if figure in one.result.figures]
        return fmean(found) if found else None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a run was trained on."""

    spent: float
    """By all trials."""
    search: float
    """By those that early stopping looks at."""
    whole: float | None
    """What those would have come to without it; None where too few went to their end to tell."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One run: a sweep, an ablation or an experiment."""

    folder: Path
    planned: Planned
    trials: tuple[Ended, ...]
    provenance: dict[str, Any]
    unfinished: int

    @property
    def name(self) -> str:
        """As its file says."""
        return self.planned.experiment.name

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What is best."""
        return self.planned.goals

    @property
    def arms(self) -> list[Arm]:
        """Settings whose seeds are all complete; those of the search first, in their order."""
        groups: dict[tuple[str, int, str], list[Ended]] = {}
        for one in self.trials:
            groups.setdefault((one.run.role, one.run.number, one.run.arm), []).append(one)
        return [
            Arm(some[0].run.arm, some[0].run.role, some[0].run.number, some[0].run.values, tuple(some))
            for some in groups.values()
            if all(one.result.state == "complete" for one in some)
        ]

    def best(self) -> Arm | None:
        """Of the search by its first goal; of others the whole, from which nothing is taken."""
        arms = [arm for arm in self.arms if arm.role != "confirm"]
        if not self.planned.experiment.space:
            return next((arm for arm in arms if arm.name == BASE), None)
        goal = self.goals[0]
        known = [(value, arm) for arm in arms if (value := arm.mean(goal.metric)) is not None]
        sign = 1 if goal.direction == "maximize" else -1
        return max(known, key=lambda one: sign * one[0], default=(0.0, None))[1]

    def base(self) -> Arm | None:
        """The settings that all share, where they were tried."""
        whole = as_tree(self.planned.settings({}))
        return next((arm for arm in self.arms if arm.trials[0].run.settings == whole), None)

    def confirmed(self, name: str) -> Arm | None:
        """The best or the base with seeds that did not choose it."""
        return next((arm for arm in self.arms if arm.role == "confirm" and arm.name == name), None)

    @property
    def judged_by(self) -> str:
        """The figure by which importance is told: with early stopping one that every trial came to."""
        early = self.planned.experiment.early
        if early.method in ("none", "pbt"):
            return self.goals[0].metric
        return f"{early.metric or self.goals[0].metric} at step {early.first}"

    def importance(self) -> dict[str, float]:
        """Share of each setting in what makes a trial good; none of too few trials."""
        if not self.planned.experiment.space:
            return {}
        from tune.search import Search

        search = Search(self.planned)
        for values, goals in self._judged():
            number, _ = search.ask(values)
            search.tell(number, goals)
        return search.importance()

    def _judged(self) -> Iterator[tuple[Values, list[float]]]:
        """Settings with what they came to by the same measure."""
        early = self.planned.experiment.early
        if early.method in ("none", "pbt"):
            for arm in self.arms:
                found = [arm.mean(goal.metric) for goal in self.goals]
                if arm.role == "search" and None not in found:
                    yield arm.values, [value for value in found if value is not None]
            return
        goal = self.goals[0]
        sign = 1 if (early.direction or goal.direction) == goal.direction else -1
        runs = {one.run.name: one.run for one in self.trials}
        for name, value in self.looked_at().items():
            yield runs[name].values, [sign * value]

    def looked_at(self) -> dict[str, float]:
        """What each trial of a search came to where early stopping first looked at it; nothing without it."""
        experiment = self.planned.experiment
        early, found = experiment.early, {}
        for one in self.trials if early.method not in ("none", "pbt") else ():
            if one.run.role == "search" and one.run.seed == experiment.seeds[0]:
                at = next((line for line in one.lines if line["step"] >= early.first), {})
                if (value := at.get(early.metric or self.goals[0].metric)) is not None:
                    found[one.run.name] = float(value)
        return found

    def tokens(self) -> Tokens:
        """What was spent, and saved: a trial that was ended is taken to go on as the whole ones did."""
        spent = sum(one.result.figures.get("tokens", 0.0) for one in self.trials)
        first = self.planned.experiment.seeds[0]
        looked = [one for one in self.trials if one.run.role == "search" and one.run.seed == first]
        ended = [one for one in looked if one.result.state != "failed"]
        search = sum(one.result.figures.get("tokens", 0.0) for one in ended)
        whole = 0.0
        for one in ended:
            more = 1.0 if one.result.state == "complete" else _growth(ended, one.result.step)
            if more is None:
                return Tokens(spent, search, None)
            whole += more * one.result.figures.get("tokens", 0.0)
        return Tokens(spent, search, whole)

    def front(self) -> list[Arm]:
        """Arms that no other one beats in all goals; of one goal, in it and in seconds."""
        goals = (
            self.goals if len(self.goals) > 1 else (self.goals[0], Goal(metric=COST, direction="minimize"))
        )
        scored = []
        for arm in self.arms:
            values = [arm.mean(goal.metric) for goal in goals]
            if arm.role != "confirm" and None not in values:
                signs = [1 if goal.direction == "maximize" else -1 for goal in goals]
                scored.append(
                    (
                        tuple(
                            sign * value
                            for sign, value in zip(signs, values, strict=True)
                            if value is not None
                        ),
                        arm,
                    )
                )
        return [arm for mine, arm in scored if not any(_beats(other, mine) for other, _ in scored)]


def _growth(trials: Sequence[Ended], step: int) -> float | None:
    """How many times the tokens after a step whole trials come to, on average."""
    found = []
    for one in trials:
        at = next((line.get("tokens") for line in one.lines if line["step"] == step), None)
        if one.result.state == "complete" and at:
            found.append(one.result.figures["tokens"] / at)
    return fmean(found) if found else None


COST = "seconds"
FEWEST = 6
"""Groups below which no flips of signs can rule out chance."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A difference, of which figure, and what must be known to read it."""

    run: str
    metric: str
    direction: str
    found: Difference
    chosen: bool
    """The arm was chosen because it was good on these very seeds: the difference flatters it."""

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.found.groups < FEWEST:
            return "too few to tell"
        if not self.found.real:
            return "not told apart"
        better = (self.found.value > 0) == (self.direction == "maximize")
        return ("better" if better else "worse") + (", but chosen on these seeds" if self.chosen else "")


def read(folder: Path) -> Sweep:
    """What a run has left in its directory. Raises InvalidRequest."""
    path = folder / EXPERIMENT
    if not path.is_file():
        raise InvalidRequest(f"{folder} holds no experiment and no sweep: it has no {EXPERIMENT}")
    tree = json.loads(path.read_text(encoding="utf-8"))
    planned = Planned(Experiment.model_validate(tree["experiment"]), tree["base"], path)
    runs = sorted(
        (run_of(one.parent) for one in (folder / TRIALS).glob(f"*/{TRIAL}")),
        key=lambda run: (run.role == "confirm", run.number, run.seed),
    )
    ended = [
        Ended(run, result, lines_of(run.folder), items_of(run.folder))
        for run in runs
        if (result := result_of(run.folder)) is not None
    ]
    known = [run.folder / PROVENANCE for run in runs if (run.folder / PROVENANCE).is_file()]
    provenance = json.loads(known[-1].read_text(encoding="utf-8")) if known else {}
    return Sweep(folder, planned, tuple(ended), provenance, len(runs) - len(ended))


def compare(sweeps: Sequence[Sweep]) -> list[Compared]:
    """Every difference that the runs can show, corrected for their number."""
    found = [one for sweep in sweeps for one in _within(sweep)]
    first = sweeps[0]
    for other in sweeps[1:]:
        if (leads := first.best()) is not None and (arm := other.best()) is not None:
            named = (f"{other.name}: {arm.name}", f"{first.name}: {leads.name}")
            found += _pairs(other, arm, leads, named, chosen=False, goals=_common(first, other))
    chances = corrected([one.found for one in found])
    return [
        Compared(one.run, one.metric, one.direction, chance, one.chosen)
        for one, chance in zip(found, chances, strict=True)
    ]


def tidy(sweep: Sweep) -> Iterator[dict[str, Any]]:
    """A record for each figure of each trial, with all that says where it comes from."""
    for one in sweep.trials:
        for name, value in one.result.figures.items():
            yield {
                "experiment": sweep.name,
                "objective": one.run.objective,
                "trial": one.run.name,
                "arm": one.run.arm,
                "seed": one.run.seed,
                "values": one.run.values,
                "state": one.result.state,
                "figure": name,
                "value": value,
                "config_hash": one.run.config_hash,
                **sweep.provenance,
            }


def costs(arm: Arm) -> dict[str, float]:
    """Mean of each cost over an arm's seeds."""
    return {name: value for name in COSTS if (value := arm.mean(name)) is not None}


def _within(sweep: Sweep) -> Iterator[Compared]:
    """Of one run: each part that was taken away, or the best of a search against the base."""
    base = sweep.base()
    if sweep.planned.experiment.ablate and base is not None:
        for arm in sweep.arms:
            if arm.number != base.number:
                yield from _pairs(sweep, arm, base, (arm.name, BASE), chosen=False, goals=sweep.goals)
        return
    best, plain = sweep.confirmed(BEST), sweep.confirmed(BASE)
    chosen = best is None or plain is None
    if chosen and sweep.planned.experiment.space:
        best, plain = sweep.best(), base
    if best is not None and plain is not None and best != plain and sweep.planned.experiment.space:
        yield from _pairs(
            sweep, best, plain, (f"best ({_values(best)})", BASE), chosen=chosen, goals=sweep.goals
        )


def _pairs(
    sweep: Sweep, arm: Arm, against: Arm, named: tuple[str, str], *, chosen: bool, goals: Sequence[Goal]
) -> Iterator[Compared]:
    own = sweep.planned.described.goal
    for goal in goals:
        by_item = goal.metric == own and all(one.items for one in (*arm.trials, *against.trials))
        found = difference(
            named[0], _worth(arm, goal.metric, by_item), named[1], _worth(against, goal.metric, by_item)
        )
        if found is not None:
            yield Compared(sweep.name, goal.metric, goal.direction, found, chosen)


def _worth(arm: Arm, metric: str, by_item: bool) -> Worth:
    found: dict[tuple[int, str], tuple[str, float, float]] = {}
    for one in arm.trials:
        seed = one.run.seed
        if by_item:
            found |= {(seed, item.id): (item.group, item.value, item.weight) for item in one.items}
        elif metric in one.result.figures:
            found[seed, ""] = (str(seed), one.result.figures[metric], 1.0)
    return found


def _common(one: Sweep, other: Sweep) -> list[Goal]:
    return [goal for goal in other.goals if goal.metric in {mine.metric for mine in one.goals}]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def _values(arm: Arm) -> str:
    return ", ".join(f"{key.rpartition('.')[2]} {shown(value)}" for key, value in arm.values.items())


def shown(value: Any) -> str:
    """A figure or a setting, short."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def mean_figures(arm: Arm) -> Figures:
    """Mean of every figure over an arm's seeds."""
    names = dict.fromkeys(name for one in arm.trials for name in one.result.figures)
    return {name: value for name in names if (value := arm.mean(name)) is not None}
