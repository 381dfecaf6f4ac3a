"""One trial: its directory, its figures as they come, how it ended. Knows no search and no Ray."""

import errno
import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from actors.messages import Gone, InvalidRequest, NotReady
from actors.recorder import FILE, Recorder
from configs.compression import TrackingSettings
from configs.objectives import OBJECTIVES
from tune.highest import forget, highest_bytes
from tune.provenance import provenance

TRIAL, RESULT, ITEMS, PROVENANCE = "trial.json", "result.json", "items.jsonl", "provenance.json"
CHECKPOINT, LOG = "checkpoint", "log.txt"
PATIENCE_S = 60.0
"""How long a trial waits for one who still works in its directory, and was given up."""
Role = Literal["search", "arm", "confirm"]
State = Literal["complete", "pruned", "failed"]
Figures = dict[str, float]
Tell = Callable[[int, Figures], bool]
"""Told a step and its figures; whether to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One trial with one seed."""

    folder: Path
    number: int
    """Of the settings, from 0: the same settings with other seeds have the same."""
    seed: int
    role: Role
    arm: str
    """What the settings are called."""
    objective: str
    values: dict[str, Any]
    """Settings that differ from those that all share, by dotted key."""
    settings: dict[str, Any]
    """All of the objective's settings."""
    goals: tuple[str, ...]
    """Figures that must be numbers."""
    experiment: str
    config_hash: str
    tracking: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its directory, and of its runs in trackers."""
        return self.folder.name

    def write(self) -> None:
        """Make the directory."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / TRIAL, {**asdict(self), "folder": self.folder.name})


@dataclass(frozen=True, slots=True)
class Result:
    """How a trial ended, with its last figures."""

    state: State
    step: int
    figures: Figures
    said: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One question's worth, so that trials can be compared question by question."""

    id: str
    group: str
    """Items of a group are right or wrong together, and are drawn together."""
    value: float
    weight: float = 1.0
    """The objective's own goal is the weighted mean of its items."""


class Halted(Exception):
    """The trial was told to end before its time."""


class NotFinite(ValueError):
    """A figure that counts is no number."""


class Reporter:
    """What an objective tells its figures to."""

    def __init__(self, run: Run, tell: Tell, lock: int) -> None:
        self.folder, self.seed = run.folder, run.seed
        self.lock = lock
        """The descriptor that keeps others out of the directory: for processes that work there too."""
        self.checkpoint = run.folder / CHECKPOINT
        """What is needed to go on after a death lies here."""
        self.last = told_last(run.folder)
        """What was told last, by an attempt that died too."""
        self._run, self._tell = run, tell
        self._recorder: Recorder | None = None
        self._spent: Figures = {"tokens": 0.0, "seconds": 0.0, "cpu_seconds": 0.0}
        self._began = time.perf_counter(), time.process_time()

    def __call__(self, step: int, metrics: Mapping[str, float], tokens: int = 0) -> None:
        """Tell the figures of a step, counted from 1, and the tokens since the one before.

        What is needed to go on after this step lies in the checkpoint directory by now. Raises Halted,
        NotFinite.
        """
        if self._recorder is None:
            self._open(step)
        assert self._recorder is not None
        self._spent["tokens"] += tokens
        figures = {**{name: float(value) for name, value in metrics.items()}, **self._costs()}
        self._recorder.record(step, figures)
        for name in self._run.goals:
            if not math.isfinite(figures.get(name, 0.0)):
                raise NotFinite(f"{name} is {figures[name]} at step {step}")
        self.last = Result("complete", step, figures)
        if not self._tell(step, figures):
            raise Halted

    def items(self, found: Iterable[Item]) -> None:
        """Keep what each question was worth."""
        lines = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
        _write(self.folder / ITEMS, lines)

    def close(self) -> None:
        """Close the trackers; what a full disk has no room for is lost."""
        try:
            if self._recorder is not None:
                self._recorder.close()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def _open(self, step: int) -> None:
        """Go on before a step: what was spent until then counts."""
        before = [line for line in lines_of(self.folder) if line["step"] < step]
        for name in self._spent if before else ():
            self._spent[name] = float(before[-1].get(name) or 0.0)
        settings = TrackingSettings.model_validate(self._run.tracking)
        self._recorder = Recorder(self.folder, settings, since=step)

    def _costs(self) -> Figures:
        wall, cpu = self._began
        return {
            "tokens": self._spent["tokens"],
            "seconds": self._spent["seconds"] + time.perf_counter() - wall,
            "cpu_seconds": self._spent["cpu_seconds"] + time.process_time() - cpu,
            "peak_bytes": float(highest_bytes()),
        }


def carry_out(run: Run, tell: Tell) -> Result | None:
    """Run one trial to its end, or from its last checkpoint on; None if it was told to end before.

    One that has ended is not run again. A figure that is no number, a full disk, settings that cannot
    work and models or data that are not there end it as failed; whatever else is raised may be tried again.
    """
    from tune.objectives import FUNCTIONS

    with alone(run.folder) as lock:
        done = result_of(run.folder)
        if done is not None:
            return done
        forget()
        reporter = Reporter(run, tell, lock)
        try:
            reporter.checkpoint.mkdir(exist_ok=True)
            write_json(run.folder / PROVENANCE, asdict(provenance()))
            settings = OBJECTIVES[run.objective].settings.model_validate(run.settings)
            FUNCTIONS[run.objective](settings, reporter)
            result = reporter.last
            write_json(run.folder / RESULT, asdict(result))
        except Halted:
            return None
        except (NotFinite, InvalidRequest, NotReady) as error:
            result = _failed(reporter, str(error))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            result = _failed(reporter, "the disk is full")
        finally:
            reporter.close()
    return result


def told_last(folder: Path) -> Result:
    """What a trial told last, as a result; of one that has not begun step 0."""
    lines = lines_of(folder)
    if not lines:
        return Result("complete", 0, {})
    figures = {name: value for name, value in lines[-1].items() if name != "step" and value is not None}
    return Result("complete", lines[-1]["step"], figures)


def _failed(reporter: Reporter, said: str) -> Result:
    """The result, kept where there is room for it."""
    result = Result("failed", reporter.last.step, reporter.last.figures, said)
    keep(reporter.folder, result)
    return result


def keep(folder: Path, result: Result) -> bool:
    """Write a result; False where the disk has no room for it."""
    try:
        write_json(folder / RESULT, asdict(result))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def run_of(folder: Path) -> Run:
    """The trial of a directory."""
    tree = json.loads((folder / TRIAL).read_text(encoding="utf-8"))
    return Run(**{**tree, "folder": folder, "goals": tuple(tree["goals"])})


def result_of(folder: Path) -> Result | None:
    """How the trial of a directory ended; None while it has not."""
    path = folder / RESULT
    return Result(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def last_word(folder: Path) -> str:
    """The last line that a trial wrote into its log: of an error what it is called."""
    path = folder / LOG
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
    return next((line for line in reversed(lines) if line.strip()), "its process died without a word")


def items_of(folder: Path) -> list[Item]:
    """What each question was worth; none where the objective asks none."""
    path = folder / ITEMS
    if not path.is_file():
        return []
    return [Item(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of figures, by step."""
    path = folder / FILE
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@contextmanager
def alone(folder: Path, patience_s: float = PATIENCE_S) -> Iterator[int]:
    """Nobody else works in a directory for the length of the block; its process is named in the lock.

    A process that inherits the descriptor keeps others out too while it lives. Raises Gone if another one
    does not end in time.
    """
    with (folder / "lock").open("a+", encoding="ascii") as file:
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    file.seek(0)
                    raise Gone(f"{folder} is being worked in by process {file.read()}") from error
                time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def write_json(path: Path, value: Any) -> None:
    """Write a file that appears once it is whole."""
    _write(path, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
