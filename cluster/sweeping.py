"""Shows how a sweep fares: as JSON lines, live on a terminal, else a line for each trial. Runs nothing."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from cluster.context import emit, note

if TYPE_CHECKING:
    from rich.console import RenderableType

    from configs.planned import Planned
    from tune.conductor import Event

ROWS = 12
"""Trials that are shown at once."""


@contextmanager
def shown(planned: "Planned", *, as_json: bool) -> "Iterator[Callable[[Event], None]]":
    """What to tell each event of a sweep to."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if as_json:
        yield partial(_emit, sys.stdout)
        return
    board = _Board(planned)
    if not console.is_terminal:
        yield lambda event: _line(board, event)
        return
    with Live(board.drawn(), console=console, refresh_per_second=4, transient=True) as live:

        def watch(event: "Event") -> None:
            board.take(event)
            live.update(board.drawn())

        yield watch


class _Board:
    """The trials that run, the last that ended, and the best."""

    def __init__(self, planned: "Planned") -> None:
        self.goal = planned.goals[0]
        self.states: Counter[str] = Counter()
        self.best: tuple[float, str] | None = None
        self._name = planned.experiment.name
        self._began = time.monotonic()
        self._rows: dict[str, tuple[str, ...]] = {}
        self._tokens: dict[str, float] = {}

    def take(self, event: "Event") -> None:
        """One event."""
        name, figures = event.run.name, event.figures or {}
        self._tokens[name] = figures.get("tokens", 0.0)
        value = figures.get(self.goal.metric)
        self._rows.pop(name, None)
        self._rows[name] = (
            name,
            _values(event.run.values),
            str(event.step or ""),
            _number(value),
            event.state,
        )
        if event.kind == "end":
            self.states[event.state] += 1
        if event.state == "complete" and value is not None:
            better = max if self.goal.direction == "maximize" else min
            self.best = better(self.best, (value, name)) if self.best else (value, name)

    def summary(self) -> str:
        """All in a line."""
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        best = (
            f"best {self.goal.metric} {_number(self.best[0])} ({self.best[1]})"
            if self.best
            else "no best yet"
        )
        spent = int(time.monotonic() - self._began)
        clock = f"{spent // 3600}:{spent // 60 % 60:02d}:{spent % 60:02d}"
        return f"{self._name}: {states or 'begun'}; {best}; {sum(self._tokens.values()):,.0f} tokens, {clock}"

    def drawn(self) -> "RenderableType":
        """For a terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(
            "trial", "settings", "step", self.goal.metric, "", box=SIMPLE_HEAD, caption=self.summary()
        )
        ended = [row for row in self._rows.values() if row[-1]]
        running = [row for row in self._rows.values() if not row[-1]]
        for row in (*ended[-max(1, ROWS - len(running)) :], *running):
            table.add_row(*row)
        return table


def _line(board: _Board, event: "Event") -> None:
    board.take(event)
    if event.kind == "end":
        said = f" ({event.said})" if event.said else ""
        note(f"{event.run.name} {event.state}{said}; {board.summary()}")


def _emit(stdout: TextIO, event: "Event") -> None:
    told: dict[str, Any] = {"event": event.kind, "trial": event.run.name, "number": event.run.number}
    told |= {"seed": event.run.seed, "arm": event.run.arm, "values": event.run.values}
    if event.kind != "begin":
        told |= {"step": event.step, "figures": event.figures}
    if event.kind == "end":
        told |= {"state": event.state, "said": event.said}
    with redirect_stdout(stdout):
        emit(told)


def _values(values: dict[str, Any]) -> str:
    return " ".join(f"{key.rpartition('.')[2]}={_number(value)}" for key, value in values.items())


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
