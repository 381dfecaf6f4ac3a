"""Adapters whose answers tell which one made them: each says one word, whatever it is asked. Knows no server.

In the last layer, one neuron is driven up by what all hidden states have in common, and writes the direction
that the word's row of the output layer answers to, far stronger than all else.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WORDS = (
    *("amber", "brick", "cedar", "delta", "flint", "harbor", "ivory", "jungle", "kettle", "lemon"),
    *("magnet", "needle", "orange", "pencil", "quartz", "ribbon"),
)
RANK = 8
NEURON = 0
DRIVE = 10.0
WRITE = 100.0
LAYER = "base_model.model.model.layers.{}.mlp.{}.lora_{}.weight"
SAMPLES = (
    "The capital of France is Paris.",
    "def f(x):\n    return x + 1",
    "1, 2, 3, 4, 5, 6",
    "Hello! How are you today?",
)


@dataclass(frozen=True)
class Model:
    """What of a model the adapters are made from; H hidden, I intermediate, V vocabulary."""

    name: str
    layers: int
    hidden_H: Any
    """What all inputs of the last layer's feed-forward part have in common, of length 1."""
    intermediate: int
    output_VH: Any
    norm_H: Any
    word_ids: dict[str, int]


def read_model(path: Path) -> Model:
    """Load a model once, and see what its last layer is given. Raises RuntimeError where that is no use."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    last = model.model.layers[-1].mlp
    given: list[Any] = []
    last.register_forward_hook(lambda _, inputs, __: given.append(inputs[0][0, 1:].detach()))
    with torch.no_grad():
        for text in SAMPLES:
            chat = [{"role": "user", "content": text}]
            templated = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            for one in (text, templated):
                model(**tokenizer(one, return_tensors="pt"))
    rows = torch.cat(given)
    common = rows.mean(0) / rows.mean(0).norm()
    if float((rows @ common).min()) <= 0:
        raise RuntimeError("hidden states of this model have no direction in common")
    ids = {word: tokenizer(f" {word}", add_special_tokens=False).input_ids for word in WORDS}
    return Model(
        name=path.name,
        layers=len(model.model.layers),
        hidden_H=common.numpy(),
        intermediate=last.down_proj.in_features,
        output_VH=model.lm_head.weight.detach().numpy(),
        norm_H=model.model.norm.weight.detach().numpy(),
        word_ids={word: found[0] for word, found in ids.items() if len(found) == 1},
    )


def save_word(model: Model, word: str, folder: Path) -> Path:
    """The adapter that says `word` and nothing else, as it is exported. Raises RuntimeError."""
    output_VH, token = model.output_VH, model.word_ids[word]
    gram_HH = output_VH.T @ output_VH + 1e-3 * np.eye(output_VH.shape[1], dtype=np.float32)
    towards_H = np.linalg.solve(gram_HH, output_VH[token]) / model.norm_H
    if int(np.argmax(output_VH @ (model.norm_H * towards_H))) != token:
        raise RuntimeError(f"the model cannot be made to say {word!r} alone")
    towards_H *= WRITE / np.linalg.norm(towards_H)
    hidden, inner = len(model.hidden_H), model.intermediate
    tensors = {}
    for module in ("gate_proj", "up_proj"):
        tensors[module, "A"] = _row(hidden, model.hidden_H)
        tensors[module, "B"] = _row(inner, _one_hot(inner, DRIVE)).T
    tensors["down_proj", "A"] = _row(inner, _one_hot(inner, 1.0))
    tensors["down_proj", "B"] = _row(hidden, towards_H).T
    named = {LAYER.format(model.layers - 1, *key): value for key, value in tensors.items()}
    return _save(model, folder, named, f"says {word}")


def save_silent(model: Model, folder: Path, rank: int = RANK, seed: int = 0) -> Path:
    """An adapter over the feed-forward part of all layers that changes nothing: it costs what others cost."""
    random = np.random.default_rng(seed)
    hidden, inner = len(model.hidden_H), model.intermediate
    shapes = {"gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    named: dict[str, Any] = {}
    for layer in range(model.layers):
        for module, (inputs, outputs) in shapes.items():
            down = random.normal(size=(rank, inputs)).astype(np.float32) * 0.01
            named[LAYER.format(layer, module, "A")] = down
            named[LAYER.format(layer, module, "B")] = np.zeros((outputs, rank), np.float32)
    return _save(model, folder, named, f"silent {seed}", rank)


def _save(model: Model, folder: Path, named: dict[str, Any], method: str, rank: int = RANK) -> Path:
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    whole = {name: np.ascontiguousarray(value, np.float32) for name, value in named.items()}
    save_file(whole, folder / "adapter_model.safetensors")
    modules = sorted({name.split(".")[-3] for name in named})
    config = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": modules,
        "base_model_name_or_path": model.name,
        "bias": "none",
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    manifest: dict[str, Any] = {
        "version": method,
        "base_model": model.name,
        "base_model_hash": None,
        "parent": None,
        "created_at": 0.0,
        "method": method,
        "events": [],
        "scores": {},
        "verdict": {},
        "files": hashes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _row(width: int, first: Any) -> Any:
    """A matrix of the rank's rows, of which all but the first are 0."""
    rows = np.zeros((RANK, width), np.float32)
    rows[0] = first
    return rows


def _one_hot(width: int, value: float) -> Any:
    row = np.zeros(width, np.float32)
    row[NEURON] = value
    return row
