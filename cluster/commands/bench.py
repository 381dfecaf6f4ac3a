"""`pal bench`: runs one measurement each, as a program of its own. Imports none of them."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import typer

from cluster.context import Invocation, as_environment

ROOT = Path(__file__).parents[2]
MEASUREMENTS = {
    "serve": "Throughput and time to first token, against the bare engine.",
    "qa": "Retrieval, answers and abstention on questions with known answers.",
    "memory": "Recall of evidence, and what remembering costs, beside Chroma, FTS5, fusions and mem0.",
    "memory-chat": "A chat is told facts, its server killed with -9; another session asks for them.",
    "comply": "How closely the HTTP surface keeps to OpenAI's.",
    "fuzz": "Generated requests against our own OpenAPI description.",
    "kill-ingest": "Kill -9 while documents are added; nothing acknowledged may be lost.",
    "memory-suite": "Facts told, changed, taken back, told late, forgotten; the answer states what holds.",
    "kill-memory": "Kill -9 while memories are written, edited and forgotten; nothing is lost or doubled.",
    "first-answer": "Seconds from start to the first token.",
    "quantised": "Memory, perplexity and speed of 32-, 16-, 8- and 4-bit weights, side by side.",
    "engine": "Tokens a second beside transformers, vLLM and llama.cpp, with requests that join.",
    "greedy": "The sharded engine's tokens and logits against those of transformers.",
    "two-nodes": "A cluster that loses one of its two nodes in mid-stream and gets another.",
    "activations": "Ways for hidden states to travel between actors over Ray.",
    "sinks": "Perplexity and memory of an endless text in a window, with and without sinks.",
    "kill-shard": "Kill -9 of a shard in mid-stream; every stream must end with the right tokens.",
    "compression": "What is left of answers, tokens and likelihood in shorter texts, beside other ways.",
    "plan": "Peak memory and longest sequence of trainings, foretold beside measured.",
    "finetune": "OpenAI's client uploads a file, trains on it, streams the events, chats with the result.",
    "train": "Longest sequence in a given memory; what launching ranks costs; deaths while it trains.",
    "context": "A context extended: perplexity by position and facts found, before and after training.",
    "gate": "Sound and damaged candidates, trained and measured: who gets through the gate, and why.",
    "learning": "Facts learned into an adapter, arm by arm: recall, leaks, likelihood of texts, costs.",
    "passages": "Passages of documents learned: questions that people asked, never trained on, and costs.",
    "preferences": "Compared and scored answers learned: held-out ones in order, likelihood of texts, costs.",
    "corrections": "Corrected answers learned in a round: given again, elsewhere, what it cost; the verdict.",
    "swap": "Versions come and go under requests; one that harms is taken back; what each user's costs.",
    "told": "Facts told in a chat are learned, known without memory, by nobody else, and forgotten again.",
    "kill-loop": "Kill -9 of the loop at random points; nothing half promoted, nothing learned twice.",
    "sweep": "How near searches come to a known optimum through noise: grid, random, TPE, Gaussian process.",
    "kill-sweep": "Kill -9 of a sweep's driver, trials and nodes; nothing is repeated, the best is the same.",
    "transcript": "The same recorded requests over Ray and in one process, byte for byte.",
}

MODULES = {"serve": "serving", "plan": "plan_check"}
"""Modules whose name is not that of the command: `benchmarks.serve` would read as the floor."""

app = typer.Typer(no_args_is_help=True, help="Measure speed, quality and robustness.")


def module_of(name: str) -> str:
    """The module that a measurement's name stands for."""
    return f"benchmarks.{MODULES.get(name, name).replace('-', '_')}"


def _command(name: str, sentence: str) -> None:
    @app.command(
        name,
        help=f"{sentence} Arguments after `--` go to the measurement, so `-- --help` lists them.",
        short_help=sentence,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def run(ctx: typer.Context) -> None:
        _become(ctx, module_of(name), ctx.args)


def _become(ctx: typer.Context, module: str, arguments: list[str]) -> NoReturn:
    """Turn this process into `python -m module`, with the settings of this call in its environment."""
    environ = dict(os.environ)
    if isinstance(ctx.obj, Invocation):
        environ |= as_environment(ctx)
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environ)


for _name, _sentence in MEASUREMENTS.items():
    _command(_name, _sentence)
