"""The `pal` command: parses, then calls one command. Imports nothing heavy."""

from pathlib import Path
from typing import Annotated

import typer

from cluster.commands import (
    adapters,
    agents,
    ask,
    bench,
    chat,
    compress,
    config,
    consent,
    data,
    demo,
    docs,
    doctor,
    gate,
    jobs,
    loop,
    memory,
    models,
    plan,
    profile,
    serving,
    sweep,
    train,
)
from cluster.context import (
    DOCUMENTS,
    MEASURE,
    MEMORY,
    MODELS,
    SERVE,
    SETUP,
    TALK,
    TRAIN,
    Commands,
    Invocation,
)

app = typer.Typer(
    cls=Commands,
    name="pal",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up", rich_help_panel=SERVE)(serving.up)
app.command("down", rich_help_panel=SERVE)(serving.down)
app.command("status", rich_help_panel=SERVE)(serving.status)
app.command("chat", rich_help_panel=TALK)(chat.chat)
app.command("ask", rich_help_panel=TALK)(ask.ask)
app.command("compress", rich_help_panel=TALK)(compress.compress)
app.command("demo", rich_help_panel=TALK)(demo.demo)
app.add_typer(docs.app, name="docs", cls=Commands, rich_help_panel=DOCUMENTS)
app.add_typer(memory.app, name="memory", cls=Commands, rich_help_panel=MEMORY)
app.command("mcp", rich_help_panel=MEMORY)(agents.mcp)
app.add_typer(models.app, name="models", cls=Commands, rich_help_panel=MODELS)
app.add_typer(data.app, name="data", cls=Commands, rich_help_panel=TRAIN)
app.command("plan", rich_help_panel=TRAIN)(plan.plan)
app.add_typer(train.app, name="train", cls=Commands, rich_help_panel=TRAIN)
app.add_typer(loop.app, name="loop", cls=Commands, rich_help_panel=TRAIN)
app.add_typer(consent.app, name="consent", cls=Commands, rich_help_panel=TRAIN)
app.command("gate", rich_help_panel=TRAIN)(gate.gate)
app.add_typer(jobs.app, name="jobs", cls=Commands, rich_help_panel=TRAIN)
app.add_typer(adapters.app, name="adapters", cls=Commands, rich_help_panel=TRAIN)
app.command("lineage", rich_help_panel=TRAIN)(adapters.lineage)
app.add_typer(sweep.experiment, name="experiment", cls=Commands, rich_help_panel=MEASURE)
app.add_typer(sweep.sweep, name="sweep", cls=Commands, rich_help_panel=MEASURE)
app.command("analyze", rich_help_panel=MEASURE)(sweep.analyze)
app.command("profile", rich_help_panel=MEASURE)(profile.profile)
app.add_typer(bench.app, name="bench", cls=Commands, rich_help_panel=MEASURE)
app.add_typer(config.app, name="config", cls=Commands, rich_help_panel=SETUP)
app.command("doctor", rich_help_panel=SETUP)(doctor.doctor)


@app.callback()
def root(
    ctx: typer.Context,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", help="Settings in YAML, e.g. configs/local.yaml; pal.toml overrides."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. engine.kind=torch; repeatable."),
    ] = None,
) -> None:
    """Serve a language model that remembers what it is told and answers from your documents."""
    values = {}
    for pair in settings or []:
        key, separator, value = pair.partition("=")
        if not separator:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
        values[key.strip()] = value
    ctx.obj = Invocation(config_file, values)


def main() -> None:
    """Entry point of the console script `pal`."""
    app()


if __name__ == "__main__":
    main()
