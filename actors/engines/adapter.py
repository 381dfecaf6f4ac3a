"""What a directory must hold to be loaded as a LoRA adapter. Knows no engine."""

from pathlib import Path

from actors.messages import InvalidRequest, NotFound

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl")


def check_adapter(path: Path) -> None:
    """Raises NotFound if `path` is no adapter directory, InvalidRequest if it holds pickled weights."""
    for name in (CONFIG, WEIGHTS):
        if not (path / name).is_file():
            raise NotFound(f"{path} is not an adapter: it has no {name}")
    pickled = [file.name for pattern in PICKLED for file in path.glob(pattern)]
    if pickled:
        raise InvalidRequest(f"{path} holds {pickled[0]}; only safetensors are loaded")
