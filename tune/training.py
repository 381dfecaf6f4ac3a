"""Trains the keep policy: data in, checkpoints and figures on the way, weights out. Knows no RLlib."""

import json
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.compression.chunks import Chunk, Count, bits_of, cut, estimate, frequencies, select
from actors.compression.environment import Task
from actors.compression.policy import Policy
from actors.compression.reward import Scorer, Weights
from actors.messages import InvalidRequest
from actors.recorder import Recorder
from configs.compression import CompressionTraining
from tune.prepare import sha256
from tune.records import MANIFEST, TEST, TRAIN, read

WEIGHTS = "policy.safetensors"
SETTINGS = "settings.json"
CHECKPOINTS = "checkpoints"
KEPT = 2
"""Checkpoints that are kept."""
BUDGETS = (0.5, 0.3)
"""Shares of the tokens at which a policy is tried on held-out questions."""
Watch = Callable[[int, Mapping[str, float]], None]
"""Told each iteration's number and figures."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training wrote, and the share of held-out answers that it keeps whole, by domain and budget."""

    folder: Path
    weights: Path
    iterations: int
    resumed_at: int
    kept: Mapping[str, Mapping[str, float]]


def train(
    settings: CompressionTraining,
    folder: Path,
    *,
    resume: bool = False,
    count: Count = estimate,
    reader: Scorer | None = None,
    reconstruction: Scorer | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train into a folder; with `resume`, go on after its last checkpoint, to the very same weights.

    Raises InvalidRequest if the folder holds another training, or there is nothing to train on.
    """
    from tune.compress import Learner

    start = _opened(settings, folder, resume)
    task = task_of(settings, load(settings.data, TRAIN, count, settings.protect), reader, reconstruction)
    with (
        closing(Learner(settings, task)) as learner,
        Recorder(folder, settings.tracking, since=start) as recorder,
    ):
        if start:
            learner.restore(_checkpoint(folder, start))
        for iteration in range(start, settings.iterations):
            figures = learner.iterate(iteration)
            recorder.record(iteration, figures)
            if watch is not None:
                watch(iteration, figures)
            done = iteration + 1
            if done % settings.checkpoint_every == 0 or done == settings.iterations:
                _save(folder, done, learner.save)
        weights = learner.weights()
    return _export(settings, folder, weights, start, load(settings.data, TEST, count, settings.protect))


def load(
    folders: Iterable[Path], split: str, count: Count = estimate, protected: bool = False
) -> list[Chunk]:
    """The chunks of one split of prepared directories that have a question; `protected` as in `cut`."""
    chunks = [
        chunk
        for folder in folders
        for record in read(folder, split)
        for chunk in cut(
            record.id,
            record.domain,
            record.text,
            [one.answers for one in record.questions],
            count,
            protected,
        )
    ]
    return [chunk for chunk in chunks if chunk.places.questions]


def token_count(tokenizer: Path) -> Count:
    """Counts a word's tokens with a tokenizer.json, as they are inside a text."""
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(str(tokenizer))

    @cache
    def count(word: str) -> int:
        return max(1, len(encoder.encode(f" {word}", add_special_tokens=False).ids))

    return count


def task_of(
    settings: CompressionTraining,
    chunks: Sequence[Chunk],
    reader: Scorer | None = None,
    reconstruction: Scorer | None = None,
) -> Task:
    """What the settings ask to be learned from these chunks. Raises InvalidRequest if there are none."""
    if not chunks:
        raise InvalidRequest("there is nothing to train on: name directories of `pal data prepare` as data")
    if settings.reward.reader and reader is None:
        raise InvalidRequest("reward.reader has weight, but this training was given no reader")
    table = frequencies(chunks)
    wanted = settings.reward
    return Task(
        chunks=chunks,
        bits=[bits_of(chunk, table) for chunk in chunks],
        weights=Weights(wanted.answers, wanted.reader, wanted.reconstruction, wanted.budget),
        lowest=settings.lowest_budget,
        highest=settings.highest_budget,
        choices=settings.choices if settings.environment == "chunk" else 1,
        reader=reader,
        reconstruction=reconstruction,
    )


def kept_share(
    chunks: Sequence[Chunk], score: Callable[[Chunk, float], NDArray[np.float32]], budget: float
) -> float:
    """The share of all questions whose answer is whole among the best words within a budget."""
    kept = [one for answers in kept_answers(chunks, score, budget) for one in answers]
    return fmean(kept) if kept else 0.0


def kept_answers(
    chunks: Sequence[Chunk], score: Callable[[Chunk, float], NDArray[np.float32]], budget: float
) -> list[list[bool]]:
    """Of each chunk's questions, whether the answer is whole among the best words within a budget."""
    chosen = [select(score(chunk, budget), chunk.costs, budget, chunk.locked) for chunk in chunks]
    return [
        [bool(one) for one in chunk.places.kept(kept[None])[0]]
        for chunk, kept in zip(chunks, chosen, strict=True)
    ]


def held_out(policy: Policy, chunks: Sequence[Chunk]) -> dict[str, dict[str, float]]:
    """`kept_share` by domain and budget, with the number of questions."""
    figures = {}
    for domain in sorted({chunk.domain for chunk in chunks}):
        ours = [chunk for chunk in chunks if chunk.domain == domain]
        figures[domain] = {"questions": float(sum(chunk.places.questions for chunk in ours))}
        for budget in BUDGETS:
            share = kept_share(ours, lambda chunk, asked: policy.scores(chunk.rows, asked), budget)
            figures[domain][f"kept_at_{budget}"] = round(share, 4)
    return figures


def _opened(settings: CompressionTraining, folder: Path, resume: bool) -> int:
    """Make the folder ready; the iteration to begin with."""
    written = folder / SETTINGS
    now = settings.model_dump(mode="json")
    if not resume:
        if written.exists():
            raise InvalidRequest(f"{folder} holds a training already: --resume goes on, --out names another")
        folder.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps(now, indent=1) + "\n")
        return 0
    if not written.is_file():
        raise InvalidRequest(f"{folder} holds no training to resume")
    before = json.loads(written.read_text())
    other = sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
    if other:
        raise InvalidRequest(f"{folder} was trained with another {', '.join(other)}: resume with the same")
    return max(_checkpoints(folder), default=0)


def _checkpoints(folder: Path) -> Iterator[int]:
    held = folder / CHECKPOINTS
    if held.is_dir():
        yield from (int(path.name) for path in held.iterdir() if path.name.isdigit())


def _checkpoint(folder: Path, done: int) -> Path:
    return folder / CHECKPOINTS / f"{done:06}"


def _save(folder: Path, done: int, save: Callable[[Path], None]) -> None:
    """Write a checkpoint that appears once it is whole, and remove what is older than the last ones."""
    final = _checkpoint(folder, done)
    draft = final.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    save(draft)
    draft.replace(final)
    for old in sorted(_checkpoints(folder))[:-KEPT]:
        shutil.rmtree(_checkpoint(folder, old))


def _export(
    settings: CompressionTraining,
    folder: Path,
    weights: Mapping[str, NDArray[np.float32]],
    start: int,
    test: Sequence[Chunk],
) -> Trained:
    from safetensors.numpy import save_file

    path = folder / WEIGHTS
    save_file(dict(sorted(weights.items())), path)
    kept = held_out(Policy(weights), test)
    manifest: dict[str, Any] = {
        "what": "the policy that scores words for keeping (actors/compression/policy.py)",
        "settings": settings.model_dump(mode="json", exclude={"data", "tokenizer", "tracking"}),
        "data": [json.loads((one / MANIFEST).read_text()) for one in settings.data],
        "tokenizer": {"sha256": sha256(settings.tokenizer)} if settings.tokenizer else "estimated",
        "parameters": sum(value.size for value in weights.values()),
        "held_out": kept,
        "files": {WEIGHTS: sha256(path)},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "ray", "numpy", "gymnasium")},
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return Trained(folder, path, settings.iterations, start, kept)
