"""Tokens a second and time to first token of the torch engine, beside other ways to generate, in one run.

    python -m benchmarks.engine [--arms ...] [--streams 1 8 16] [--rounds 5] [--tokens 64] [--apart 8]
        [--prompt 2048] [--shards 2] [--llama-server PROGRAM --gguf FILE ...] [--json]

Arms, all with one compute thread in each process and, but for GGUF files, the same number format:

    torch             our engine, one shard in this process
    ray-N             our engine, N shards as Ray actors
    transformers      generate; a static batch of what has arrived, run to its end, then the next
    transformers-all  generate; one static batch, as if all requests had arrived with the first: no server can
    vllm              vLLM's AsyncLLM in a process of its own
    llama:FILE        llama.cpp's server, for each --gguf

Arrivals are bound to work, not to seconds: request i is sent once the arm has yielded i * --apart tokens over
all its streams. All arms stay up, one works at a time, and the order turns around every round. Printed are
medians over the rounds, and the medians of each round's ratios: how many times as fast as the other arm.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from actors.engines.choose import model_directory
from benchmarks import engine_arms as arms
from benchmarks.arrivals import Tokens, check
from benchmarks.engine_arms import Runner
from cluster.runtime import ray_runtime
from configs.load import load
from configs.schema import EngineSettings, Settings

WARM_UP = 8
"""Tokens of each answer in the round that does not count."""
BASES = ("transformers", "transformers-all", "torch")
SMALLEST_ID, LARGEST_ID = 1000, 20000
"""Ids that long prompts are drawn from: no special tokens, in every vocabulary."""


@dataclass(frozen=True)
class Round:
    """One round of one arm."""

    tokens_s: float
    first_ms: float


Rounds = dict[str, list[Round]]


def main() -> int:
    """Measure and print; always 0: the figures are the result."""
    os.environ["OMP_NUM_THREADS"] = "1"
    options = _options()
    for streams in options.streams:
        check(streams, options.apart, options.tokens)
    rows = asyncio.run(_measure(options, load().settings))
    if options.json:
        print(json.dumps(rows))
    return 0


async def _measure(options: argparse.Namespace, settings: Settings) -> list[dict[str, Any]]:
    numbers = count()
    path = model_directory(settings)
    rows = []
    async with AsyncExitStack() as stack:
        up = await _start(stack, options, settings, path)
        for streams in options.streams:
            rounds: Rounds = {name: [] for name in up if streams > 1 or name != "transformers-all"}
            for number in range(options.rounds + 1):
                prompts = _prompts(path, [next(numbers) for _ in range(streams)])
                for name in list(rounds)[:: 1 if number % 2 else -1]:
                    tokens = options.tokens if number else max(options.apart, WARM_UP)
                    done = await _round(up[name], prompts, tokens, options.apart)
                    if number:
                        rounds[name].append(done)
                        _say(f"{streams} streams, round {number}, {name}: {done}")
            rows += summary(f"{streams} streams", rounds)
            _show(rows[-len(rounds) :], options.json)
        if options.prompt:
            rounds = await _long_prompts(options, up, numbers)
            rows += summary(f"first of {options.prompt}", rounds)
            _show(rows[-len(rounds) :], options.json)
    return rows


async def _long_prompts(
    options: argparse.Namespace, up: Mapping[str, Runner], numbers: Iterator[int]
) -> Rounds:
    """The first token after a long prompt that no cache knows."""
    rounds: Rounds = {name: [] for name in up if name != "transformers-all"}
    for number in range(options.rounds):
        prompts = [_long_prompt(next(numbers), options.prompt)]
        for name in list(rounds)[:: 1 if number % 2 else -1]:
            rounds[name].append(await _round(up[name], prompts, 1, 0))
            _say(f"prompt of {options.prompt}, round {number + 1}, {name}: {rounds[name][-1]}")
    return rounds


async def _round(run: Runner, prompts: Sequence[Tokens], tokens: int, apart: int) -> Round:
    took = await run(prompts, tokens, apart)
    return Round(len(prompts) * tokens / took.wall_s, 1000 * statistics.median(took.first_s))


def summary(what: str, rounds: Mapping[str, Sequence[Round]]) -> list[dict[str, Any]]:
    """A row for each arm: medians, and `x <base>`: the median over the rounds of tokens/s to a base's."""
    rows = []
    for name, done in rounds.items():
        row: dict[str, Any] = {
            "what": what,
            "arm": name,
            "tokens_s": statistics.median(one.tokens_s for one in done),
            "first_ms": statistics.median(one.first_ms for one in done),
        }
        for base in BASES:
            pairs = zip(done, rounds.get(base, ()), strict=False)
            ratios = [one.tokens_s / other.tokens_s for one, other in pairs]
            row[f"x {base}"] = statistics.median(ratios) if ratios else None
        rows.append(row)
    return rows


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(rows: Iterable[dict[str, Any]], quiet: bool) -> None:
    if quiet:
        return
    heads = [f"x {base}" for base in BASES]
    print(f"\n{'':14} {'arm':18} {'tok/s':>7} {'first ms':>9} " + " ".join(f"{head:>18}" for head in heads))
    for row in rows:
        ratios = (f"{row[head]:18.3f}" if row[head] is not None else f"{'-':>18}" for head in heads)
        print(
            f"{row['what']:14} {row['arm']:18} {row['tokens_s']:7.1f} {row['first_ms']:9.1f} "
            + " ".join(ratios),
            flush=True,
        )


async def _start(
    stack: AsyncExitStack, options: argparse.Namespace, settings: Settings, path: Path
) -> dict[str, Runner]:
    """Every arm that was asked for, ready; what is not available is told on stderr."""
    import torch

    from actors.engines.device import pick_device, pick_dtype

    torch.set_num_threads(1)
    dtype = str(pick_dtype(settings.engine.dtype, pick_device("cpu"))).removeprefix("torch.")
    sequences = max([1, *options.streams])
    fixed = {"device": "cpu", "dtype": dtype, "threads": 1, "max_sequences": sequences}
    engine = settings.engine.model_copy(update=fixed)
    up: dict[str, Runner] = {}
    _say(f"{path.name}, {dtype}, arrivals {options.apart} tokens apart")
    for name in options.arms:
        missing = _missing(name, options)
        if missing:
            _say(f"without {name}: {missing}")
        elif name == "torch":
            up["torch"] = await stack.enter_async_context(
                arms.ours(engine.model_copy(update={"shards": 1}), path)
            )
        elif name == "ray":
            up[f"ray-{options.shards}"] = await _sharded(stack, settings, engine, options.shards, path)
        elif name.startswith("transformers"):
            up[name] = await stack.enter_async_context(
                arms.transformers(path, dtype, staggered=name == "transformers")
            )
        elif name == "vllm":
            up[name] = await stack.enter_async_context(arms.vllm(path, dtype, sequences))
        else:
            longest = max(options.prompt, 256) + options.tokens
            for file in options.gguf:
                up[f"llama:{file.stem}"] = await stack.enter_async_context(
                    arms.llama(options.llama_server, file, sequences, longest)
                )
    return up


async def _sharded(
    stack: AsyncExitStack, settings: Settings, engine: EngineSettings, shards: int, path: Path
) -> Runner:
    stack.enter_context(ray_runtime(settings))
    return await stack.enter_async_context(arms.ours(engine.model_copy(update={"shards": shards}), path))


def _missing(name: str, options: argparse.Namespace) -> str | None:
    """Why an arm cannot run here."""
    if name in ("ray", "vllm") and find_spec(name) is None:
        return f"{name} is not installed"
    if name == "llama" and not options.llama_server:
        return "no llama-server program on PATH, and no --llama-server"
    if name == "llama" and not options.gguf:
        return "no --gguf file"
    return None


def _prompts(path: Path, numbers: Sequence[int]) -> list[Tokens]:
    """A short chat of its own for each number."""
    from actors.messages import ChatPrompt
    from actors.models.template import render_chat
    from actors.models.tokenizer import ModelTokenizer

    tokenizer = ModelTokenizer(path)
    asked = (f"Tell me a long story about the number {number}." for number in numbers)
    return [
        list(render_chat(tokenizer, ChatPrompt(messages=({"role": "user", "content": text},))))
        for text in asked
    ]


def _long_prompt(number: int, length: int) -> Tokens:
    """Random tokens, others for each number, so that no prefix is known."""
    chance = random.Random(number)
    return [chance.randrange(SMALLEST_ID, LARGEST_ID) for _ in range(length)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("torch", "ray", "transformers", "transformers-all", "vllm", "llama")
    parser.add_argument("--arms", nargs="+", choices=names, default=names, help="Which of them.")
    parser.add_argument("--shards", type=int, default=2, help="Shards of the arm ray.")
    parser.add_argument("--streams", nargs="*", type=int, default=[1, 8, 16], help="Requests of a round.")
    parser.add_argument("--prompt", type=int, default=2048, help="Tokens of the long prompt; 0: none.")
    parser.add_argument("--rounds", type=int, default=5, help="Rounds of each; a short one more warms up.")
    parser.add_argument("--tokens", type=int, default=64, help="Tokens of each answer.")
    parser.add_argument("--apart", type=int, default=8, help="Tokens of work between two arrivals.")
    parser.add_argument("--llama-server", default=shutil.which("llama-server"), help="llama.cpp's server.")
    parser.add_argument("--gguf", nargs="+", type=Path, default=[], help="The model for it, in its format.")
    parser.add_argument("--json", action="store_true", help="Print one JSON list instead of tables.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
