"""`pal experiment`, `pal sweep`, `pal analyze`: run trials and compare them. Knows no objective."""

import os
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.context import (
    FAILED,
    USAGE,
    JsonFlag,
    as_environment,
    emit,
    fail,
    note,
    settings_of,
    show_table,
)

if TYPE_CHECKING:
    from configs.planned import Planned
    from configs.schema import Settings
    from tune.conductor import Conductor, Outcome
    from tune.trials import Run

experiment = typer.Typer(no_args_is_help=True, help="Run what one file describes, and report it.")
sweep = typer.Typer(no_args_is_help=True, help="Search settings, or take parts away, as one file describes.")
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="YAML, e.g. configs/sweeps/learning.yaml.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where to write; default: in the state directory.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on where it stopped; what has ended is not run again.")
]
LocalOption = Annotated[
    bool, typer.Option("--local", help="Without Ray: one trial after another, each in a child process.")
]
AddressOption = Annotated[
    str | None, typer.Option("--address", metavar="ADDRESS", help="The Ray cluster to run on.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides a setting of the file's base; repeatable."),
]


@experiment.command("run")
def run_experiment(
    ctx: typer.Context,
    file: FileArgument,
    given: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    local: LocalOption = False,
    address: AddressOption = None,
    json: JsonFlag = False,
) -> None:
    """Run an objective with the file's settings, once with each seed, and write the report."""
    _run(ctx, file, ("experiment",), given or [], out, resume, local, address, json)


@sweep.command("run")
def run_sweep(
    ctx: typer.Context,
    file: FileArgument,
    given: SetOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    local: LocalOption = False,
    address: AddressOption = None,
    json: JsonFlag = False,
) -> None:
    """Run the trials of a sweep or an ablation, and write the report."""
    _run(ctx, file, ("sweep", "ablation"), given or [], out, resume, local, address, json)


def analyze(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", exists=True, file_okay=False, help="What runs have written."),
    ],
    out: OutOption = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Write each figure there too, as SVG.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Compare runs: one HTML page, Markdown and JSON that say which differences are real."""
    from tune.report import write

    written = write(folders, out or folders[0], figures)
    if json:
        emit(written.found)
        return
    show_table(written.table[0], written.table[1])
    for line in written.notes:
        typer.echo(line)
    for path in written.files:
        typer.echo(path)


def _run(
    ctx: typer.Context,
    file: Path,
    kinds: tuple[str, ...],
    given: list[str],
    out: Path | None,
    resume: bool,
    local: bool,
    address: str | None,
    as_json: bool,
) -> None:
    from configs.sweep import Machine, plan

    settings = settings_of(ctx).settings
    joined = address or settings.cluster.address or os.environ.get("RAY_ADDRESS")
    local = local or (not joined and find_spec("ray") is None)
    cores = settings.cluster.num_cpus
    there = Machine.here() if cores is None or local else Machine(cores, Machine.here().gpus)
    planned = plan(file, None if joined and not local else there, _pairs(given))
    if planned.kind not in kinds:
        other = "experiment" if planned.kind == "experiment" else "sweep"
        fail(f"{file} describes one {planned.kind}: pal {other} run {file}", USAGE)
    if local and planned.experiment.early.method == "pbt":
        fail(f"{file}: early pbt needs Ray: leave --local out", USAGE)
    os.environ.update(as_environment(ctx))
    os.environ["PAL_HOME"] = str(settings.home)
    folder = (out or settings.home / "experiments" / planned.experiment.name).absolute()
    outcome = _carried_out(settings, planned, folder, resume, local, address, as_json)
    _tell(planned, outcome, as_json)


def _pairs(given: list[str]) -> dict[str, Any]:
    """Values by dotted key, read as YAML. Raises typer.Exit."""
    import yaml

    found = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not separator:
            fail(f"--set takes KEY=VALUE, not {pair!r}", USAGE)
        found[key] = yaml.safe_load(value)
    return found


def _carried_out(
    settings: "Settings",
    planned: "Planned",
    folder: Path,
    resume: bool,
    local: bool,
    address: str | None,
    as_json: bool,
) -> "Outcome":
    from cluster.sweeping import shown
    from tune.conductor import Conductor
    from tune.trials import alone

    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder, patience_s=5.0), shown(planned, as_json=as_json) as watch:
        conductor = Conductor(planned, folder, resume=resume, watch=watch)
        return _here(conductor) if local else _on_ray(settings, conductor, address)


def _here(conductor: "Conductor") -> "Outcome":
    from tune.local import run

    return run(conductor)


def _on_ray(settings: "Settings", conductor: "Conductor", address: str | None) -> "Outcome":
    from cluster.runtime import free_port, ray_runtime, where_ray_is
    from configs.sweep import check_resources

    settings = where_ray_is(settings, address)
    cluster = settings.cluster
    if cluster.address is None:
        port = free_port(cluster.dashboard_host, cluster.dashboard_port)
        cluster = cluster.model_copy(update={"dashboard_port": port})
        settings = settings.model_copy(update={"cluster": cluster})
    with ray_runtime(settings) if not conductor.over else nullcontext():
        if conductor.over:
            return conductor.outcome()
        from tune.sweep import machine, run

        check_resources(conductor.planned, machine())
        return run(conductor)


def _tell(planned: "Planned", outcome: "Outcome", as_json: bool) -> None:
    from tune.report import write

    written = write([outcome.folder], outcome.folder)
    states = ", ".join(f"{count} {state}" for state, count in sorted(outcome.states.items()))
    if as_json:
        best = [{"trial": run.name, "values": run.values} for run in outcome.best]
        emit({"event": "outcome", "folder": outcome.folder, "states": outcome.states, "best": best})
    else:
        show_table(written.table[0], written.table[1])
        for line in (f"{states}; {outcome.tokens:,} tokens, {outcome.seconds:.0f} s", *written.notes):
            note(line)
        typer.echo(f"report: {written.files[0]}")
        for line in _promotion(outcome.best[:1]):
            note(line)
    if not outcome.states.get("complete"):
        fail(f"no trial of {planned.experiment.name} was completed: see {outcome.folder}/trials", FAILED)


def _promotion(best: "tuple[Run, ...]") -> list[str]:
    """How the adapter of the best trial goes through the gate, where it has one."""
    found = []
    for run in best:
        if (run.folder / "adapter").is_dir():
            found.append(f"to judge the best:  pal gate {run.folder / 'card.json'}")
            found.append(f"to take it in:      pal adapters import {run.folder / 'adapter'}")
    return found
