"""Time to first token through a real server: whole prompts and shortened ones in turn. Knows no answer.

python -m benchmarks.compression_serve --data squad-dev.json [--rounds 5] [--json]
"""

import http.client
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from actors.compression.counting import ModelCounter, TokenCounter
from actors.models.store import ModelStore
from benchmarks.compression_data import load
from benchmarks.hosts import pal_up
from configs.load import load as load_settings

LENGTHS = (100, 300, 1000, 2000)
BUDGET = 0.5
PATIENCE_S = 300
NOISE = 1.05
"""A shortened prompt counts as slower where its median is more than this much above the whole one's."""
MARK = "Thus it ends."
"""Makes the text whose compression is timed by itself another one than the chat's."""
QUESTION = "In one word, what is this text about?"
app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds to the first token of one answer, of these for compressing, and tokens of the text sent."""

    first_s: float
    compress_s: float
    tokens: int


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="Texts: [{title, context, questions}].")],
    rounds: Annotated[int, typer.Option(help="Of each length and way, in turn.")] = 5,
    engine: Annotated[str, typer.Option(help="Engine of the server.")] = "torch",
    field: Annotated[
        bool, typer.Option(help="Ask for compression in the chat itself; else by /v1/compress before.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure time to first token with and without compression."""
    report = measure(data, rounds, engine, field=field)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        show(report)


def measure(data: Path, rounds: int, engine: str = "torch", *, field: bool = True) -> dict[str, Any]:
    """Medians by length; every request has a text of its own, so that no prefix is known."""
    settings = load_settings().settings
    counter = ModelCounter(ModelStore(settings).resolve(settings.engine.model))
    texts = _Texts([case.text for case in load(data)], counter)
    with pal_up("--engine", engine, "--local") as host:
        client = Client(host.url, settings.engine.model)
        for length in (LENGTHS[0], LENGTHS[-1], LENGTHS[-1]):
            client.whole(texts.next(length))
            client.shortened(texts.next(length), field=field)
        found = {length: _alternating(client, texts, length, rounds, field) for length in LENGTHS}
    return report_of(found) | {
        "engine": engine,
        "rounds": rounds,
        "by": "chat field" if field else "/v1/compress",
    }


def _alternating(
    client: "Client", texts: "_Texts", length: int, rounds: int, field: bool
) -> list[tuple[Timed, Timed]]:
    """Pairs of the same text, whole and shortened; which goes first changes. Each is marked as its own."""
    pairs = []
    for number in range(rounds):
        text = texts.next(length)
        if number % 2:
            short = client.shortened(f"B {text}", field=field)
            pairs.append((client.whole(f"A {text}"), short))
        else:
            whole = client.whole(f"A {text}")
            pairs.append((whole, client.shortened(f"B {text}", field=field)))
    return pairs


def report_of(found: Mapping[int, Sequence[tuple[Timed, Timed]]]) -> dict[str, Any]:
    """Medians by length, and the figures that bars are set for."""
    lengths: dict[str, dict[str, float]] = {}
    for length, pairs in found.items():
        whole = statistics.median(one.first_s for one, _ in pairs)
        short = statistics.median(one.first_s for _, one in pairs)
        compress = statistics.median(one.compress_s for _, one in pairs)
        saved = whole - (short - compress)
        lengths[str(length)] = {
            "whole_ms": round(whole * 1e3, 1),
            "shortened_ms": round(short * 1e3, 1),
            "compress_ms": round(compress * 1e3, 2),
            "times_faster": round(whole / short, 3),
            "compressor_share": round(compress / saved, 4) if saved > 0 else 1.0,
            "tokens": statistics.median(one.tokens for one, _ in pairs),
            "tokens_left": statistics.median(one.tokens for _, one in pairs),
        }
    longest = lengths[str(max(found))]
    shortest = lengths[str(min(found))]
    between = max(1.0, longest["tokens"] - shortest["tokens"])
    slowest = min(one["times_faster"] for one in lengths.values())
    return {
        "lengths": lengths,
        "prefill_s": round((longest["whole_ms"] - shortest["whole_ms"]) / 1e3 / between, 7),
        "faster_at_2k": longest["times_faster"],
        "compressor_share": longest["compressor_share"],
        "slowest": slowest,
        "never_slower": slowest >= 1 / NOISE,
    }


class Client:
    """One connection to the server that stays open."""

    def __init__(self, url: str, model: str) -> None:
        address = urlsplit(url)
        self._model = model
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE_S)

    def whole(self, text: str) -> Timed:
        """Time to the first token of a prompt with the text as it is."""
        first_s, tokens = self._chat(text, {})
        return Timed(first_s, 0.0, tokens)

    def shortened(self, text: str, *, field: bool) -> Timed:
        """The same of half the text, compressing included: within the chat, or by a request before it."""
        if field:
            compress_s, _ = self._compressed(f"{text} {MARK}")
            first_s, tokens = self._chat(text, {"compression": {"budget": BUDGET}})
            return Timed(first_s, compress_s, tokens)
        compress_s, short = self._compressed(text)
        first_s, tokens = self._chat(short, {})
        return Timed(first_s + compress_s, compress_s, tokens)

    def _compressed(self, text: str) -> tuple[float, str]:
        """Seconds of a request that compresses a text, and what it became."""
        began = time.perf_counter()
        reply = self._asked("/v1/compress", {"text": text, "budget": BUDGET})
        short: str = json.loads(reply.read())["text"]
        return time.perf_counter() - began, short

    def _chat(self, text: str, more: Mapping[str, Any]) -> tuple[float, int]:
        """Seconds to the first text of the answer, and the prompt's tokens."""
        body = {
            "model": self._model,
            "messages": [
                {"role": "user", "content": text},
                {"role": "assistant", "content": "I have read it."},
                {"role": "user", "content": QUESTION},
            ],
            "max_tokens": 1,
            "temperature": 0,
            "stream": True,
            "memory": {"read": False, "write": False},
            "stream_options": {"include_usage": True},
        }
        began = time.perf_counter()
        reply = self._asked("/v1/chat/completions", body | dict(more))
        first_s, tokens = 0.0, 0
        while line := reply.readline():
            if not line.startswith(b"data: {"):
                continue
            said = json.loads(line[6:])
            if not first_s and any(one["delta"].get("content") for one in said["choices"]):
                first_s = time.perf_counter() - began
            if said.get("usage"):
                tokens = said["usage"]["prompt_tokens"]
        if not first_s:
            raise RuntimeError("the server's answer had no text")
        return first_s, tokens

    def _asked(self, path: str, body: Mapping[str, Any]) -> http.client.HTTPResponse:
        self._connection.request(
            "POST", path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        reply = self._connection.getresponse()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {reply.read()[:500]!r}")
        return reply


class _Texts:
    """Texts of given lengths, each of other paragraphs in another order."""

    def __init__(self, paragraphs: Sequence[str], counter: TokenCounter) -> None:
        self._paragraphs = paragraphs
        self._counter = counter
        self._chance = random.Random(3)

    def next(self, tokens: int) -> str:
        """A text of so many tokens."""
        text = "\n\n".join(self._chance.sample(self._paragraphs, max(2, tokens // 60)))
        starts = self._counter.starts(text)
        return text[: int(starts[tokens])].strip() if tokens < len(starts) else text


def show(report: Mapping[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    first = next(iter(report["lengths"].values()))
    table = Table("tokens", *first, title=f"Time to first token ({report['engine']}, by {report['by']})")
    for length, row in report["lengths"].items():
        table.add_row(length, *map(str, row.values()))
    console = Console()
    console.print(table)
    console.print({name: report[name] for name in ("faster_at_2k", "compressor_share", "never_slower")})


if __name__ == "__main__":
    app()
