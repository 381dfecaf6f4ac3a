"""Tensors of a model's safetensors files, one at a time, straight onto a device. Knows no layer."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from actors.messages import NotReady
from actors.models.parts import tensor_files


class Checkpoint:
    """The files of one model. Used as a context manager, which keeps them open while tensors are read."""

    def __init__(self, path: Path, device: torch.device, dtype: torch.dtype) -> None:
        self._path = path
        self._device = device
        self._dtype = dtype
        self._files = tensor_files(path)
        self._open: dict[Path, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._stack.close()

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def under(self, prefix: str) -> set[str]:
        """Names of all tensors that begin with `prefix`, without it."""
        return {name.removeprefix(prefix) for name in self._files if name.startswith(prefix)}

    def read(self, name: str, shape: Sequence[int], dtype: torch.dtype | None = None) -> torch.Tensor:
        """One tensor in the wanted format. Raises NotReady if it is missing or has another shape."""
        found = self.raw(name)
        if tuple(found.shape) != tuple(shape):
            raise NotReady(
                f"{self._path}: {name} has shape {list(found.shape)}, but config.json asks for {list(shape)}"
            )
        return found.to(self._device, dtype or self._dtype)

    def raw(self, name: str) -> torch.Tensor:
        """One tensor as it is stored, in main memory. Raises NotReady if it is missing."""
        if name not in self._files:
            raise NotReady(f"{self._path} has no tensor {name}: the model is incomplete, pull it again")
        file = self._files[name]
        if file not in self._open:
            self._open[file] = self._stack.enter_context(safe_open(file, framework="pt", device="cpu"))
        tensor: torch.Tensor = self._open[file].get_tensor(name)
        return tensor
