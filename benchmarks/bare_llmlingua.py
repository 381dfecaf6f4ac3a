"""LLMLingua alone, in a process and an environment of its own: texts and ratios in, shorter texts out.

    DIRECTORY/bin/python -m benchmarks.bare_llmlingua MODEL

Reads lines of JSON {"text", "budget"} and answers each with {"text", "seconds"}, processor's seconds of this
process. LLMLingua 0.2.2 is older than the libraries it runs on: its token counter wants a download, and it
reads a model's cache as tuples. Both are bridged here; what it computes is its own.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any


class Bridged:
    """A model whose cache goes in and out as a list of (key, value), as LLMLingua expects it."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, input_ids: Any, past_key_values: Any = None, **given: Any) -> Any:
        """As the model's forward."""
        from transformers import DynamicCache

        if past_key_values is not None:
            cache = DynamicCache()
            for number, (key, value) in enumerate(past_key_values):
                cache.update(key, value, number)
            past_key_values = cache
        said = self._model(input_ids, past_key_values=past_key_values, **given)
        said.past_key_values = [(layer.keys, layer.values) for layer in said.past_key_values.layers]
        return said


class OwnTokens:
    """Counts with the model's own tokenizer where LLMLingua would load OpenAI's."""

    def __init__(self, model: str) -> None:
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)

    def encode(self, text: str, **given: Any) -> Sequence[int]:
        """Token ids."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def _compressor(model: str) -> Any:
    import tiktoken

    tiktoken.encoding_for_model = lambda _name: OwnTokens(model)
    from llmlingua import PromptCompressor

    compressor = PromptCompressor(model, device_map="cpu", model_config={"trust_remote_code": False})
    compressor.model = Bridged(compressor.model)
    return compressor


def _run(model: str) -> None:
    compressor = _compressor(model)
    for line in sys.stdin:
        order = json.loads(line)
        began = time.process_time()
        made = compressor.compress_prompt([order["text"]], rate=order["budget"])["compressed_prompt"]
        print(json.dumps({"text": made, "seconds": time.process_time() - began}), flush=True)


if __name__ == "__main__":
    _run(sys.argv[1])
