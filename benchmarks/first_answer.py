"""Seconds from `pal up` to the first streamed token, over Ray Serve and in one process, each started twice.

    python -m benchmarks.first_answer [--hosts ray local] [--model smollm2-135m] [--engine auto]

The second start is the one that counts: the first may still have to read files from disk. Prints one row a
start, and the answer.
"""

import argparse
import json
import time
from typing import Any

from benchmarks.hosts import pal_up

QUESTION = "What is the capital of France?"


def main() -> int:
    """Measure; 0 if every answer names Paris."""
    options = _options()
    engines = {"ray": options.engine, "local": options.local_engine}
    rows = [_start(host, engines[host], options.model, number) for host in options.hosts for number in (1, 2)]
    for row in rows:
        print(json.dumps(row))
    print(f"\n{'host':6} {'engine':7} {'start':>5} {'ready s':>8} {'first token s':>14}  answer")
    for row in rows:
        figures = f"{row['ready_s']:8.1f} {row['first_token_s']:14.1f}"
        print(f"{row['host']:6} {row['engine']:7} {row['start']:5} {figures}  {row['answer']}")
    return 0 if all("Paris" in row["answer"] for row in rows) else 1


def _start(host: str, engine: str, model: str, number: int) -> dict[str, Any]:
    from openai import OpenAI

    arguments = ["--engine", engine, "--model", model, *(["--local"] if host == "local" else [])]
    with pal_up(*arguments) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="none")
        name = client.models.list().data[0].id
        stream = client.chat.completions.create(
            model=name,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=40,
            temperature=0,
            stream=True,
        )
        first: float | None = None
        answer = ""
        for chunk in stream:
            text = chunk.choices[0].delta.content if chunk.choices else None
            if text and first is None:
                first = time.perf_counter() - server.began
            answer += text or ""
    return {
        "host": host,
        "engine": engine,
        "start": number,
        "ready_s": round(server.ready_s, 2),
        "first_token_s": round(first or float("nan"), 2),
        "answer": answer,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--hosts", nargs="+", choices=("ray", "local"), default=("ray", "local"), help="Which."
    )
    parser.add_argument("--model", default="smollm2-135m", help="Alias or directory.")
    parser.add_argument("--engine", default="auto", help="Engine under Ray.")
    parser.add_argument("--local-engine", default="torch", help="Engine in one process.")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
