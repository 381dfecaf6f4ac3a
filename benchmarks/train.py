"""Training on long sequences: how long in a given memory, what launching costs, what a death costs.

pal bench train -- --part memory [--arms plain,chunked] [--lengths 16384] [--json FILE] [--plot FILE]
pal bench train -- --part overhead
pal bench train -- --part kill [--kills 20]
"""

import argparse
import json
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.train_step import ARMS
from configs.load import load

if TYPE_CHECKING:
    from benchmarks.train_memory import Row


def main() -> int:
    """Run one part; 0 if its bar is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=("memory", "overhead", "kill"), required=True)
    parser.add_argument(
        "--model", type=Path, help="Directory of the model; default: engine.model of the settings."
    )
    parser.add_argument("--method", choices=("full", "lora"), default="lora")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--zero", type=int, default=2, help="ZeRO stage of the arms with two ranks.")
    parser.add_argument("--arms", default=",".join(ARMS), help="Of part memory.")
    parser.add_argument("--lengths", default="", help="Of part memory: just these, in place of a search.")
    parser.add_argument("--most", type=int, default=40960, help="Of part memory: the longest that is tried.")
    parser.add_argument("--limit-gib", type=float, default=4.0, help="Of part memory: for each process.")
    parser.add_argument("--patience-s", type=float, default=3600, help="Of part memory: for one try.")
    parser.add_argument("--length", type=int, default=512, help="Of parts overhead and kill.")
    parser.add_argument("--steps", type=int, default=8, help="Of part overhead, for each launch.")
    parser.add_argument("--rounds", type=int, default=2, help="Of part overhead.")
    parser.add_argument("--kills", type=int, default=20, help="Of part kill.")
    parser.add_argument("--seed", type=int, default=0, help="Of part kill.")
    parser.add_argument("--json", type=Path, help="Write all figures here.")
    parser.add_argument("--plot", type=Path, help="Of part memory: write a picture here.")
    options = parser.parse_args()
    strange = set(options.arms.split(",")) - set(ARMS)
    if strange:
        parser.error(f"--arms: there is no {', '.join(sorted(strange))}; there are {', '.join(ARMS)}")
    if options.model is None:
        from actors.engines.choose import model_directory

        options.model = model_directory(load().settings)
    return {"memory": _memory, "overhead": _overhead, "kill": _kill}[options.part](options)


def _memory(options: argparse.Namespace) -> int:
    from benchmarks import train_memory

    told = train_memory.Options(
        model=options.model,
        method=options.method,
        precision=options.precision,
        zero=options.zero,
        limit_gib=options.limit_gib,
        patience_s=options.patience_s,
        port=free_port(),
        most=options.most,
    )
    rows: list[train_memory.Row] = []
    lengths = [int(length) for length in options.lengths.split(",") if length]
    for arm in options.arms.split(","):
        for row in train_memory.search(told, arm, lengths):
            fits = "fits" if row.fits else "does not fit"
            print(f"{row.arm} {row.length}: {fits}, {row.peak_gib} GiB, {row.seconds} s", flush=True)
            rows.append(row)
    print(train_memory.table(rows, told))
    if options.json:
        options.json.write_text(json.dumps(train_memory.records(rows), indent=1) + "\n")
    if options.plot:
        train_memory.draw(rows, options.plot)
    return 0 if _multiple(rows, "chunked") >= 8 and _multiple(rows, "parallel") >= 16 else 1


def _multiple(rows: "list[Row]", arm: str) -> float:
    """How many times the longest sequence of plain transformers; 0 where it is not known."""
    from benchmarks.train_memory import longest

    plain, other = longest(rows, "plain"), longest(rows, arm)
    return other.length / plain.length if plain and other else 0.0


def _overhead(options: argparse.Namespace) -> int:
    from benchmarks.train_launch import compare

    figures = compare(options.model, options.length, options.steps, options.rounds, options.zero)
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if figures["ratio"] <= 1.05 else 1


def _kill(options: argparse.Namespace) -> int:
    from benchmarks.kill_train import suffer

    figures = suffer(options.model, options.length, options.kills, options.seed, options.zero)
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if figures["worst_difference"] <= 1e-6 else 1


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main())
