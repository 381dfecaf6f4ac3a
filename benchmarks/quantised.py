"""Weights in 32, 16, 8 and 4 bits side by side: memory, perplexity, and speed of writing and of reading.

    python -m benchmarks.quantised [--model ALIAS] [--text FILE] [--tokens 20000] [--streams 1 8] [--json]

All arms are loaded at once and take turns in every round; printed are medians over the rounds. The arms int8
and int4 compute in the number format that `engine.dtype: auto` means here. Perplexity is over windows of
--window tokens of --text, a text or a question file as `pal bench qa` reads; without it the column is empty.
"""

import argparse
import gc
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
import torch.nn.functional as F

from actors.engines.choose import model_directory
from actors.engines.device import DTYPES, pick_device, pick_dtype
from actors.models.quantize import Kind, quantize_, weight_bytes
from actors.models.tokenizer import ModelTokenizer
from benchmarks.qa_data import load as load_questions
from configs.load import load

ARMS = ("float32", "bfloat16", "int8", "int4")
CONTEXT = 64
"""Tokens of each stream before the measured ones."""


@dataclass(frozen=True)
class Row:
    """One arm's figures: MB are 10^6 bytes; `layers_mb` leaves embedding and head out; speeds in tokens/s."""

    arm: str
    weights_mb: float
    layers_mb: float
    perplexity: float | None
    writing: dict[int, float | None]
    reading: float | None


def main() -> int:
    """Measure and print; always 0: the figures are the result."""
    options = _options()
    settings = load({"engine.model": options.model} if options.model else {}).settings
    path = model_directory(settings)
    torch.set_num_threads(settings.engine.threads)
    device = pick_device(settings.engine.device)
    models = {name: make(name, path, device) for name in options.arms}
    ids = ModelTokenizer(path).encode(_text(options.text))[: options.tokens] if options.text else []
    rows = []
    with torch.inference_mode():
        speeds = _speeds(models, options)
        _say(_heading(options.streams), options.json)
        for name, model in models.items():
            writing = {streams: _median(speeds[name][streams]) for streams in options.streams}
            sizes = (weight_bytes(model) / 1e6, weight_bytes(model.get_decoder().layers) / 1e6)
            guessing = perplexity(model, ids, options.window) if ids else None
            rows.append(Row(name, *sizes, guessing, writing, _median(speeds[name][0])))
            _say(_line(rows[-1]), options.json)
    if options.json:
        print(json.dumps({"tokens": len(ids), "rows": [asdict(row) for row in rows]}))
    _say(
        f"tokens/s, medians of {options.rounds} rounds; reading {options.prompt} tokens; "
        f"perplexity over {len(ids)}",
        options.json,
    )
    return 0


def make(arm: str, path: Path, device: torch.device) -> Any:
    """The model of one arm on its device: a number format's name, or a kind of small weights."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    dtype = DTYPES.get(arm) or pick_dtype("auto", device)
    model = AutoModelForCausalLM.from_pretrained(str(path), dtype=dtype, local_files_only=True)
    model = model.to(device).eval()
    for kind in get_args(Kind):
        if kind == arm:
            quantize_(model, kind)
    gc.collect()
    return model


def perplexity(model: Any, ids: Sequence[int], window: int) -> float:
    """Of `ids`, each token given those before it in its window."""
    loss, count = 0.0, 0
    for start in range(0, len(ids) - 1, window):
        tokens = torch.tensor([ids[start : start + window]], device=model.device)
        logits = model(input_ids=tokens, use_cache=False).logits[0, :-1].float()
        loss += F.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
        count += len(logits)
    return math.exp(loss / count)


def _speeds(models: dict[str, Any], options: argparse.Namespace) -> dict[str, dict[int, list[float]]]:
    """Tokens a second of each round, by arm and by streams; 0 streams stands for reading a prompt."""
    speeds: dict[str, dict[int, list[float]]] = {
        name: {streams: [] for streams in (0, *options.streams)} for name in models
    }
    for number in range(options.rounds + 1 if options.rounds else 0):
        for name in list(models)[:: 1 if number % 2 else -1]:
            for streams, measured in speeds[name].items():
                done = (
                    _writing(models[name], streams, options.new)
                    if streams
                    else _reading(models[name], options.prompt)
                )
                if number:
                    measured.append(done)
    return speeds


def _writing(model: Any, streams: int, new: int) -> float:
    """Tokens a second of greedy streams that go on together."""
    tokens = _some_tokens(model, streams, CONTEXT)
    output = model(input_ids=tokens, use_cache=True, logits_to_keep=1)

    def go_on() -> None:
        past, logits = output.past_key_values, output.logits
        for _ in range(new):
            following = logits[:, -1].argmax(-1, keepdim=True)
            step = model(input_ids=following, past_key_values=past, use_cache=True)
            past, logits = step.past_key_values, step.logits
        logits.sum().item()

    return streams * new / _seconds(go_on)


def _reading(model: Any, prompt: int) -> float:
    """Tokens a second of one prompt."""
    tokens = _some_tokens(model, 1, prompt)
    return prompt / _seconds(
        lambda: model(input_ids=tokens, use_cache=True, logits_to_keep=1).logits.sum().item()
    )


def _some_tokens(model: Any, streams: int, count: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(count)
    vocabulary = model.config.get_text_config().vocab_size
    return torch.randint(0, vocabulary, (streams, count), generator=random).to(model.device)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _text(path: Path) -> str:
    """A file's text; of a question file, its articles."""
    if path.suffix != ".json":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(article.text for article in load_questions(path)[0])


def _median(measured: Sequence[float]) -> float | None:
    return statistics.median(measured) if measured else None


def _heading(streams: Sequence[int]) -> str:
    written = "".join(f" {f'{count} streams':>10}" for count in streams)
    return f"{'arm':8} {'weights MB':>10} {'layers MB':>9} {'perplexity':>10}{written} {'reading':>8}"


def _line(row: Row) -> str:
    written = "".join(f" {_number(speed, 1):>10}" for speed in row.writing.values())
    sizes = f"{row.weights_mb:10.1f} {row.layers_mb:9.1f}"
    return f"{row.arm:8} {sizes} {_number(row.perplexity, 3):>10}{written} {_number(row.reading, 1):>8}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _say(line: str, silent: bool) -> None:
    if not silent:
        print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="Alias or directory; default: engine.model of the settings.")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="Which weights.")
    parser.add_argument("--text", type=Path, help="Text or question file for the perplexity.")
    parser.add_argument("--tokens", type=int, default=20_000, help="Tokens of the text.")
    parser.add_argument("--window", type=int, default=1024, help="Tokens of one window of the text.")
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 8], help="Streams at once.")
    parser.add_argument(
        "--rounds", type=int, default=3, help="Rounds of each, after one to warm up; 0: no speeds."
    )
    parser.add_argument("--new", type=int, default=32, help="Tokens that each stream writes in a round.")
    parser.add_argument("--prompt", type=int, default=512, help="Tokens of the prompt that is read.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
