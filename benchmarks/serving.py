"""Throughput and time to first token of the server against the bare vLLM engine, in alternating rounds.

    python -m benchmarks.serving [--hosts ray local] [--streams 1 8 16] [--rounds 5] [--tokens 64]

Each host and the bare AsyncLLM have an engine of the same settings; all stay up, one works at a time, and the
order turns around every round. Prints medians over the rounds, and the median of each round's ratio.
The client reads raw bytes, so that it takes little of what is measured.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

from benchmarks.hosts import ROOT, pal_up

BARE = "bare"
_TEXT = re.compile(rb'"content":"[^"]')


@dataclass(frozen=True)
class Round:
    """One round: tokens a second over all streams, and the median time to first token."""

    tokens_s: float
    first_ms: float


Runner = Callable[[Sequence[str], int], Round]


def main() -> int:
    """Measure and print; always 0: the figures are the result."""
    options = _options()
    numbers = count()
    with ExitStack() as stack:
        arms: dict[str, Runner] = {BARE: stack.enter_context(_bare(options))}
        for host in options.hosts:
            arms[host] = stack.enter_context(_host(host, options))
        print(f"{'streams':>7} {'arm':6} {'tok/s':>7} {'ratio':>6} {'TTFT ms':>8} {'extra ms':>8}")
        for streams in options.streams:
            rounds: dict[str, list[Round]] = {name: [] for name in arms}
            for number in range(options.rounds + 1):
                for name in list(arms)[:: 1 if number % 2 else -1]:
                    prompts = [
                        f"Tell me a long story about the number {next(numbers)}." for _ in range(streams)
                    ]
                    done = arms[name](prompts, options.tokens)
                    if number:
                        rounds[name].append(done)
            _report(streams, rounds)
    return 0


def _report(streams: int, rounds: dict[str, list[Round]]) -> None:
    for name, done in rounds.items():
        pairs = list(zip(done, rounds[BARE], strict=True))
        row = {
            "streams": streams,
            "arm": name,
            "tokens_s": statistics.median(one.tokens_s for one in done),
            "ratio": statistics.median(one.tokens_s / bare.tokens_s for one, bare in pairs),
            "first_ms": statistics.median(one.first_ms for one in done),
            "extra_ms": statistics.median(one.first_ms - bare.first_ms for one, bare in pairs),
        }
        print(
            f"{streams:7} {name:6} {row['tokens_s']:7.1f} {row['ratio']:6.3f} {row['first_ms']:8.1f}"
            f" {row['extra_ms']:8.1f}",
            flush=True,
        )
        print(json.dumps(row), file=sys.stderr)


@contextmanager
def _bare(options: argparse.Namespace) -> Iterator[Runner]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare_vllm"],
        cwd=ROOT,
        env={**os.environ, "PAL_ENGINE__MODEL": options.model, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    source, sink = process.stdout, process.stdin
    if not source.readline():
        raise RuntimeError("the bare engine did not start")

    def run(prompts: Sequence[str], tokens: int) -> Round:
        sink.write(json.dumps({"prompts": prompts, "max_tokens": tokens}) + "\n")
        sink.flush()
        said = json.loads(source.readline())
        return Round(len(prompts) * tokens / said["wall_s"], 1000 * statistics.median(said["first_s"]))

    try:
        yield run
    finally:
        sink.close()
        process.wait(60)


@contextmanager
def _host(host: str, options: argparse.Namespace) -> Iterator[Runner]:
    arguments = ["--engine", "vllm", "--model", options.model, *(["--local"] if host == "local" else [])]
    with pal_up(*arguments) as server:

        def run(prompts: Sequence[str], tokens: int) -> Round:
            return asyncio.run(_round(server.url, prompts, tokens))

        yield run


async def _round(url: str, prompts: Sequence[str], tokens: int) -> Round:
    began = time.perf_counter()
    first = await asyncio.gather(*(_stream(url, prompt, tokens, began) for prompt in prompts))
    wall = time.perf_counter() - began
    return Round(len(prompts) * tokens / wall, 1000 * statistics.median(first))


async def _stream(url: str, prompt: str, tokens: int, began: float) -> float:
    """Seconds to the first text of one streamed answer, read to its end."""
    address = urlsplit(url)
    body = json.dumps(
        {
            "model": "smollm2-135m",
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
    ).encode()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
    )
    writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
    first: float | None = None
    tail = b""
    while data := await reader.read(65536):
        tail = tail[-4096:] + data
        if first is None and _TEXT.search(tail):
            first = time.perf_counter() - began
    writer.close()
    if first is None or b"[DONE]" not in tail:
        raise RuntimeError(f"the server did not answer in full: {tail[-300:]!r}")
    return first


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", nargs="+", choices=("ray", "local"), default=["ray"], help="Which hosts.")
    parser.add_argument("--model", default="smollm2-135m", help="Alias or directory.")
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 8, 16], help="Streams at once.")
    parser.add_argument("--rounds", type=int, default=5, help="Rounds of each; one more warms up.")
    parser.add_argument("--tokens", type=int, default=64, help="Tokens of each answer.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
