"""`pal doctor`: checks this machine and says what to do."""

from typing import Annotated

import typer

from cluster.context import NOT_READY, JsonFlag, emit, settings_of

MARKS = {
    True: ("ok  ", typer.colors.GREEN),
    None: ("warn", typer.colors.YELLOW),
    False: ("FAIL", typer.colors.RED),
}


def doctor(
    ctx: typer.Context,
    deep: Annotated[
        bool, typer.Option("--deep/--no-deep", help="Load the engine and generate one token.")
    ] = True,
    json: JsonFlag = False,
) -> None:
    """Check versions, device, memory, disk, ports, token, models and one-token generation."""
    from cluster.doctor import findings

    failed = 0
    for finding in findings(settings_of(ctx).settings, deep):
        failed += finding.ok is False
        if json:
            emit(finding)
            continue
        mark, colour = MARKS[finding.ok]
        typer.echo(f"{typer.style(mark, fg=colour)}  {finding.name:<16} {finding.detail}")
        if finding.fix:
            typer.echo(f"{'':24}fix: {finding.fix}")
    if failed:
        typer.echo(f"{failed} of the checks failed", err=True)
        raise typer.Exit(NOT_READY)
