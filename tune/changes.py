"""What an adapter in PEFT's format changes of a model's weights. Knows no model and no training.

Shapes: I inputs, O outputs of a linear layer, R rank.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from actors.engines.adapter import CONFIG, WEIGHTS

Tensor = torch.Tensor


def changes(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """What is added to each weight, by the weight's name, float32 [O, I]."""
    scale = _scale(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    with safe_open(str(folder / WEIGHTS), "pt") as file:
        for name in filter(_is_down, file.keys()):
            down_R_I, up_O_R = file.get_tensor(name), file.get_tensor(name.replace(".lora_A.", ".lora_B."))
            yield _weight(name), scale * (up_O_R.float() @ down_R_I.float())


def changed(folder: Path) -> list[str]:
    """Names of the weights that an adapter changes."""
    with safe_open(str(folder / WEIGHTS), "pt") as file:
        return [_weight(name) for name in filter(_is_down, file.keys())]


def stack(below: Path, folder: Path) -> None:
    """Make the adapter in `folder` do what both do; they change the same layers."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    other = json.loads((below / CONFIG).read_text(encoding="utf-8"))
    ratio = _scale(other) / _scale(config)
    mine, theirs = load_file(folder / WEIGHTS), load_file(below / WEIGHTS)
    both = {
        name: torch.cat(
            [value, theirs[name] * (ratio if ".lora_B." in name else 1.0)], int(".lora_B." in name)
        )
        for name, value in mine.items()
    }
    rank = config["r"] + other["r"]
    config["lora_alpha"], config["r"] = _scale(config) * rank, rank
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file({name: value.contiguous() for name, value in both.items()}, folder / WEIGHTS)


def _is_down(name: str) -> bool:
    return ".lora_A." in name


def _weight(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")


def _scale(config: dict[str, float]) -> float:
    return config["lora_alpha"] / (math.sqrt(config["r"]) if config.get("use_rslora") else config["r"])
