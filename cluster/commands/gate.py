"""`pal gate`: judges a scorecard that lies in a file. Knows no model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.context import REFUSED, USAGE, JsonFlag, emit, fail, note, show_table

if TYPE_CHECKING:
    from actors.training.versions import Slice
    from configs.gate import GateSettings


def gate(
    card: Annotated[Path, typer.Argument(metavar="CARD", exists=True, dir_okay=False, help="A scorecard.")],
    config: Annotated[
        Path | None, typer.Option("--thresholds", metavar="FILE", help="Thresholds in YAML.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Judge a scorecard: every slice with its figure and threshold; exit code 4 when it is refused."""
    from tune.gate import judge
    from tune.scorecard import from_json

    verdict = judge(from_json(card.read_bytes()), _thresholds(config))
    if json:
        emit(verdict)
    else:
        show_table(("slice", "figure", "bound", "allowed", "items", ""), map(_row, verdict.slices))
        for reason in verdict.reasons:
            note(reason)
        typer.echo("accepted" if verdict.accepted else "refused")
    if not verdict.accepted:
        raise typer.Exit(REFUSED)


def _thresholds(path: Path | None) -> "GateSettings":
    """The defaults, or those of a file. Raises typer.Exit."""
    from pydantic import ValidationError

    from configs.compression import read
    from configs.gate import GateSettings

    try:
        return GateSettings.model_validate(read(path) if path else {})
    except ValidationError as error:
        what = error.errors()[0]
        fail(f"{path}: {'.'.join(map(str, what['loc']))}: {what['msg']}", USAGE)


def _row(one: "Slice") -> tuple[str, ...]:
    bounds = [f"{bound:+.3f}" for bound in (one.low, one.high) if bound is not None]
    allowed = [
        f"{sign} {bound:.3f}" for sign, bound in (("≥", one.least), ("≤", one.most)) if bound is not None
    ]
    return (
        one.name,
        f"{one.value:.3f}",
        " to ".join(bounds),
        ", ".join(allowed),
        str(one.items),
        "passed" if one.passed else "FAILED",
    )
