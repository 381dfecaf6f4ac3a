"""LLMLingua as a peer: its process is asked for what the cache does not hold. Knows no score."""

import json
import os
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from benchmarks.hosts import ROOT


class Made(NamedTuple):
    """A shorter text and the processor's seconds it took."""

    text: str
    seconds: float


class Lingua:
    """What LLMLingua makes of texts with a model, run by the Python of an environment that has it."""

    def __init__(self, python: Path, model: Path, cache: Path | None = None) -> None:
        self._command = [str(python), "-m", "benchmarks.bare_llmlingua", str(model)]
        self._path = cache / "llmlingua.jsonl" if cache else None
        self._known: dict[str, Made] = {}
        if self._path is not None and self._path.exists():
            with self._path.open() as lines:
                self._known = {name: Made(*made) for name, made in map(json.loads, lines)}

    def shorten(self, texts: Sequence[str], budget: float) -> list[Made]:
        """Each text at a budget, as asked of it. Raises RuntimeError if its process ends early."""
        names = [sha256(f"{budget}\0{text}".encode()).hexdigest()[:24] for text in texts]
        new = [(name, text) for name, text in zip(names, texts, strict=True) if name not in self._known]
        if new:
            self._ask(new, budget)
        return [self._known[name] for name in names]

    def _ask(self, new: Sequence[tuple[str, str]], budget: float) -> None:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen(
            self._command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for name, text in new:
                process.stdin.write(json.dumps({"text": text, "budget": budget}) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{' '.join(self._command)} ended with {process.wait()}")
                said = json.loads(line)
                self._remember(name, Made(said["text"], round(said["seconds"], 4)))
        finally:
            process.stdin.close()
            process.wait()

    def _remember(self, name: str, made: Made) -> None:
        self._known[name] = made
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as lines:
                lines.write(json.dumps([name, made]) + "\n")
