"""Kills a shard with -9 while streams run, again and again; all must end as in an undisturbed run.

    python -m benchmarks.kill_shard [--kills 3] [--streams 16] [--tokens 64] [--shards 2] [--json]

The shards are Ray actors. Half of the streams are greedy, the others drawn with a seed. In each round they
all start again, and at a random point a random shard's process is killed. Printed are how many streams ended
with the right tokens, and the pause: the longest time without any token. 1 if any stream went wrong.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from actors.engines.choose import model_directory
from actors.messages import PalError, Sampling
from benchmarks.arrivals import Tokens
from cluster.runtime import ray_runtime
from configs.load import load
from configs.schema import Settings

if TYPE_CHECKING:
    from actors.engines.torch import TorchEngine

TEXT = "Number {} walked into the library and asked for a book about"


@dataclass(frozen=True)
class Killed:
    """One round: the shard killed, after how many tokens, the pause, and how many streams ended right."""

    shard: int
    after_tokens: int
    pause_s: float
    right: int
    errors: tuple[str, ...]


@dataclass
class Watch:
    """Counts tokens over all streams, and remembers the longest time without one."""

    strike_at: int
    count: int = 0
    pause_s: float = 0.0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _last: float = field(default_factory=time.perf_counter)

    def came(self, tokens: int) -> None:
        """Tokens came out just now."""
        now = time.perf_counter()
        if self.count:
            self.pause_s = max(self.pause_s, now - self._last)
        self._last = now
        self.count += tokens
        if self.count >= self.strike_at:
            self.reached.set()


def main() -> int:
    """Run as asked on the command line; 1 if a stream did not end right."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = _options()
    settings = load().settings
    with ray_runtime(settings):
        rounds = asyncio.run(_measure(options, settings))
    passed = all(one.right == options.streams for one in rounds)
    if options.json:
        print(json.dumps({"rounds": [asdict(one) for one in rounds], "passed": passed}))
        return 0 if passed else 1
    print(f"{'kill':>4} {'shard':>5} {'after tokens':>12} {'pause s':>8} {'right':>8}")
    for number, one in enumerate(rounds, 1):
        print(
            f"{number:4} {one.shard:5} {one.after_tokens:12} {one.pause_s:8.2f} {one.right:4} of"
            f" {options.streams}"
        )
        for error in one.errors:
            print(f"     {error}")
    print("passed" if passed else "FAILED")
    return 0 if passed else 1


async def _measure(options: argparse.Namespace, settings: Settings) -> list[Killed]:
    from actors.engines.torch import TorchEngine
    from actors.models.tokenizer import ModelTokenizer

    chance = random.Random(options.seed)
    path = model_directory(settings)
    tokenizer = ModelTokenizer(path)
    prompts = [tokenizer.encode(TEXT.format(number)) for number in range(options.streams)]
    engine = await TorchEngine.create(
        settings.engine.model_copy(
            update={"shards": options.shards, "threads": 1, "max_sequences": options.streams}
        ),
        path,
        tokenizer,
    )
    try:
        right, errors = await _streams(engine, prompts, options.tokens, Watch(1))
        if errors:
            raise RuntimeError(f"the undisturbed run failed: {errors[0]}")
        return [await _round(engine, prompts, options.tokens, right, chance) for _ in range(options.kills)]
    finally:
        await engine.close()


async def _round(
    engine: "TorchEngine",
    prompts: Sequence[Tokens],
    tokens: int,
    right: Sequence[Tokens],
    chance: random.Random,
) -> Killed:
    """All streams, with one kill between a tenth and six tenths of the way."""
    total = len(prompts) * tokens
    watch = Watch(chance.randrange(total // 10, total * 6 // 10))
    shards = await engine.facts()
    shard = chance.randrange(len(shards))
    streams = asyncio.create_task(_streams(engine, prompts, tokens, watch))
    await watch.reached.wait()
    os.kill(shards[shard].pid, signal.SIGKILL)
    after = watch.count
    watch.pause_s = 0.0
    answers, errors = await streams
    good = sum(answer == one for answer, one in zip(answers, right, strict=True))
    return Killed(shard, after, watch.pause_s, good, errors)


async def _streams(
    engine: "TorchEngine", prompts: Sequence[Tokens], tokens: int, watch: Watch
) -> tuple[list[Tokens], tuple[str, ...]]:
    """Every stream's tokens, as far as it came, and what those said that broke."""
    errors: list[str] = []

    async def one(number: int, prompt: Tokens) -> Tokens:
        answer: Tokens = []
        try:
            async for delta in engine.generate(f"kill-{number}", prompt, _sampling(number, tokens)):
                answer += delta.token_ids
                watch.came(len(delta.token_ids))
        except PalError as error:
            errors.append(f"stream {number}: {error}")
            watch.reached.set()
        return answer

    answers = await asyncio.gather(*(one(number, prompt) for number, prompt in enumerate(prompts)))
    return answers, tuple(errors)


def _sampling(number: int, tokens: int) -> Sampling:
    """Greedy for even numbers, drawn with a seed for odd ones."""
    if number % 2:
        return Sampling(max_tokens=tokens, temperature=0.8, top_p=0.95, seed=number, ignore_eos=True)
    return Sampling(max_tokens=tokens, temperature=0, ignore_eos=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=3, help="Rounds, each with one kill.")
    parser.add_argument("--streams", type=int, default=16, help="Streams at once.")
    parser.add_argument("--tokens", type=int, default=64, help="Tokens of each.")
    parser.add_argument("--shards", type=int, default=2, help="Shards of the model.")
    parser.add_argument("--seed", type=int, default=0, help="Of when and whom it hits.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object instead of a table.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
