"""What the ranking of memories recalls on LoCoMo, shipped and cross-validated, and what each part is worth.

`python -m benchmarks.rank_lab --data FILE [--captions off] [--cross-validate]`. Only the
cross-validated rows learn from LoCoMo, each from all conversations but its own; nothing of it is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from actors.memory.fit import fit
from actors.memory.ranker import SHIPPED, Ranker
from actors.memory.recollection import FIRST, SECOND, recollect
from actors.memory.training import NEAR_RIDGE, Prepared, group, prepare
from actors.models.encoder import load_encoder
from benchmarks.locomo import CATEGORIES, Recalled, figures, recalled
from configs.load import load as load_settings
from tune.locomo import Asked, lesson_of, load
from tune.objective_ranker import PARTS, first_alone, without, wordless
from tune.vectors import Vectorised

DEPTH = 200
"""Turns ranked for each question, so that sessions can be ranked by their best turn."""
app = typer.Typer(add_completion=False)
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Asking:
    """A LoCoMo question ready to be ranked, and the place of its conversation."""

    conversation: int
    asked: Asked
    prepared: Prepared


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="A LoCoMo file.")],
    captions: Annotated[str, typer.Option(help="on: a turn says what its photo shows; off.")] = "on",
    cross_validate: Annotated[bool, typer.Option(help="Fit on all conversations but one, too.")] = False,
    vectors: Annotated[Path | None, typer.Option(help="Keeps computed vectors between runs.")] = None,
) -> None:
    """Print one table."""
    encoder = Vectorised(load_encoder(load_settings().settings), vectors)
    conversations = load(data, captions=captions == "on")
    asking = [
        Asking(place, asked, ready)
        for place, one in enumerate(conversations)
        for asked, ready in zip(one.asked, prepare([lesson_of(one)], encoder.embed), strict=True)
    ]
    rows = ablations(asking)
    if cross_validate:
        rows["cross-validated"] = cross_validated(asking)
    encoder.save()
    left_out = sum(one.without_evidence + one.malformed for one in conversations)
    show(
        rows, f"captions {captions}; {len(asking)} questions, {left_out} left out (no or malformed evidence)"
    )


def ablations(asking: Sequence[Asking]) -> dict[str, Figures]:
    """The shipped ranker, whole and with parts taken away (their weights set to 0, nothing learned anew)."""
    rows = {
        "shipped": _figures(asking, SHIPPED),
        "first round alone": _figures(asking, first_alone()),
        "without vectors": _figures(
            [replace(one, prepared=wordless(one.prepared)) for one in asking], SHIPPED
        ),
    }
    for name, features in PARTS.items():
        rows[f"without {name}"] = _figures(asking, without(SHIPPED, features))
    return rows


def cross_validated(asking: Sequence[Asking]) -> Figures:
    """Each conversation ranked by what `pal memory train-ranker` learns from the others."""
    names = (*FIRST, *SECOND)
    groups = [group(one.prepared, SHIPPED, names) for one in asking]
    shipped = np.array([SHIPPED.second[name] for name in names])
    found = []
    for held in sorted({one.conversation for one in asking}):
        seen = [some for one, some in zip(asking, groups, strict=True) if one.conversation != held]
        weights = fit(seen, NEAR_RIDGE, shipped)
        ranker = Ranker(SHIPPED.first, dict(zip(names, weights.tolist(), strict=True)))
        found += [_recalled(one, ranker) for one in asking if one.conversation == held]
    return figures(found)


def _figures(asking: Sequence[Asking], ranker: Ranker) -> Figures:
    return figures([_recalled(one, ranker) for one in asking])


def _recalled(one: Asking, ranker: Ranker) -> Recalled:
    ready = one.prepared
    ranked = recollect(ready.held, ready.text, ready.vector, DEPTH, ranker)
    return recalled(one.asked, [ready.held.turns[hit.row].id for hit in ranked])


def show(rows: Mapping[str, Figures], title: str) -> None:
    """One line for each ranking."""
    table = Table("ranking", "turn@10", "session@10", "of 10 turns", *CATEGORIES.values(), title=title)
    for name, one in rows.items():
        shown = [one["turn"], one["session"], one["beside"], *(one[kind] for kind in CATEGORIES.values())]
        table.add_row(name, *(f"{value:.3f}" for value in shown))
    Console(width=130).print(table)


if __name__ == "__main__":
    app()
