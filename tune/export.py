"""Writes what a training made: an adapter as PEFT lays it out, or a model directory. Knows no optimiser."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from actors.engines.adapter import CONFIG, EXTENDED, WEIGHTS
from actors.learner import Learner, causal_of
from actors.models.manifest import NAME, file_sha256, name_and_hash, write_manifest
from tune.judge import load

Tensor = torch.Tensor
ADAPTER = "adapter"
MODEL = "model"
WRITTEN_ANEW = (".safetensors", ".bin", ".gguf", ".pt", "config.json", NAME)
"""Ends of file names that are not copied from the model that was trained."""


def export(learner: Learner, base: Path, folder: Path, steps: int, *, writes: bool) -> Path:
    """Write the trained weights; every rank must call it, one of them writes. Returns the directory.

    What was there is replaced at once by what is whole. An adapter of a model whose context was extended
    means nothing to engines that compute the model as it was: the whole model is written beside it.
    """
    weights: dict[str, Tensor] = {}
    for name, value in learner.tensors():
        kind, _, of = name.partition("/")
        if kind == "weight" and writes:
            weights[of] = value.detach().cpu()
    lora = learner.settings.method == "lora"
    path = folder / (ADAPTER if lora else MODEL)
    if not writes:
        return path
    if not lora:
        with _replacing(path) as draft:
            _write_model(learner.model, base, draft, weights)
        return path
    extended = _extended(learner, base)
    with _replacing(path) as draft:
        _write_adapter(learner, base, draft, weights, steps, extended=extended)
    if extended:
        merged = load(learner.settings, base, torch.device("cpu"), adapter=path)
        with _replacing(folder / MODEL) as draft:
            _write_model(merged, base, draft, merged.state_dict())
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new directory that becomes this one at the end of the block, in place of what was there."""
    draft = path.with_name(f".{path.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    yield draft
    shutil.rmtree(path, ignore_errors=True)
    draft.rename(path)


def _extended(learner: Learner, base: Path) -> bool:
    """Whether the model reads further than that of the directory."""
    known = json.loads((base / "config.json").read_text(encoding="utf-8")).get("max_position_embeddings")
    return known is not None and causal_of(learner.model).config.max_position_embeddings > int(known)


def _write_adapter(
    learner: Learner, base: Path, draft: Path, weights: Mapping[str, Tensor], steps: int, *, extended: bool
) -> None:
    learner.model.save_pretrained(str(draft), state_dict=dict(weights))
    config = causal_of(learner.model).config
    more = {
        EXTENDED: extended,
        "rope_parameters": config.rope_parameters,
        "max_position_embeddings": config.max_position_embeddings,
        "settings": learner.settings.model_dump(mode="json"),
    }
    sign(draft, base, "long-context", scores={"steps": steps}, more=more)


def sign(
    folder: Path,
    base: Path,
    method: str,
    *,
    events: Sequence[str] = (),
    parent: str | None = None,
    scores: Mapping[str, float],
    more: Mapping[str, Any],
) -> None:
    """Write the manifest of an adapter that PEFT has written: of which model, from what, by what method."""
    (folder / "README.md").unlink(missing_ok=True)
    name, digest = name_and_hash(base)
    manifest: dict[str, Any] = {
        "version": f"{method}-{file_sha256(folder / WEIGHTS)[:12]}",
        "base_model": name,
        "base_model_hash": digest,
        "parent": parent,
        "created_at": time.time(),
        "method": method,
        "events": list(events),
        "scores": dict(scores),
        "verdict": {},
        **more,
        "files": {name: file_sha256(folder / name) for name in (CONFIG, WEIGHTS)},
    }
    (folder / NAME).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _write_model(model: Any, base: Path, draft: Path, weights: Mapping[str, Tensor]) -> None:
    """The model in the format that its weights came in, with the tokenizer beside it."""
    dtype = _dtype_of(base)
    shorter = {name: value.to(dtype) for name, value in weights.items()}
    model.save_pretrained(str(draft), state_dict=shorter)
    config = json.loads((draft / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = str(dtype).removeprefix("torch.")
    (draft / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for file in base.iterdir():
        if file.is_file() and not file.name.endswith(WRITTEN_ANEW):
            shutil.copy2(file, draft / file.name)
    write_manifest(draft, base.name, f"long-context:{base.name}")


def _dtype_of(base: Path) -> torch.dtype:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    dtype: torch.dtype = getattr(torch, str(config.get("dtype") or config.get("torch_dtype") or "float32"))
    return dtype
