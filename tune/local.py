"""Carries out trials one after another in a child process, without Ray. Knows no search."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tune.conductor import Conductor, Outcome
from tune.trials import LOG, Run, carry_out, last_word

_CONTEXT = multiprocessing.get_context("spawn")
PATIENCE_S = 20.0


def run(conductor: Conductor) -> Outcome:
    """All of a sweep. A trial whose process dies goes on in another one, from its checkpoint."""
    child = _Child()
    try:
        while not conductor.over and (trial := conductor.next()) is not None:
            retries = conductor.planned.experiment.retries
            while not child.carried_out(trial, conductor) and retries:
                retries -= 1
            conductor.finish(trial.name, child.said)
    finally:
        child.end()
    return conductor.outcome()


class _Child:
    """A process that runs one trial after another, and is begun again if it dies."""

    def __init__(self) -> None:
        self.said = ""
        """Why the last trial left no result."""
        self._process: Any = None
        self._pipe: Connection[Any, Any] | None = None

    def carried_out(self, trial: Run, conductor: Conductor) -> bool:
        """Run a trial to its end; False if the process died of it."""
        pipe = self._begun()
        self.said = ""
        try:
            pipe.send(trial)
            while (told := pipe.recv()) is not None:
                pipe.send(conductor.report(trial.name, *told))
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._process.join()
            self.said = f"its process ended with {self._process.exitcode}: {last_word(trial.folder)}"
            self._pipe = None
            return False
        return True

    def end(self) -> None:
        """Let it go: at once where it waits, else by force."""
        if self._pipe is not None:
            self._pipe.close()
            self._process.join(PATIENCE_S)
        if self._process is not None and self._process.is_alive():
            self._process.kill()

    def _begun(self) -> "Connection[Any, Any]":
        if self._pipe is None:
            self._pipe, theirs = _CONTEXT.Pipe()
            self._process = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe


def _serve(pipe: "Connection[Any, Any]") -> None:
    """Until the one who asks is gone."""

    def tell(step: int, figures: dict[str, float]) -> bool:
        pipe.send((step, figures))
        return bool(pipe.recv())

    while True:
        try:
            trial = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        _log_to(trial.folder / LOG)
        carry_out(trial, tell)
        pipe.send(None)


def _log_to(path: Path) -> None:
    """What is printed goes to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
