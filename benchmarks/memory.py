"""`pal bench memory`: recall of the turns that answer a question, and with --load what remembering costs.

Beside ours, in the same run on the same texts and vectors: MiniLM in Chroma, FTS5, reciprocal rank fusion, a
fusion of scores with fixed weights, and mem0. mem0 runs in an environment of its own, made in two commands
(the second one fetches spaCy's small English model, which its hybrid search takes lemmas from):

    uv venv DIR && uv pip install -p DIR 'mem0ai>=2.2,<3' 'fastembed>=0.9,<1' 'spacy>=3.8,<3.9'
    DIR/bin/python -m spacy download en_core_web_sm
    pal bench memory -- --data FILE --mem0-python DIR/bin/python

Without --mem0-python its arms are left out. With --load, --mem0-python adds mem0 there too.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from actors.embedder import Embedder
from benchmarks import memory_arms as arms
from benchmarks import memory_load
from benchmarks.locomo import CATEGORIES, K, Recalled, figures, recalled
from benchmarks.memory_load import Load
from benchmarks.peers import peer
from benchmarks.qa_corpus import Remembering
from configs.load import load as load_settings
from configs.schema import Settings
from tune.locomo import Conversation, load

OURS = "ours"
CROSS_VALIDATED = "ours, cross-validated"
MEM0 = {"mem0": "hybrid", "mem0, vectors alone": "dense"}
BARS = {
    (OURS, "turn"): 0.80,
    (OURS, "multi-hop"): 0.50,
    (OURS, "session"): 0.945,
    (CROSS_VALIDATED, "turn"): 0.83,
    (CROSS_VALIDATED, "multi-hop"): 0.54,
}
"""What an arm's figure must reach."""
RESAMPLED = 10_000
BAR_WIDTH = 40
WIDEST, HEAD = 22, 6
app = typer.Typer(add_completion=False)
Table = dict[str, list[Recalled]]
"""What each arm recalled of every question."""


class Captions(StrEnum):
    """Whether a turn's text says what its photo shows."""

    ON = "on"
    OFF = "off"


@app.command()
def main(
    data: Annotated[Path | None, typer.Option(help="LoCoMo: conversations, questions, evidence.")] = None,
    captions: Annotated[
        list[Captions] | None,
        typer.Option(help="Whether photos' captions are in the texts; both if not said."),
    ] = None,
    limit_conversations: Annotated[int | None, typer.Option(min=1, help="Only the first N.")] = None,
    mem0_python: Annotated[Path | None, typer.Option(help="Python of an environment with mem0ai.")] = None,
    cache: Annotated[Path | None, typer.Option(help="File that keeps computed vectors between runs.")] = None,
    load: Annotated[
        bool, typer.Option("--load", help="Measure milliseconds and writes a second instead.")
    ] = False,
    users: Annotated[int, typer.Option(min=1, help="With --load: users with --memories each.")] = 20,
    memories: Annotated[int, typer.Option(min=1, help="With --load: memories of each user.")] = 10_000,
    sizes: Annotated[
        str, typer.Option(help="With --load: one user more of each of these sizes.")
    ] = "1000,3000,30000,100000",
    calls: Annotated[int, typer.Option(min=8, help="With --load: calls of each kind.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="With --load: of writing without a pause.")] = 10.0,
    ray: Annotated[
        bool, typer.Option("--ray", help="With --load: the server over Ray, not in one process.")
    ] = False,
    home: Annotated[
        Path | None, typer.Option(help="With --load: keeps what was filled in for the next run.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="With --load: a picture of the cost by size (.png, .svg).")
    ] = None,
    others_most: Annotated[
        int, typer.Option(min=1, help="With --load: the largest size that other stores are filled to.")
    ] = 10_000,
    cross_validated: Annotated[
        bool, typer.Option("--cross-validated", help="Ours too with weights learned from the others.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Measure recall@10 on conversations with known answers, or what remembering costs."""
    if load:
        numbers = tuple(int(size) for size in sizes.split(",") if size)
        _load(
            Load(
                users=users,
                memories=memories,
                sizes=numbers,
                calls=calls,
                seconds=seconds,
                ray=ray,
                home=home,
                mem0_python=mem0_python,
                others_most=others_most,
            ),
            plot,
            as_json,
        )
    elif data is None:
        raise typer.BadParameter("give --data FILE, or --load")
    else:
        which = captions or list(Captions)
        measured = measure(data, which, limit_conversations, mem0_python, cache, cross_validated)
        _show_recall(asyncio.run(measured), as_json)


def _show_recall(reports: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(reports))
        return
    for report in reports:
        show(report)


def _load(load: Load, plot: Path | None, as_json: bool) -> None:
    report = memory_load.measure(load)
    if plot is not None:
        memory_load.draw(report, plot)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        memory_load.show(report)


async def measure(
    data: Path,
    captions: Sequence[Captions],
    limit: int | None,
    mem0_python: Path | None,
    cache: Path | None,
    cross_validated: bool,
) -> list[dict[str, Any]]:
    """A report for each kind of text, by name."""
    settings = load_settings().settings
    embedder = Embedder(settings)
    await embedder.start()
    memory = Remembering(embedder, cache)
    reports = []
    for which in dict.fromkeys(captions):
        conversations = load(data, captions=which is Captions.ON)[:limit]
        table = await _recalled(conversations, settings, memory, mem0_python)
        if cross_validated and len(conversations) > 1:
            _say(CROSS_VALIDATED)
            found = await arms.cross_validated(conversations, settings, memory)
            table[CROSS_VALIDATED] = _scored(conversations, found)
        memory.save()
        reports.append({"captions": which.value} | report_of(conversations, table))
    await embedder.close()
    return reports


async def _recalled(
    conversations: Sequence[Conversation], settings: Settings, memory: Remembering, mem0_python: Path | None
) -> Table:
    """Every arm's recall of every question, the arms from the simplest to ours."""
    _say(f"embedding {sum(len(one.turns) for one in conversations)} turns")
    given = [await arms.given(one, memory) for one in conversations]
    rankings: dict[str, list[arms.Rankings]] = {}
    dimensions = given[0].turns_T_D.shape[1]
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        chroma = stack.enter_context(peer("benchmarks.bare_chroma", f"{directory}/chroma"))
        _say(f"Chroma {chroma.says['version']}")
        rankings[arms.CHROMA] = [arms.by_store(one, chroma, one_by_one=False) for one in given]
        by_words = [arms.by_words(one) for one in given]
        rankings |= {name: [one[name] for one in by_words] for name in by_words[0]}
        for name, mode in MEM0.items() if mem0_python else ():
            arguments = (f"{directory}/{mode}", mode, str(dimensions))
            mem0 = stack.enter_context(peer("benchmarks.bare_mem0", *arguments, python=str(mem0_python)))
            _say(f"{name} {mem0.says['version']}")
            rankings[name] = [arms.by_store(one, mem0, one_by_one=True) for one in given]
    _say("ours")
    rankings[OURS] = await arms.ours(conversations, settings, memory)
    return {name: _scored(conversations, found) for name, found in rankings.items()}


def _scored(conversations: Sequence[Conversation], rankings: Sequence[arms.Rankings]) -> list[Recalled]:
    return [
        recalled(asked, found)
        for conversation, ranked in zip(conversations, rankings, strict=True)
        for asked, found in zip(conversation.asked, ranked, strict=True)
    ]


def report_of(conversations: Sequence[Conversation], table: Table) -> dict[str, Any]:
    """Figures of every arm, how far ours is ahead, and the bars."""
    rows = {name: figures(found) for name, found in table.items()}
    best = max((name for name in rows if not name.startswith(OURS)), key=lambda name: rows[name]["turn"])
    return {
        "conversations": len(conversations),
        "questions": sum(len(one.asked) for one in conversations),
        "without_evidence": sum(one.without_evidence for one in conversations),
        "malformed": sum(one.malformed for one in conversations),
        "arms": rows,
        "best_peer": best,
        "ahead": {
            name: ahead(
                [getattr(one, name) for one in table[OURS]], [getattr(one, name) for one in table[best]]
            )
            for name in ("turn", "session")
        },
        "bars": [
            {
                "arm": arm,
                "figure": figure,
                "value": rows[arm][figure],
                "bar": bar,
                "met": rows[arm][figure] >= bar,
            }
            for (arm, figure), bar in BARS.items()
            if arm in rows
        ],
    }


def ahead(ours: Sequence[float], others: Sequence[float], seed: int = 0) -> dict[str, float]:
    """Mean difference question by question, and its 95 % interval over resampled questions."""
    differences = np.array(ours) - np.array(others)
    chosen = np.random.default_rng(seed).integers(0, len(differences), (RESAMPLED, len(differences)))
    low, high = np.percentile(differences[chosen].mean(axis=1), [2.5, 97.5])
    return {
        "mean": round(float(differences.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def show(report: Mapping[str, Any]) -> None:
    """Print the table, a bar for each arm, and the bars to be met."""
    from rich.console import Console
    from rich.table import Table as Printed

    console = Console()
    columns = ("turn", *CATEGORIES.values(), "session", "beside")
    title = f"Evidence recalled among the first {K}, captions {report['captions']}"
    table = Printed(title=title, box=None, padding=(0, 1, 0, 0))
    table.add_column("arm", no_wrap=True)
    for name in columns:
        table.add_column(name.partition("-")[0][:HEAD], justify="right", no_wrap=True)
    for name, row in report["arms"].items():
        table.add_row(name, *(f"{row[column]:.3f}" for column in columns))
    console.print(table)
    for name, row in report["arms"].items():
        console.print(f"{name:{WIDEST}} {row['turn']:.3f} {'█' * round(BAR_WIDTH * row['turn'])}")
    console.print(
        f"{report['conversations']} conversations, {report['questions']} questions; left out: "
        f"{report['without_evidence']} without evidence, {report['malformed']} whose evidence is no turn"
    )
    for name, one in report["ahead"].items():
        console.print(
            f"ours ahead of {report['best_peer']}, {name}: {one['mean']:+.4f} "
            f"(95 % of resampled questions: {one['low']:+.4f} to {one['high']:+.4f})"
        )
    for bar in report["bars"]:
        verdict = "met" if bar["met"] else "MISSED"
        console.print(f"{bar['arm']}, {bar['figure']}: {bar['value']:.4f}, bar {bar['bar']}: {verdict}")


if __name__ == "__main__":
    app()
