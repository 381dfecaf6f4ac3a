"""Checkpoints of a training: whole and hashed, or not there. Knows no model and no number of ranks.

They hold whole weights and moments by name, gathered from all ranks, rather than DeepSpeed's own partitions:
so another stage, another number of ranks or plain torch goes on from them, and nothing has to be converted.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Self

import torch

from actors.messages import InvalidRequest, PalError
from actors.models.manifest import read_manifest, write_manifest

Tensor = torch.Tensor
STATE = "state.safetensors"
FACTS = "facts.json"
DRAFT = ".draft"
KINDS = ("weight", "exp_avg", "exp_avg_sq")
"""What is held of each trained weight."""
COPIED = 1 << 30
"""Bytes of state up to which it is copied and written while training goes on; a larger one makes it wait."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One whole checkpoint on disk."""

    path: Path
    step: int
    """Steps that were done."""
    position: dict[str, Any]
    """Where the data goes on."""

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], Tensor]]:
        """Reads tensors by name within the block."""
        from safetensors import safe_open

        with safe_open(self.path / STATE, framework="pt") as file:
            yield file.get_tensor


class Checkpoints:
    """The checkpoints in one folder, the last few of them kept. Used by one rank, closed at the end."""

    def __init__(self, folder: Path, keep: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._folder = folder
        self._keep = keep
        self._shapes = {f"{kind}/{name}": shape for name, shape in shapes.items() for kind in KINDS}
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._written: Future[None] | None = None
        shutil.rmtree(folder / DRAFT, ignore_errors=True)

    def save(self, step: int, position: Mapping[str, Any], tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Write the state after `step` steps; what is small is written while training goes on.

        Raises PalError for a full disk, now or at the next call; checkpoints that were there stay.
        """
        self.wait()
        if sum(map(prod, self._shapes.values())) * 4 > COPIED:
            self._write(step, position, tensors)
            return
        copied = [(name, value.detach().float().cpu().clone()) for name, value in tensors]
        self._written = self._thread.submit(self._write, step, position, copied)

    def wait(self) -> None:
        """Until what is being written is there. Raises what writing it raised."""
        if self._written is not None:
            self._written.result()
            self._written = None

    def __enter__(self) -> Self:
        """Itself, to be waited for at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the last one."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def _write(self, step: int, position: Mapping[str, Any], tensors: Iterable[tuple[str, Tensor]]) -> None:
        draft, path = self._folder / DRAFT, self._folder / f"{step:08d}"
        draft.mkdir(parents=True, exist_ok=True)
        try:
            write_tensors(draft / STATE, self._shapes, tensors)
            (draft / FACTS).write_text(json.dumps({"step": step, "position": dict(position)}) + "\n")
            write_manifest(draft, path.name, "training")
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise PalError(
                f"the disk of {self._folder} is full: the checkpoint of step {step} was not written, those "
                "before it are whole; free some space and go on with --resume",
                code="disk_full",
            ) from error
        if path.exists():
            shutil.rmtree(path)
        draft.rename(path)
        _sync(self._folder)
        for old in of(self._folder)[: -self._keep]:
            shutil.rmtree(old)


def newest(folder: Path, note: Callable[[str], None]) -> Checkpoint | None:
    """The last whole checkpoint of a folder; a damaged one is told of by name and passed over.

    Raises InvalidRequest where there are some and none is whole.
    """
    found = of(folder)[::-1]
    for path in found:
        problem = problem_of(path)
        if problem is None:
            facts = json.loads((path / FACTS).read_text())
            return Checkpoint(path, int(facts["step"]), facts["position"])
        note(f"checkpoint {path.name} is passed over: {problem}")
    if found:
        raise InvalidRequest(f"no checkpoint in {folder} is whole: begin anew with another --out")
    return None


def of(folder: Path) -> list[Path]:
    """The directories of all checkpoints of a folder, oldest first; each is named by its steps."""
    return sorted(path for path in folder.glob("*") if path.name.isdecimal())


def problem_of(path: Path) -> str | None:
    """What is wrong with a checkpoint; reads every byte."""
    manifest = read_manifest(path)
    if manifest is None:
        return "it has no manifest"
    if gone := manifest.missing(path):
        return f"{gone[0]} is not as long as it was written"
    if damaged := manifest.damaged(path):
        return f"{damaged[0]} does not hold what was written"
    return None


def write_tensors(
    path: Path, shapes: Mapping[str, tuple[int, ...]], tensors: Iterable[tuple[str, Tensor]]
) -> None:
    """A float32 safetensors file of tensors that come one at a time, in the order of their own."""
    header: dict[str, Any] = {}
    offset = 0
    for name, shape in shapes.items():
        end = offset + 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for (name, value), expected in zip(tensors, shapes, strict=True):
            assert name == expected
            file.write(value.detach().float().cpu().contiguous().numpy().data)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
