"""A model's context extended beyond what it was trained on: before, by YaRN alone, and fine-tuned.

    pal bench context -- --train DIR --test DIR --out DIR [--length 16384] [--documents 4] [--plot FILE]

Fine-tuned is an adapter, on text files of --train and made-up tasks, in sequences of --sequence tokens whose
positions are spread over --length (`rope.reach`). A control is trained on as much of the same, as long, with
positions as they are and no scaling: what it gains is the texts' and tasks' own. It is read up to the length
that the model was trained on.
Each file of --test is a document: --length tokens of it are read once by each arm, with facts put between its
paragraphs. Printed are perplexity of the document's own tokens by position, and facts found again by how many
tokens had been read, both with 95 % intervals over documents.
What is trained and read already is found in --out, so that it can go on. The bar: below the length that the
model was trained on, perplexity rises by at most 2 %.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import context_figures
from configs.load import load
from configs.training import LongContextTraining

ARMS = {
    "before": "before, no scaling",
    "yarn": "YaRN, not trained",
    "after": "YaRN, fine-tuned",
    "control": "fine-tuned without scaling",
}
TRAINED = ("after", "control")
ROWS = "rows.jsonl"
SPAN = 512
"""Tokens of one figure of perplexity."""
TOLERANCE = 0.02


def main() -> int:
    """Train and read what is missing, print all; 0 if the bar is met."""
    options = _options()
    if options.model is None:
        from actors.engines.choose import model_directory

        options.model = model_directory(load().settings)
    options.out.mkdir(parents=True, exist_ok=True)
    known = trained_length_of(options.model)
    arms = [arm for arm in options.arms.split(",") if arm]
    for arm in arms:
        if arm in TRAINED and not (options.out / arm / "adapter").is_dir():
            _train(arm, options)
        _read(arm, options, known)
    rows = [json.loads(line) for line in (options.out / ROWS).read_text().splitlines()]
    figures = context_figures.figures(rows, list(ARMS), known, options.length)
    print(context_figures.table(figures, ARMS))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    if options.plot:
        context_figures.draw(figures, ARMS, options.plot)
    loss = figures["loss"].get("after/before", {}).get("value")
    return 0 if loss is not None and loss <= 1 + TOLERANCE else 1


def trained_length_of(model: Path) -> int:
    """Tokens of the longest sequence that the model was trained on."""
    from transformers import AutoConfig

    from actors.models.rope import trained_length

    return trained_length(AutoConfig.from_pretrained(str(model), local_files_only=True))


def training(arm: str, options: argparse.Namespace, texts: Path) -> LongContextTraining:
    """How an arm is trained: all alike but for positions and scaling."""
    tree: dict[str, Any] = {
        "model": str(options.model),
        "data": [
            {"kind": "text", "path": str(texts), "weight": 2.0},
            {"kind": "synthetic", "name": "needle", "count": 256, "weight": 1.0},
            {"kind": "synthetic", "name": "needles", "count": 256, "weight": 1.0},
        ],
        "length": options.sequence,
        "steps": options.steps,
        "accumulate": options.accumulate,
        "rate": options.rate,
        "warmup": max(1, options.steps // 20),
        "checkpointing": False,
        "device": options.device,
        "threads": 1,
        "checkpoint_every": 10,
        "seed": options.seed,
    }
    if arm == "after":
        tree["rope"] = {"method": "yarn", "reach": options.length, "plain": options.plain}
    return LongContextTraining.model_validate(tree)


def pieces(files: Sequence[Path], size: int) -> Iterator[str]:
    """The texts cut between paragraphs into pieces of about `size` characters: all come equally often."""
    for file in files:
        held: list[str] = []
        for paragraph in file.read_text(encoding="utf-8").split("\n\n"):
            held.append(paragraph)
            if sum(map(len, held)) >= size:
                yield "\n\n".join(held)
                held = []


def _train(arm: str, options: argparse.Namespace) -> None:
    """Train an arm's adapter in this process, or go on with it."""
    from tune.ranks import run
    from tune.sources import text_files
    from tune.train import Plan

    texts = options.out / "train.jsonl"
    if not texts.exists():
        lines = [
            json.dumps({"text": piece}) for piece in pieces(text_files(options.train), 6 * options.sequence)
        ]
        texts.write_text("\n".join(lines) + "\n")
    settings = training(arm, options, texts)
    plan = Plan(settings=settings, model=options.model, folder=options.out / arm, home=options.out)
    begun, cpu = time.perf_counter(), time.process_time()
    resume = (plan.folder / "settings.json").exists()
    asyncio.run(run(plan, resume=resume, on_cluster=False, watch=_watch, note=_note))
    _note(f"{arm}: trained in {time.perf_counter() - begun:.0f} s, {time.process_time() - cpu:.0f} s of CPU")


def _read(arm: str, options: argparse.Namespace, known: int) -> None:
    """Read the documents that the arm has not read yet, each as far as it is to."""
    import torch

    from actors.models.tokenizer import ModelTokenizer
    from tune.group import device_of
    from tune.haystack import haystacks
    from tune.judge import load as model_of
    from tune.judge import read
    from tune.sources import text_files

    if options.threads:
        torch.set_num_threads(options.threads)
    path = options.out / ROWS
    path.touch()
    done = {(row["arm"], row["name"], row["read"]) for row in map(json.loads, path.read_text().splitlines())}
    texts = haystacks(
        text_files(options.test),
        options.length,
        options.documents,
        options.seed,
        ModelTokenizer(options.model),
    )
    model = None
    for number, text in enumerate(texts):
        whole = arm in ("yarn", "after") or (arm == "before" and number < options.before)
        length = options.length if whole else min(known, options.length)
        if (arm, text.name, length) in done:
            continue
        if model is None:
            adapter = options.out / arm / "adapter" if arm in TRAINED else None
            settings = training("after", options, options.out)
            model = model_of(
                settings, options.model, device_of(options.device), adapter=adapter, extended=arm == "yarn"
            )
        begun, cpu = time.perf_counter(), time.process_time()
        bounds = list(range(0, length + 1, SPAN))
        found = read(model, text.until(length), bounds, options.lengths(length), options.seed)
        seconds = round(time.process_time() - cpu, 1)
        row = {"arm": arm, "read": length, "cpu_s": seconds, **asdict(found)}
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        _note(
            f"{arm}: {text.name}, {length} tokens in {time.perf_counter() - begun:.0f} s, {seconds} s of CPU"
        )


def _watch(figures: Any) -> None:
    _note(f"step {figures['step'] + 1}: loss {figures['loss']:.3f}, {figures['step_s']:.1f} s")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, required=True, help="Directory of text files to train on.")
    parser.add_argument("--test", type=Path, required=True, help="Directory of long text files to read.")
    parser.add_argument("--out", type=Path, required=True, help="Where adapters and figures are kept.")
    parser.add_argument("--model", type=Path, help="Default: engine.model of the settings.")
    parser.add_argument("--arms", default=",".join(ARMS), help="Which are trained and read now.")
    parser.add_argument("--length", type=int, default=16384, help="Tokens that the context is extended to.")
    parser.add_argument("--documents", type=int, default=4, help="How many are read.")
    parser.add_argument("--before", type=int, default=1, help="Of these, read whole without scaling too.")
    parser.add_argument("--sequence", type=int, default=2048, help="Tokens of a sequence in training.")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--accumulate", type=int, default=2, help="Sequences of a step.")
    parser.add_argument("--rate", type=float, default=3e-4, help="Learning rate.")
    parser.add_argument("--plain", type=float, default=0.25, help="Documents whose positions stay.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="Write all figures here.")
    parser.add_argument("--plot", type=Path, help="Write a picture here.")
    options = parser.parse_args()
    strange = set(filter(None, options.arms.split(","))) - set(ARMS)
    if strange:
        parser.error(f"--arms: there is no {', '.join(sorted(strange))}; there are {', '.join(ARMS)}")
    options.lengths = lambda length: list(range(4096, length + 1, 4096)) or [length]
    return options


if __name__ == "__main__":
    raise SystemExit(main())
