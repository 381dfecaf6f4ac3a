"""What a model's parts weigh, read from the headers of its safetensors files. Knows no torch."""

import json
import math
import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from actors.engines.split import Parts
from actors.messages import Json, NotReady

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LAYER = re.compile(r"model\.layers\.(\d+)\.")
EMBEDDING = "model.embed_tokens.weight"
NORM = "model.norm.weight"
HEAD = "lm_head.weight"
LARGEST_HEADER = 100_000_000


def tensor_files(path: Path) -> dict[str, Path]:
    """Which file of a model's directory holds each tensor. Raises NotReady where there are no safetensors."""
    if (path / INDEX).is_file():
        names = json.loads((path / INDEX).read_text(encoding="utf-8"))["weight_map"]
        files = {name: path / file for name, file in names.items()}
        missing = sorted({file.name for file in files.values() if not file.is_file()})
        if missing:
            raise NotReady(f"{path} lacks {missing[0]}, which {INDEX} names: pull the model again")
        return files
    if not (path / SINGLE).is_file():
        raise NotReady(f"{path} holds no {SINGLE} and no {INDEX}: pull the model, or convert it first")
    return dict.fromkeys(_header(path / SINGLE), path / SINGLE)


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a model's directory. Raises NotReady where there are no safetensors."""
    files = set(tensor_files(path).values())
    headers = [_header(file) for file in sorted(files)]
    return {name: tuple(entry["shape"]) for header in headers for name, entry in header.items()}


def weights_by_part(path: Path, itemsize: int) -> Parts:
    """Bytes of each part in memory, where one weight takes `itemsize` bytes. Raises NotReady."""
    counts = _numbers(path)
    last = max((int(found[1]) for found in map(LAYER.match, counts) if found), default=-1)
    if last < 0:
        raise NotReady(f"{path} holds no decoder that the torch engine knows: it has no layers")
    layers = [0] * (last + 1)
    for name, count in counts.items():
        found = LAYER.match(name)
        if found:
            layers[int(found[1])] += count * itemsize
    tied = is_tied(_config(path).get("tie_word_embeddings"), counts)
    embedding = counts.get(EMBEDDING, 0) * itemsize
    head = counts.get(NORM, 0) * itemsize + (embedding if tied else counts[HEAD] * itemsize)
    return Parts(embedding=embedding, layers=tuple(layers), head=head, tied=tied)


def cache_bytes_per_token(config: Mapping[str, Any], itemsize: int) -> int:
    """Bytes of keys and values that one token takes in one layer; `config` is that of config.json."""
    heads = config.get("num_key_value_heads") or config["num_attention_heads"]
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return int(2 * heads * width * itemsize)


def is_tied(said: bool | None, names: Container[str]) -> bool:
    """Whether the head is the embedding: it is said to be, or it has no tensor of its own."""
    return bool(said) or HEAD not in names


def _config(path: Path) -> dict[str, Any]:
    if not (path / "config.json").is_file():
        raise NotReady(f"{path} is not a model: it has no config.json")
    found: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return found


def _numbers(path: Path) -> dict[str, int]:
    """How many numbers each tensor has."""
    return {name: math.prod(shape) for name, shape in weight_shapes(path).items()}


def _header(file: Path) -> dict[str, Json]:
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(file.stat().st_size, LARGEST_HEADER):
            raise NotReady(f"{file} is not a safetensors file: pull the model again")
        header: dict[str, Json] = json.loads(opened.read(length))
    header.pop("__metadata__", None)
    return header
