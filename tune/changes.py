"""What an adapter in PEFT's format changes of a model's weights. Knows no model and no training.

Shapes: I inputs, O outputs of a linear layer, R rank.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from actors.engines.adapter import CONFIG, WEIGHTS

Tensor = torch.Tensor


def changes(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """What is added to each weight, by the weight's name, float32 [O, I]."""
    for name, down_R_I, up_O_R in factors(folder):
        yield name, up_O_R @ down_R_I


def factors(folder: Path) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The same as two factors, float32 [R, I] and [O, R], the second one scaled."""
    scale = _scale(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    with safe_open(str(folder / WEIGHTS), "pt") as file:
        for name in filter(_is_down, file.keys()):
            down_R_I, up_O_R = file.get_tensor(name), file.get_tensor(name.replace(".lora_A.", ".lora_B."))
            yield _weight(name), down_R_I.float(), scale * up_O_R.float()


def changed(folder: Path) -> list[str]:
    """Names of the weights that an adapter changes."""
    with safe_open(str(folder / WEIGHTS), "pt") as file:
        return [_weight(name) for name in filter(_is_down, file.keys())]


def stack(below: Path, folder: Path, share: float = 1.0) -> None:
    """Make the adapter in `folder` do what it does and what the other does, or a share of that."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    other = json.loads((below / CONFIG).read_text(encoding="utf-8"))
    ratio = share * _scale(other) / _scale(config)
    both = load_file(folder / WEIGHTS)
    for name, value in load_file(below / WEIGHTS).items():
        is_up = ".lora_B." in name
        added = value * (ratio if is_up else 1.0)
        both[name] = torch.cat([both[name], added], int(is_up)) if name in both else added
    _describe(config, other, both)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file({name: value.contiguous() for name, value in both.items()}, folder / WEIGHTS)


def _describe(config: dict[str, Any], other: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """What PEFT is to be told of an adapter that was stacked: ranks, and where it stands."""
    scale = _scale(config)
    rank = max(len(value) for name, value in weights.items() if _is_down(name))
    config |= {"r": rank, "lora_alpha": scale * rank, "use_rslora": False}
    ranks = {name: len(value) for name, value in weights.items() if _is_down(name) and len(value) != rank}
    if ranks:
        modules = {_weight(name).removesuffix(".weight"): size for name, size in ranks.items()}
        config["rank_pattern"] = modules
        config["alpha_pattern"] = {name: scale * size for name, size in modules.items()}
    for where in ("target_modules", "layers_to_transform"):
        if config.get(where) != other.get(where):
            config[where] = sorted({*(config.get(where) or ()), *(other.get(where) or ())}) or None


def _is_down(name: str) -> bool:
    return ".lora_A." in name


def _weight(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")


def _scale(config: dict[str, float]) -> float:
    return config["lora_alpha"] / (math.sqrt(config["r"]) if config.get("use_rslora") else config["r"])
