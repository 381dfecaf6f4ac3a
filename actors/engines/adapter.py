"""What a directory must hold to be loaded as a LoRA adapter. Knows no engine."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from actors.messages import InvalidRequest, Json, NotFound
from actors.models.manifest import NAME

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
EXTENDED = "extended"
"""What its manifest says of an adapter of a model whose context was extended."""
PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl")
REFUSED = (
    "use_dora",
    "lora_bias",
    "fan_in_fan_out",
    "modules_to_save",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "megatron_config",
    "arrow_config",
    "kasa_config",
    "velora_config",
    "monteclora_config",
    "tied_weights",
)
"""Settings of PEFT that change what an adapter computes and that are not computed here."""
PLAIN_BEGINNINGS = (None, True, False, "gaussian", "orthogonal", "eva", "mica")
"""Ways to begin training that leave the model's own weights as they are."""


def check_adapter(path: Path) -> None:
    """Raises NotFound if `path` is no adapter directory, InvalidRequest if it holds pickled weights.

    An adapter of an extended context is refused too: its model is computed otherwise.
    """
    for name in (CONFIG, WEIGHTS):
        if not (path / name).is_file():
            raise NotFound(f"{path} is not an adapter: it has no {name}")
    pickled = [file.name for pattern in PICKLED for file in path.glob(pattern)]
    if pickled:
        raise InvalidRequest(f"{path} holds {pickled[0]}; only safetensors are loaded")
    if (path / NAME).is_file():
        try:
            manifest = json.loads((path / NAME).read_text(encoding="utf-8"))
        except ValueError as error:
            raise InvalidRequest(f"{path / NAME} is not JSON: {error}") from error
        check_context(manifest)


def check_context(manifest: Mapping[str, Json]) -> None:
    """Raises InvalidRequest if a manifest is that of an adapter for an extended context."""
    if manifest.get(EXTENDED):
        raise InvalidRequest(
            "the adapter was trained for a longer context than its model's, which an adapter alone cannot "
            "give: serve the directory `model` that its training wrote"
        )


def check_config(config: Mapping[str, Json]) -> None:
    """Raises InvalidRequest for settings of PEFT that are no plain LoRA's."""
    if config.get("peft_type") != "LORA":
        raise InvalidRequest(f"the adapter is of type {config.get('peft_type')}; only LORA is loaded")
    for name in REFUSED:
        if config.get(name):
            raise InvalidRequest(f"the adapter uses {name}, which the torch engine does not compute")
    if config.get("bias", "none") != "none":
        raise InvalidRequest("the adapter changes biases, which the torch engine does not compute")
    if config.get("init_lora_weights", True) not in PLAIN_BEGINNINGS:
        raise InvalidRequest(
            f"the adapter began as {config['init_lora_weights']}, which changes the model's own weights: "
            "convert it to a plain LoRA first"
        )


def check_rank(config: Mapping[str, Json], module: str, rank: int) -> None:
    """Raises InvalidRequest where the config says another rank of a module than its weights have."""
    said = by_pattern(config.get("rank_pattern"), module, config.get("r"))
    if said != rank:
        raise InvalidRequest(f"the adapter's weights for {module} have rank {rank}, its config says {said}")


def by_pattern(patterns: Mapping[str, Json] | None, module: str, default: Json) -> Json:
    """What the first pattern that names the module says, as PEFT reads them."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
