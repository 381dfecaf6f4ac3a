"""What `pal plan` foretells beside what is measured: peak memory, and the longest sequence in that memory.

    python -m benchmarks.plan_check [--model DIR] [--only NAME ...] [--json]

Each configuration is one real step of `actors.learner` in a process of its own, after a short one that makes
the optimiser's state; its peak is the kernel's count of resident memory. Models are random, of many widths;
with --model, a real one's directory, there are two more. The longest sequence foretold for the memory that
was measured is compared with the sequence that took it. None of these was looked at while the prediction was
made: its one measured constant, what a process holds before it has a model, is from others.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from configs.training import LongContextTraining
from tune.footprint import MIB, footprint, read_model, total
from tune.plan import longest

LIMIT_S = 900
SMALL, WIDE, DEEP, BIASED, REAL = "small", "wide", "deep", "biased", "real"
MODELS: Mapping[str, Mapping[str, Any]] = {
    SMALL: {"width": 256, "layers": 12, "inner": 688, "heads": (8, 2), "vocabulary": 16000, "tied": True},
    WIDE: {"width": 512, "layers": 6, "inner": 2048, "heads": (8, 8), "vocabulary": 32000, "tied": False},
    DEEP: {"width": 192, "layers": 20, "inner": 512, "heads": (6, 6), "vocabulary": 1000, "tied": False},
    BIASED: {"width": 768, "layers": 4, "inner": 2048, "heads": (12, 4), "vocabulary": 50000, "tied": True},
}
"""Dimensions of random models; the last one is of another family."""
PLAIN: Mapping[str, Any] = {"method": "full", "checkpointing": False, "loss_chunk": 0}
THRIFTY: Mapping[str, Any] = {"method": "full", "checkpointing": True, "loss_chunk": 256}
ADAPTER: Mapping[str, Any] = {"method": "lora", "checkpointing": True, "loss_chunk": 256}


@dataclass(frozen=True)
class Case:
    """One configuration."""

    name: str
    model: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One configuration's figures; shares are of what was measured."""

    name: str
    length: int
    measured_mib: float
    foretold_mib: float
    memory: float
    longest: int
    reach: float
    cpu_s: float


CASES = (
    Case("small, full", SMALL, {**PLAIN, "length": 3072}),
    Case("small, full, checkpointing, chunks", SMALL, {**THRIFTY, "length": 8192}),
    Case("small, full, chunks", SMALL, {**PLAIN, "loss_chunk": 256, "length": 2048}),
    Case("wide, full, chunks", WIDE, {**PLAIN, "loss_chunk": 512, "length": 2048}),
    Case("wide, full, checkpointing", WIDE, {**THRIFTY, "loss_chunk": 0, "length": 3072}),
    Case("deep, full, checkpointing, chunks", DEEP, {**THRIFTY, "length": 8192}),
    Case("deep, adapter", DEEP, {**ADAPTER, "checkpointing": False, "length": 2048}),
    Case("biased, adapter", BIASED, {**ADAPTER, "checkpointing": False, "loss_chunk": 0, "length": 1536}),
    Case(
        "biased, adapter on q and v, two rows",
        BIASED,
        {**ADAPTER, "batch": 2, "length": 3072, "lora": {"rank": 64, "targets": ["q_proj", "v_proj"]}},
    ),
    Case("biased, full, bfloat16", BIASED, {**THRIFTY, "precision": "bfloat16", "length": 1024}),
    Case("real, full", REAL, {**PLAIN, "length": 1024}),
    Case("real, adapter, checkpointing, chunks", REAL, {**ADAPTER, "length": 2048}),
)


def main() -> int:
    """Measure and print; always 0: the figures are the result."""
    options = _options()
    if options.make:
        make(Path(options.make))
        return 0
    if options.child:
        print(json.dumps(step(**json.loads(options.child))))
        return 0
    with TemporaryDirectory() as folder:
        _python("--make", folder)
        places = {name: Path(folder) / name for name in MODELS}
        if options.model:
            places[REAL] = options.model
        rows = []
        for case in CASES:
            if case.model in places and (not options.only or case.name in options.only):
                rows.append(measure(case, places[case.model]))
                print(json.dumps(asdict(rows[-1])) if options.json else _line(rows[-1]), flush=True)
    if rows and not options.json:
        print(_summary(rows))
    return 0


def measure(case: Case, path: Path) -> Row:
    """One configuration, foretold and in a fresh process."""
    settings = LongContextTraining.model_validate(case.settings)
    found = json.loads(_python("--child", json.dumps({"path": str(path), "told": dict(case.settings)})))
    model, peak = read_model(path), int(found["peak"])
    foretold = total(footprint(model, settings, settings.length))
    reach = longest(model, settings, peak)
    return Row(
        name=case.name,
        length=settings.length,
        measured_mib=round(peak / MIB, 1),
        foretold_mib=round(foretold / MIB, 1),
        memory=round(foretold / peak, 3),
        longest=reach,
        reach=round(reach / settings.length, 3),
        cpu_s=round(found["cpu_s"], 1),
    )


def step(path: str, told: dict[str, Any]) -> dict[str, float]:
    """A short step, then one of the settings' length: this process's peak in bytes."""
    import time

    from tune.allocator import give_back

    give_back()
    import torch

    from actors.learner import Learner, Share

    torch.set_num_threads(1)
    settings = LongContextTraining.model_validate(told)
    learner = Learner(settings, Path(path), torch.device("cpu"))
    learner.begin()
    for rows, length in ((1, 16), (settings.batch, settings.length)):
        tokens = torch.randint(0, learner.vocabulary, (rows, length))
        positions = torch.arange(length)[None].expand(rows, length)
        spans = tuple((row, 0, length) for row in range(rows))
        learner.backward(Share(tokens, tokens, positions, spans), rows * length)
        learner.step(1e-4)
    return {"peak": _peak(), "cpu_s": time.process_time()}


def make(folder: Path) -> None:
    """Write the random models."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    for name, told in MODELS.items():
        queries, keys = told["heads"]
        config = AutoConfig.for_model(
            "qwen2" if name == BIASED else "llama",
            vocab_size=told["vocabulary"],
            hidden_size=told["width"],
            intermediate_size=told["inner"],
            num_hidden_layers=told["layers"],
            num_attention_heads=queries,
            num_key_value_heads=keys,
            tie_word_embeddings=told["tied"],
            max_position_embeddings=1 << 16,
        )
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder / name)


def _peak() -> int:
    """Most resident memory of this process so far, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell a process's peak")


def _python(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.plan_check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_S)
    return done.stdout.strip().rpartition("\n")[2]


def _line(row: Row) -> str:
    return (
        f"{row.name:<38} {row.length:>6} tokens  {row.measured_mib:>7.0f} MiB, "
        f"foretold {row.foretold_mib:>7.0f} ({row.memory:.2f})  "
        f"longest {row.longest:>6} ({row.reach:.2f})  {row.cpu_s:.0f} CPU-s"
    )


def _summary(rows: Sequence[Row]) -> str:
    memory = max(abs(row.memory - 1) for row in rows)
    reach = max(abs(row.reach - 1) for row in rows)
    return f"{len(rows)} configurations: memory off by at most {memory:.1%}, longest sequence by {reach:.1%}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pal bench plan --", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, metavar="DIR", help="a real model's directory")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="configurations by name")
    parser.add_argument("--json", action="store_true", help="JSON lines")
    parser.add_argument("--make", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--child", metavar="JSON", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
