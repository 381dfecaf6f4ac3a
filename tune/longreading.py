"""Answers questions about texts that a model reads once: whole, or in a window that goes over them.

Shapes: S tokens kept of a text, D width of a head.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache
from transformers.utils.logging import disable_progress_bar

from actors.engines.chain import BLOCK
from actors.engines.device import pick_dtype
from actors.engines.schedule import KvPolicy, Window
from actors.models.decoder import Rotary
from actors.models.paged import turn_
from actors.models.tokenizer import ModelTokenizer, end_ids
from tune.answers import Asked, Writer, shared_prefix
from tune.growing import group_heads
from tune.reading import Reader

Tensor = torch.Tensor
TOGETHER = 32_768
"""Tokens whose keys and values answers hold that are written at once: each has a copy of the text's."""


class LongReader:
    """A model that answers greedily, on the CPU."""

    def __init__(self, path: Path, window: KvPolicy | None = None) -> None:
        """With `window`, what is kept of a text is what the torch engine keeps under the same policy.

        Raises InvalidRequest for a window without room.
        """
        disable_progress_bar()
        cpu = torch.device("cpu")
        self.tokenizer = ModelTokenizer(path)
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            str(path), dtype=pick_dtype("auto", cpu), attn_implementation="sdpa", local_files_only=True
        ).eval()
        group_heads(self._model)
        self._ends = frozenset(end_ids(path, self.tokenizer))
        self._window = Window(window, BLOCK) if window else None
        config = self._model.config
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._rotary = Rotary(config, width, cpu) if window else None
        self.tokens = 0
        """That the model has read."""

    def answers(self, prompts: Sequence[Sequence[int]], longest: Sequence[int]) -> list[str]:
        """What follows each prompt, of `longest` tokens at most; what all begin with is read once."""
        prefix = list(prompts[0][: shared_prefix(prompts)])
        rests = [list(prompt[len(prefix) :]) for prompt in prompts]
        self.tokens += len(prefix) + sum(map(len, rests))
        if self._window is None:
            kept, reader = prefix, Reader(self._model, prefix)
        else:
            room = max(len(rest) + most for rest, most in zip(rests, longest, strict=True))
            kept, cache = self.streamed(prefix, room)
            reader = _Begun(self._model, kept, cache)
        writer = Writer(self._model, reader, self._ends)
        asked = [Asked((*kept, *rest), most) for rest, most in zip(rests, longest, strict=True)]
        together = max(1, TOGETHER // len(kept))
        written = [
            ids
            for start in range(0, len(asked), together)
            for ids in writer.write(asked[start : start + together])
        ]
        return [self.tokenizer.backend.decode(ids) for ids in written]

    def streamed(self, tokens: Sequence[int], room: int = 0) -> tuple[list[int], Any]:
        """Read tokens one window after another; what is kept of them, and its keys and values.

        When the window is full, the oldest tokens after the first go, and the rest moves up to these, as in
        the engine. At the end there is place for `room` tokens more.
        """
        assert self._window is not None
        most = self._window.blocks * BLOCK
        kept: list[int] = []
        cache = DynamicCache()
        read = 0
        with torch.inference_mode():
            while read < len(tokens):
                if len(kept) == most:
                    self._drop(kept, cache)
                part = tokens[read : read + most - len(kept)]
                self._model.base_model(torch.tensor([part]), past_key_values=cache)
                kept += part
                read += len(part)
            while len(kept) + room > most and len(kept) > self._window.sinks * BLOCK:
                self._drop(kept, cache)
        return kept, cache

    def _drop(self, kept: list[int], cache: Any) -> None:
        """Forget the oldest lot after the sinks, and turn the keys behind it back by so many positions."""
        assert self._window is not None
        assert self._rotary is not None
        sinks, lot = self._window.sinks * BLOCK, self._window.lot * BLOCK
        cos_D, sin_D = self._rotary.back(lot)
        del kept[sinks : sinks + lot]
        for layer in cache.layers:
            keys, values = layer.keys, layer.values
            moved_S_D = turn_(keys[:, :, sinks + lot :].to(torch.float32, copy=True), cos_D, sin_D)
            layer.keys = torch.cat([keys[:, :, :sinks], moved_S_D.to(keys.dtype)], dim=2)
            layer.values = torch.cat([values[:, :, :sinks], values[:, :, sinks + lot :]], dim=2)


class _Begun(Reader):
    """Goes on from keys and values that are there."""

    def __init__(self, model: Any, prefix: Sequence[int], cache: Any) -> None:
        super().__init__(model)
        self._prefix, self._begun = tuple(prefix), cache
