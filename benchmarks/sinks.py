"""Perplexity of a long stream in a sliding window, with and without attention sinks, and with full attention.

    python -m benchmarks.sinks --text FILE [--tokens 20000] [--window 2048] [--sinks 16] [--json]

Arms: `sinks` keeps the first --sinks tokens and a window, `window` the window alone, `full` everything, up to
the model's longest context. `fresh` streams nothing: every half window is scored with the half before it, so
that its rise is the text's own. Each is the torch engine's own `score`, with a key-value pool that holds just
what the arm may keep. Printed are perplexity by thousand tokens, of the first 4096 tokens and of all that
follow, the pool's bytes, and the process's memory after 4096 tokens and at the end.
Each arm has a process of its own. The bar: with sinks, what follows is at most 10 % above the first 4096
tokens; without them it is more than 10 % above what it is with them.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from actors.engines.choose import model_directory
from actors.engines.protocol import Engine
from actors.messages import InvalidRequest
from configs.load import load
from configs.schema import EngineSettings

LEVEL = 4096
SEGMENT = 1000
BLOCK = 16
TOLERANCE = 0.10
MIB = 1 << 20
BARS = "▁▂▃▄▅▆▇█"


def main() -> int:
    """Measure and print; 1 if the bar is missed."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = _options()
    rows = _measure(options)
    passed = verdict({row["arm"]: row for row in rows})
    if options.json:
        print(json.dumps({"arms": rows, "passed": passed}))
    else:
        _show(rows)
        print(
            {True: "passed", False: "FAILED", None: "no verdict: it needs the arms sinks and window"}[passed]
        )
    return 1 if passed is False else 0


def verdict(rows: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Whether the level stays with sinks and is higher without; None where an arm is missing."""
    if "sinks" not in rows or "window" not in rows:
        return None
    sinks, window = rows["sinks"], rows["window"]
    return bool(sinks["rise"] <= 1 + TOLERANCE < window["rest"] / sinks["rest"])


def perplexity(logprobs: Sequence[float]) -> float:
    """Of the tokens with these natural log probabilities; infinite where it is beyond floating point."""
    mean = -math.fsum(logprobs) / len(logprobs)
    return math.exp(mean) if mean < 700 else math.inf


def segments(logprobs: Sequence[float], size: int = SEGMENT) -> list[float]:
    """Perplexity of each `size` tokens; a last segment of less than half of it is left out."""
    parts = [logprobs[start : start + size] for start in range(0, len(logprobs), size)]
    return [perplexity(part) for part in parts if len(part) * 2 >= size]


def _measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Each arm in turn, in a fresh process."""
    from actors.models.tokenizer import ModelTokenizer

    settings = load().settings
    path = model_directory(settings)
    tokenizer = ModelTokenizer(path)
    tokens = tokenizer.encode(options.text.read_text(encoding="utf-8"))[: options.tokens]
    if len(tokens) <= LEVEL:
        raise InvalidRequest(f"{options.text} has only {len(tokens)} tokens; more than {LEVEL} are needed")
    print(f"{path.name}, {len(tokens)} tokens of {options.text.name}", file=sys.stderr)
    policies = {
        "sinks": {"kv_policy": "sinks", "window": options.window, "sink_tokens": options.sinks},
        "window": {"kv_policy": "sinks", "window": options.window, "sink_tokens": 0},
        "full": {"kv_policy": "full"},
        "fresh": {"kv_policy": "full", "window": options.window},
    }
    rows = []
    for arm in options.arms:
        engine = settings.engine.model_copy(
            update={"shards": 1, "threads": 1, "max_sequences": 1, **policies[arm]}
        )
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            rows.append({"arm": arm, **process.submit(_play, arm, engine, path, tokens).result()})
    return rows


def _play(arm: str, settings: EngineSettings, path: Path, tokens: Sequence[int]) -> dict[str, Any]:
    return asyncio.run(_arm(arm, settings, path, tokens))


async def _arm(arm: str, settings: EngineSettings, path: Path, tokens: Sequence[int]) -> dict[str, Any]:
    from actors.engines.torch import TorchEngine
    from actors.models.tokenizer import ModelTokenizer

    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    if arm == "full":
        tokens = tokens[: config["max_position_embeddings"]]
    kept = len(tokens) if arm == "full" else settings.window
    settings = settings.model_copy(update={"kv_cache_gib": _pool_gib(settings, config, kept)})
    engine = await TorchEngine.create(settings, path, ModelTokenizer(path))
    began = time.perf_counter()
    reach = settings.window // 2 if arm == "fresh" else None
    await _logprobs(engine, tokens[:LEVEL], reach)
    memory_at_level = psutil.Process().memory_info().rss
    logprobs = await _logprobs(engine, tokens, reach)
    figures = {
        "tokens": len(tokens),
        "segments": segments(logprobs),
        "first": perplexity(logprobs[: LEVEL - 1]),
        "rest": perplexity(logprobs[LEVEL - 1 :]),
        "rise": perplexity(logprobs[LEVEL - 1 :]) / perplexity(logprobs[: LEVEL - 1]),
        "pool_bytes": sum(one.cache_bytes for one in await engine.facts()),
        "memory_at_4k": memory_at_level,
        "memory_at_end": psutil.Process().memory_info().rss,
        "seconds": time.perf_counter() - began,
    }
    await engine.close()
    return figures


async def _logprobs(engine: Engine, tokens: Sequence[int], reach: int | None) -> list[float]:
    """Of every token after the first, in one stream; or by `reach` tokens, each with as many before them."""
    if reach is None:
        return [one.logprob for one in await engine.score(tokens)]
    found: list[float] = []
    for start in range(0, len(tokens), reach):
        scored = await engine.score(tokens[max(0, start - reach) : start + reach])
        wanted = min(reach, len(tokens) - start) - (start == 0)
        found += [one.logprob for one in scored[-wanted:]]
    return found


def _pool_gib(settings: EngineSettings, config: dict[str, Any], kept: int) -> float:
    """A pool for `kept` tokens and a block more."""
    from actors.engines.device import pick_device, pick_dtype

    itemsize = pick_dtype(settings.dtype, pick_device(settings.device)).itemsize
    heads = int(config["num_attention_heads"])
    width = int(config.get("head_dim") or config["hidden_size"] // heads)
    values = 2 * int(config["num_hidden_layers"]) * int(config.get("num_key_value_heads", heads)) * width
    return (kept + BLOCK) * values * itemsize / (1 << 30)


def _show(rows: list[dict[str, Any]]) -> None:
    print(f"{'tokens':>12} " + " ".join(f"{row['arm']:>10}" for row in rows))
    for number in range(max(len(row["segments"]) for row in rows)):
        cells = (row["segments"][number : number + 1] for row in rows)
        line = " ".join(f"{cell[0]:10.2f}" if cell else f"{'':10}" for cell in cells)
        print(f"{number * SEGMENT:>5}-{(number + 1) * SEGMENT:<6} {line}")
    lowest = min(min(row["segments"]) for row in rows)
    for row in rows:
        print(f"{row['arm']:>12} {chart(row['segments'], lowest)}")
    names = (f"first {LEVEL}", "the rest", "rest/first", "pool MiB", "MiB at 4k", "MiB at end", "seconds")
    print(f"\n{'':12} " + " ".join(f"{name:>11}" for name in names))
    for row in rows:
        figures = (
            row["first"],
            row["rest"],
            row["rise"],
            *(row[name] / MIB for name in _BYTES),
            row["seconds"],
        )
        print(f"{row['arm']:>12} " + " ".join(f"{figure:11.3f}" for figure in figures))


_BYTES = ("pool_bytes", "memory_at_4k", "memory_at_end")


def chart(values: Sequence[float], lowest: float, step: float = 1.2) -> str:
    """A bar for each value: one higher for each factor `step` above the lowest."""
    heights = (math.log(max(value, lowest) / lowest) / math.log(step) for value in values)
    return "".join(BARS[min(round(height), len(BARS) - 1) if height < math.inf else -1] for height in heights)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arms = ("sinks", "window", "full", "fresh")
    parser.add_argument("--text", type=Path, required=True, help="A long text file, UTF-8.")
    parser.add_argument("--tokens", type=int, default=20_000, help="Tokens of it that are read.")
    parser.add_argument("--window", type=int, default=2048, help="Tokens kept, the sinks included.")
    parser.add_argument("--sinks", type=int, default=16, help="First tokens that are never dropped.")
    parser.add_argument("--arms", nargs="+", choices=arms, default=arms, help="Which of them.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object instead of tables.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
