"""One transformers model that computes packed stretches of many sequences. Takes no decision.

Shapes: T tokens of a packed row, R rows of logits asked for, V tokens of the vocabulary.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from actors.engines.adapter import WEIGHTS as ADAPTER_WEIGHTS
from actors.engines.adapter import check_adapter
from actors.engines.attention import KvCache, Segment, packed_attention
from actors.engines.batch import Stretch
from actors.engines.device import pick_device, pick_dtype
from actors.messages import InvalidRequest, NotFound, NotReady
from configs.schema import EngineSettings

ATTENTION = "palimpsest_packed"
KNOWN_LAYERS = {"full_attention", "sliding_attention"}


class Runner:
    """The model's weights, on one device, with its LoRA adapters. Used from one thread only."""

    def __init__(self, settings: EngineSettings, path: Path) -> None:
        torch.set_num_threads(settings.threads)
        self.device = pick_device(settings.device)
        self._model = _load(path, pick_dtype(settings.dtype, self.device)).to(self.device).eval()
        self._adapted: Any = None
        self._adapters: dict[str, Path] = {}
        self._active: str | None = None
        self.vocabulary = int(self._model.config.get_text_config().vocab_size)
        self._check_attention()

    @property
    def max_context(self) -> int:
        """Tokens that the model can attend to."""
        return int(self._model.config.get_text_config().max_position_embeddings)

    @property
    def cache_bytes(self) -> int:
        """Bytes of key-value cache that one token takes."""
        config = self._model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * config.num_hidden_layers * heads * width * self._model.dtype.itemsize)

    @torch.inference_mode()
    def forward(self, stretches: Sequence[Stretch], adapter: str | None) -> torch.Tensor:
        """Compute stretches that use the same adapter and store their keys and values.

        Returns float32 logits [R, V]: for a scoring request every token's, for others the last one's alone.
        """
        self._activate(adapter)
        ids = [token for one in stretches for token in one.request.tokens[one.start : one.end]]
        places = [place for one in stretches for place in range(one.start, one.end)]
        segments = [Segment(_cache_of(one), one.start, one.end - one.start) for one in stretches]
        output = self._model(
            input_ids=torch.tensor([ids], device=self.device),
            position_ids=torch.tensor([places], device=self.device),
            use_cache=False,
            logits_to_keep=torch.tensor(_wanted_rows(stretches), device=self.device),
            segments=segments,
        )
        logits: torch.Tensor = output.logits[0].float()
        return logits

    def load_adapter(self, name: str, path: Path) -> None:
        """Add a LoRA adapter; a name that is taken gets the new weights. Raises InvalidRequest, NotFound."""
        check_adapter(path)
        if name in self._adapters:
            self.unload_adapter(name)
        try:
            self._attach(name, path)
        except (RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
            self._detach(name)
            raise InvalidRequest(f"adapter {name!r} does not fit the model: {error}") from error
        self._adapters[name] = path

    def unload_adapter(self, name: str) -> None:
        """Remove an adapter. Raises NotFound."""
        self.check_name(name)
        del self._adapters[name]
        self._detach(name)

    def check_name(self, adapter: str) -> None:
        """Raises NotFound for an adapter that is not loaded."""
        if adapter not in self._adapters:
            raise NotFound(f"adapter {adapter!r} is not loaded", param="model")

    def _attach(self, name: str, path: Path) -> None:
        from peft import PeftConfig, PeftModel, set_peft_model_state_dict

        config = PeftConfig.from_pretrained(str(path))
        config.inference_mode = True
        weights = load_file(path / ADAPTER_WEIGHTS, device=str(self.device))
        if self._adapted is None:
            self._adapted = PeftModel(self._model, config, adapter_name=name)
        else:
            self._adapted.add_adapter(name, config)
        self._adapted.eval()
        self._active = name
        self._adapted.set_adapter(name)
        strange = set_peft_model_state_dict(self._adapted, weights, adapter_name=name).unexpected_keys
        if strange:
            raise ValueError(f"the model has no place for {strange[0]}")

    def _detach(self, name: str) -> None:
        if self._adapted is None or name not in self._adapted.peft_config:
            return
        if len(self._adapted.peft_config) == 1:
            self._model = self._adapted.unload()
            self._adapted = self._active = None
            return
        other = next(one for one in self._adapted.peft_config if one != name)
        self._activate(other)
        self._adapted.delete_adapter(name)

    def _activate(self, adapter: str | None) -> None:
        if self._adapted is None or adapter == self._active:
            return
        tuner = self._adapted.base_model
        if adapter is None:
            tuner.disable_adapter_layers()
        else:
            tuner.enable_adapter_layers()
            tuner.set_adapter(adapter)
        self._active = adapter

    def _check_attention(self) -> None:
        """Run one token: a layer that keeps no keys and values would mix up the sequences of a batch."""
        cache = KvCache()
        with torch.inference_mode():
            self._model(
                input_ids=torch.tensor([[0]], device=self.device),
                position_ids=torch.tensor([[0]], device=self.device),
                use_cache=False,
                segments=[Segment(cache, 0, 1)],
            )
        layers = self._model.config.get_text_config().num_hidden_layers
        missing = layers - len(cache.layers)
        if missing:
            raise NotReady(f"the torch engine cannot run this model: {missing} layers lack plain attention")


def _load(path: Path, dtype: torch.dtype) -> Any:
    from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()

    config = AutoConfig.from_pretrained(str(path), local_files_only=True)
    strange = set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYERS
    if strange:
        raise NotReady(f"the torch engine does not run layers of type {', '.join(sorted(strange))}")
    AttentionInterface.register(ATTENTION, packed_attention)
    return AutoModelForCausalLM.from_pretrained(
        str(path),
        config=config,
        dtype=dtype,
        attn_implementation=ATTENTION,
        local_files_only=True,
        use_safetensors=True,
    )


def _cache_of(stretch: Stretch) -> KvCache:
    if stretch.request.cache is None:
        stretch.request.cache = KvCache()
    cache: KvCache = stretch.request.cache
    return cache


def _wanted_rows(stretches: Sequence[Stretch]) -> list[int]:
    rows: list[int] = []
    end = 0
    for one in stretches:
        start, end = end, end + one.end - one.start
        rows += range(start, end) if one.request.scoring else [end - 1]
    return rows
