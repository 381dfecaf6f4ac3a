"""Hands out trials, hears how they fare, and remembers all of it in their directories. Runs none of them.

What a sweep knows is a function of its directory: after a death it is read again, and what has ended is not
begun again.
"""

import errno
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from actors.messages import InvalidRequest
from configs.planned import BASE, Planned, Values, as_tree
from tune.trials import (
    TRIAL,
    Figures,
    Result,
    Role,
    Run,
    State,
    keep,
    lines_of,
    result_of,
    run_of,
    told_last,
    write_json,
)

EXPERIMENT, TRIALS = "experiment.json", "trials"
BEST = "best"
"""What the settings are called that a search found best, when they are tried once more."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a user may want to see."""

    kind: Literal["begin", "step", "end"]
    run: Run
    step: int = 0
    figures: Figures | None = None
    state: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sweep so far."""

    folder: Path
    states: dict[str, int]
    best: tuple[Run, ...]
    """With their first seed; several where there are several goals."""
    tokens: int
    seconds: float
    """Of this call."""


Watch = Callable[[Event], None]


class Conductor:
    """One sweep, ablation or experiment. Used from one thread."""

    def __init__(
        self, planned: Planned, folder: Path, *, resume: bool, watch: Watch = lambda _: None
    ) -> None:
        """Begin in a directory, or go on there. Raises InvalidRequest, NotReady."""
        self.planned, self.folder = planned, folder
        self._watch = watch
        self._began = time.monotonic()
        self._runs: dict[str, Run] = {}
        self._results: dict[str, Result] = {}
        self._running: dict[str, Run] = {}
        self._waiting: deque[Run] = deque()
        self._behind: set[str] = set()
        """Trials that were told to end because others are better."""
        self._tokens: dict[str, float] = {}
        self._search = self._searcher()
        self._open(resume)
        if self._search is None and not self._runs:
            for seed in planned.experiment.seeds:
                for number, (arm, values) in enumerate(planned.arms.items()):
                    self._queue(number, "arm", arm, values, seed)

    @property
    def over(self) -> bool:
        """Nothing runs and nothing more is to be tried."""
        return not self._running and (self._spent() or not self._filled())

    def next(self) -> Run | None:
        """A trial to run; None where there is nothing now."""
        if self._spent() or not self._filled():
            return None
        run = self._waiting.popleft()
        self._running[run.name] = run
        self._watch(Event("begin", run))
        return run

    def report(self, name: str, step: int, figures: Figures) -> bool:
        """A step of a trial; whether it goes on."""
        run = self._running[name]
        self._tokens[name] = figures.get("tokens", 0.0)
        self._watch(Event("step", run, step, figures))
        if self._spent():
            return False
        if self._leads(run) and self._search and not self._search.report(run.number, step, figures):
            self._behind.add(name)
            return False
        return True

    def finish(self, name: str, said: str = "") -> None:
        """A trial has ended; `said` is why, where it left no result."""
        run = self._running.pop(name)
        result = result_of(run.folder)
        if result is None and name not in self._behind and not said:
            self._watch(Event("end", run, state="stopped", said="the budget is spent"))
            return
        if result is None:
            state: State = "pruned" if name in self._behind else "failed"
            result = replace(told_last(run.folder), state=state, said=said)
            keep(run.folder, result)
        self._settle(run, result)
        self._watch(Event("end", run, result.step, result.figures, result.state, result.said))

    def outcome(self) -> Outcome:
        """So far."""
        states: dict[str, int] = {}
        for result in self._results.values():
            states[result.state] = states.get(result.state, 0) + 1
        numbers = self._search.best() if self._search else []
        first = self.planned.experiment.seeds[0]
        best = [self._run_of(number, first) for number in numbers]
        spent = time.monotonic() - self._began
        return Outcome(self.folder, states, tuple(best), int(sum(self._tokens.values())), spent)

    def goals(self, figures: Figures) -> list[float]:
        """The figures that count, in order."""
        return [figures[goal.metric] for goal in self.planned.goals if goal.metric in figures]

    def _searcher(self) -> Any:
        if not self.planned.experiment.space:
            return None
        from tune.search import Search

        return Search(self.planned)

    def _spent(self) -> bool:
        budget = self.planned.experiment.budget
        late = budget.seconds is not None and time.monotonic() - self._began > budget.seconds
        return late or (budget.tokens is not None and sum(self._tokens.values()) >= budget.tokens)

    def _more(self) -> bool:
        return self._search is not None and self._search.asked < self._search.trials

    def _leads(self, run: Run) -> bool:
        """Whether early stopping looks at this trial."""
        return run.role == "search" and run.seed == self.planned.experiment.seeds[0]

    def _filled(self) -> bool:
        """Whether a trial waits, which is asked for if need be."""
        while not self._waiting and self._more():
            self._ask()
        if not self._waiting and not self._running:
            self._confirm()
        return bool(self._waiting)

    def _ask(self) -> None:
        number, values = self._search.ask()
        self._queue(number, "search", f"#{number}", values, self.planned.experiment.seeds[0])

    def _confirm(self) -> None:
        """When all is tried, the best and the base once more, with seeds that chose neither."""
        seeds = self.planned.experiment.confirm
        if not seeds or self._search is None:
            return
        for number in self._search.best()[:1]:
            values = self._run_of(number, self.planned.experiment.seeds[0]).values
            for seed in seeds:
                self._queue(number, "confirm", BEST, values, seed)
                self._queue(-1, "confirm", BASE, {}, seed)

    def _queue(self, number: int, role: Role, arm: str, values: Values, seed: int) -> None:
        planned, experiment = self.planned, self.planned.experiment
        kind = "" if role != "confirm" else f"{arm}-"
        shown = f"{number:04}-" if number >= 0 else ""
        run = Run(
            folder=self.folder / TRIALS / f"{experiment.name}-{kind}{shown}s{seed}",
            number=number,
            seed=seed,
            role=role,
            arm=arm,
            objective=experiment.objective,
            values=values,
            settings=as_tree(planned.settings(values)),
            goals=tuple(goal.metric for goal in planned.goals),
            experiment=experiment.name,
            config_hash=planned.hash,
            tracking=experiment.tracking.model_dump(mode="json"),
        )
        if run.name in self._runs:
            return
        self._runs[run.name] = run
        try:
            run.write()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._settle(run, Result("failed", 0, {}, "the disk is full"))
        else:
            self._waiting.append(run)

    def _run_of(self, number: int, seed: int) -> Run:
        """As its directory says: a population changes its settings on the way."""
        return next(
            run_of(run.folder)
            for run in self._runs.values()
            if run.role != "confirm" and (run.number, run.seed) == (number, seed)
        )

    def _settle(self, run: Run, result: Result) -> None:
        """Keep how a trial ended; once its last seed has, the search is told."""
        self._results[run.name] = result
        self._tokens[run.name] = result.figures.get("tokens", 0.0)
        if run.role != "search" or self._search is None:
            return
        seeds = self.planned.experiment.seeds
        if self._leads(run) and result.state == "complete":
            for seed in seeds[1:]:
                if not self._known(run.number, seed):
                    self._queue(run.number, "search", run.arm, run.values, seed)
        ended = [self._results.get(one.name) for one in self._runs.values() if self._same(one, run)]
        if any(one is None for one in ended):
            return
        whole = [one for one in ended if one is not None and one.state == "complete"]
        values = [self.goals(one.figures) for one in whole]
        if len(whole) == len(ended) and all(len(one) == len(self.planned.goals) for one in values):
            self._search.tell(run.number, [fmean(column) for column in zip(*values, strict=True)])
        else:
            self._search.tell(run.number, None, pruned=any(one and one.state == "pruned" for one in ended))

    def _same(self, one: Run, other: Run) -> bool:
        return one.role == other.role and one.number == other.number

    def _known(self, number: int, seed: int) -> bool:
        return any(
            run.role == "search" and (run.number, run.seed) == (number, seed) for run in self._runs.values()
        )

    def _open(self, resume: bool) -> None:
        """Make the directory this sweep's, and read what is in it. Raises InvalidRequest."""
        path = self.folder / EXPERIMENT
        if path.is_file() and not resume:
            raise InvalidRequest(f"{self.folder} holds a sweep: go on with --resume, or give another --out")
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if before["config_hash"] != self.planned.hash:
                raise InvalidRequest(
                    f"{self.folder} was begun with other settings: give another --out, or the file as it was"
                )
            self._read()
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(path, described(self.planned))

    def _read(self) -> None:
        """All trials of the directory: those that ended are told, the others wait."""
        paths = (self.folder / TRIALS).glob(f"*/{TRIAL}")
        runs = sorted(map(run_of, (path.parent for path in paths)), key=self._order)
        for run in runs:
            self._runs[run.name] = replace(
                run, tracking=self.planned.experiment.tracking.model_dump(mode="json")
            )
        for run in runs:
            if self._leads(run) and self._search is not None:
                self._search.ask(run.values)
                for line in lines_of(run.folder):
                    told = {key: value for key, value in line.items() if value is not None}
                    self._search.report(run.number, line["step"], told)
            result = result_of(run.folder)
            if result is None:
                self._waiting.append(run)
            else:
                self._settle(run, result)

    def _order(self, run: Run) -> tuple[bool, int, int]:
        seeds: Sequence[int] = (*self.planned.experiment.seeds, *self.planned.experiment.confirm)
        place = seeds.index(run.seed) if run.seed in seeds else len(seeds)
        return run.role == "confirm", run.number, place


def described(planned: Planned) -> dict[str, Any]:
    """A plan as it is kept beside its trials."""
    return {
        "name": planned.experiment.name,
        "kind": planned.kind,
        "objective": planned.experiment.objective,
        "goals": [goal.model_dump() for goal in planned.goals],
        "config_hash": planned.hash,
        "experiment": planned.experiment.model_dump(mode="json"),
        "base": as_tree(planned.settings({})),
    }
