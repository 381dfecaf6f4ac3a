"""What each reward teaches: short trainings that differ in their reward alone, beside each other.

    python -m benchmarks.compression_rewards --data PREPARED --out DIR [--iterations 40] [--only NAME]

PREPARED is what `pal data prepare` wrote. A training that DIR holds already is not run again. It learns by
the plain policy gradient that RLlib's PPO is held against, or with --rllib as `pal train compression` does.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from actors.compression.chunks import Chunk, bits_of, frequencies, select
from actors.compression.features import NAMES
from actors.compression.policy import Policy
from actors.compression.reward import achieved, recovered_bits
from actors.models.store import ModelStore
from benchmarks.keep_oracle import learn
from cluster.runtime import ray_runtime
from configs.compression import CompressionTraining, RewardSettings
from configs.load import load as load_settings
from tune.records import TEST, TRAIN
from tune.training import WEIGHTS, load, task_of, token_count, train

PENALTY = 1.0
BUDGET = 0.5
RULES = {
    "utility only": RewardSettings(answers=1, reconstruction=0, budget=PENALTY),
    "reconstruction only": RewardSettings(answers=0, reconstruction=1, budget=PENALTY),
    "both": RewardSettings(answers=1, reconstruction=1, budget=PENALTY),
    "no budget penalty": RewardSettings(answers=1, reconstruction=0, budget=0),
}
FIGURES = ("answers_kept", "names_kept", "digits_kept", "bits_recovered", "share_sampled")
_NAME, _DIGIT = NAMES.index("name_inside_sentence"), NAMES.index("digit")
app = typer.Typer(add_completion=False)


@app.command()
def main(
    data: Annotated[list[Path], typer.Option(help="What `pal data prepare` wrote; repeatable.")],
    out: Annotated[Path, typer.Option(help="Where the trainings go.")],
    iterations: Annotated[int, typer.Option(help="Of each training.")] = 40,
    rllib: Annotated[bool, typer.Option(help="Learn with RLlib's PPO; takes minutes each.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Names of rewards; repeatable. Default: all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Train with each reward from fresh weights, then measure all of them on documents held out."""
    settings = load_settings().settings
    tokenizer = ModelStore(settings).resolve(settings.engine.model) / "tokenizer.json"
    names = [name for name in RULES if not only or name in only]
    missing = [name for name in names if not (_folder(out, name) / WEIGHTS).exists()]
    trainings = {name: rewarded(name, data, tokenizer, iterations) for name in missing}
    with ray_runtime(settings) if rllib and missing else nullcontext():
        for name, training in trainings.items():
            print(f"learning by {name}", file=sys.stderr, flush=True)
            if rllib:
                train(training, _folder(out, name), count=token_count(tokenizer))
            else:
                _learn(training, _folder(out, name), load(data, TRAIN, token_count(tokenizer)))
    test = load(data, TEST, token_count(tokenizer))
    report = {name: figures(Policy.load(_folder(out, name) / WEIGHTS), test) for name in names}
    if as_json:
        typer.echo(json.dumps(report))
    else:
        show(report)


def rewarded(name: str, data: Sequence[Path], tokenizer: Path | None, iterations: int) -> CompressionTraining:
    """The training that a reward's name stands for: only the penalty may teach it to keep to the budget."""
    return CompressionTraining(
        data=tuple(data),
        reward=RULES[name],
        tokenizer=tokenizer,
        iterations=iterations,
        checkpoint_every=iterations,
        calibrate=False,
    )


def _learn(training: CompressionTraining, folder: Path, chunks: Sequence[Chunk]) -> None:
    from safetensors.numpy import save_file

    weights = learn(training, task_of(training, chunks))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / WEIGHTS)


def figures(policy: Policy, chunks: Sequence[Chunk]) -> dict[str, float]:
    """At half of the tokens: what is kept of answers, names and digits, and the bits given back by rule.

    `share_sampled` is the share of tokens that the policy itself would keep when asked for half.
    """
    table = frequencies(chunks)
    kept, names, digits, bits, shares = [], [], [], [], []
    for chunk in chunks:
        scores = policy.scores(chunk.rows, BUDGET)
        mask = select(scores, chunk.costs, BUDGET)
        kept += chunk.places.kept(mask[None])[0].tolist()
        names += mask[chunk.rows[:, _NAME] > 0].tolist()
        digits += mask[chunk.rows[:, _DIGIT] > 0].tolist()
        bits.append(recovered_bits(mask[None], bits_of(chunk, table))[0])
        shares.append(achieved((scores > 0)[None], chunk.costs)[0])
    values = [float(np.mean(rows)) for rows in (kept, names, digits, bits, shares)]
    return {name: round(value, 4) for name, value in zip(FIGURES, values, strict=True)}


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("reward", *FIGURES, title=f"What each reward teaches, at {BUDGET} of the tokens")
    for name, row in report.items():
        table.add_row(name, *(f"{row[one]:.3f}" for one in FIGURES))
    Console().print(table)


def _folder(out: Path, name: str) -> Path:
    return out / name.replace(" ", "-")


if __name__ == "__main__":
    app()
