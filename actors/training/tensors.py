"""Whether an adapter's weights are what its configuration says, fit the model, are finite. Knows no torch.

The header is read by the format's own reader, the numbers as they lie in the file.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actors.engines.adapter import CONFIG, WEIGHTS, by_pattern, check_config, check_rank
from actors.messages import InvalidRequest, Json
from actors.models.parts import weight_shapes

NAME = re.compile(r"base_model\.model\.([\w.]+)\.lora_([AB])\.weight")
PATTERN = re.compile(r"[\w.\\^$|()-]*")
"""What may stand in a pattern for modules: nothing that could be matched for hours."""
LAYOUTS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""numpy's name of each number format; bfloat16 as its bits."""
BFLOAT16_EXPONENT = 0x7F80
MOST_RANK = 1024

Shapes = Mapping[str, tuple[int, ...]]


def check_weights(folder: Path, base: Path | None) -> None:
    """Read the whole adapter; `base` is the directory of the model it is for, where that is there.

    Raises InvalidRequest naming the tensor or setting that is wrong.
    """
    config = _config(folder / CONFIG)
    entries = _entries(folder / WEIGHTS)
    modules = _modules(entries)
    shapes = weight_shapes(base) if base is not None else None
    for module, pair in modules.items():
        _check_module(module, pair, config, shapes)
    _check_finite(folder / WEIGHTS, entries)


def _config(path: Path) -> dict[str, Json]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRequest(f"{CONFIG} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise InvalidRequest(f"{CONFIG} holds no object")
    check_config(config)
    rank, alpha = config.get("r"), config.get("lora_alpha", 8)
    if not isinstance(rank, int) or not 1 <= rank <= MOST_RANK:
        raise InvalidRequest(f"{CONFIG}: r is {rank!r}, and must be a rank from 1 to {MOST_RANK}")
    if not _is_number(alpha):
        raise InvalidRequest(f"{CONFIG}: lora_alpha is {alpha!r}, and must be a number")
    for name in ("rank_pattern", "alpha_pattern"):
        _check_patterns(name, config.get(name))
    targets = config.get("target_modules")
    if not isinstance(targets, str) and not _are_names(targets):
        raise InvalidRequest(f"{CONFIG}: target_modules must name the modules that are changed")
    return config


def _check_patterns(name: str, patterns: Json) -> None:
    if patterns is None:
        return
    if not isinstance(patterns, dict) or not all(map(_is_number, patterns.values())):
        raise InvalidRequest(f"{CONFIG}: {name} must give each pattern a number")
    for pattern in patterns:
        if not PATTERN.fullmatch(pattern) or not _compiles(pattern):
            raise InvalidRequest(f"{CONFIG}: {name} has a pattern that is not read here: {pattern[:80]!r}")


def _entries(path: Path) -> dict[str, Any]:
    """The header of a safetensors file, which the format's own reader found whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise InvalidRequest(f"{path.name} is damaged, or no safetensors file: {error}") from error
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__", None)
    return header


def _modules(entries: Mapping[str, Any]) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of both halves of each module that the adapter changes."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, entry in entries.items():
        match = NAME.fullmatch(name)
        if match is None:
            raise InvalidRequest(f"{WEIGHTS} holds {name[:120]!r}, which is no part of a LoRA adapter")
        found.setdefault(match[1], {})[match[2]] = tuple(entry["shape"])
    if not found:
        raise InvalidRequest(f"{WEIGHTS} holds no weights")
    return found


def _check_module(
    module: str, pair: Mapping[str, tuple[int, ...]], config: Mapping[str, Json], shapes: Shapes | None
) -> None:
    if len(pair) != 2:
        raise InvalidRequest(f"{WEIGHTS} is incomplete: {module} has lora_{next(iter(pair))} alone")
    down, up = pair["A"], pair["B"]
    if len(down) != 2 or len(up) != 2 or down[0] != up[1]:
        raise InvalidRequest(f"{WEIGHTS}: the shapes of {module} do not go together: {down} and {up}")
    check_rank(config, module, down[0])
    if not _is_target(module, config["target_modules"]):
        raise InvalidRequest(f"{WEIGHTS} changes {module}, which target_modules of {CONFIG} does not name")
    if shapes is None:
        return
    of_model = shapes.get(f"{module}.weight")
    if of_model is None:
        raise InvalidRequest(f"the adapter is for another model: the one served here has no {module}")
    if of_model != (up[0], down[1]):
        raise InvalidRequest(
            f"the adapter is for another model: {module} has shape {of_model} in the one served here, "
            f"and {(up[0], down[1])} in the adapter"
        )


def _check_finite(path: Path, entries: Mapping[str, Any]) -> None:
    import numpy as np

    content = np.memmap(path, np.uint8, "r")
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    for name, entry in entries.items():
        layout = LAYOUTS.get(entry["dtype"])
        if layout is None:
            raise InvalidRequest(f"{WEIGHTS}: {name} is of type {entry['dtype']}; floats are needed")
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[start + begin : start + end].tobytes(), layout)
        bits = layout == LAYOUTS["BF16"]
        good = (values & BFLOAT16_EXPONENT) != BFLOAT16_EXPONENT if bits else np.isfinite(values)
        if not good.all():
            raise InvalidRequest(f"{WEIGHTS}: {int((~good).sum())} values of {name} are not finite")


def _is_target(module: str, targets: Json) -> bool:
    """By PEFT's rules: a list names modules or how their names end, a text is a pattern, or all-linear."""
    if isinstance(targets, str):
        return targets == "all-linear" or not PATTERN.fullmatch(targets) or _matches(targets, module)
    return any(module == name or module.endswith(f".{name}") for name in targets)


def _matches(pattern: str, module: str) -> bool:
    return _compiles(pattern) and by_pattern({pattern: True}, module, default=False)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _are_names(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)
