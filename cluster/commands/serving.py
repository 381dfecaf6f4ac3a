"""`pal up`, `pal down` and `pal status`."""

import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.messages import NotReady, PalError
from cluster.context import (
    FAILED,
    NOT_READY,
    Invocation,
    JsonFlag,
    emit,
    fail,
    note,
    settings_of,
)
from cluster.running import Mode, Running, read_note

if TYPE_CHECKING:
    import psutil

    from configs.schema import Settings


def up(
    ctx: typer.Context,
    local: Annotated[
        bool, typer.Option("--local", help="One process, without Ray; engine auto is then torch.")
    ] = False,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join, e.g. 10.0.0.1:6379.")] = None,
    model: Annotated[str | None, typer.Option(help="Alias (pal models list) or directory.")] = None,
    engine: Annotated[str | None, typer.Option(help="auto, vllm, torch or scripted.")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind; beyond loopback needs a key.")] = None,
    api_key: Annotated[
        list[str] | None, typer.Option("--api-key", metavar="[USER:]KEY", help="Accepted key; repeatable.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file in YAML.")] = None,
    json: JsonFlag = False,
) -> None:
    """Start the server and stay in the foreground; Ctrl-C stops all that was started."""
    if local and address:
        raise typer.BadParameter("--local starts no Ray, so there is none to join", param_hint="--address")
    if config is not None:
        given = ctx.obj.values if isinstance(ctx.obj, Invocation) else {}
        ctx.obj = Invocation(config, given)
    flags = {
        "cluster.address": address,
        "engine.model": model,
        "engine.kind": engine,
        "port": port,
        "serve.host": host,
        "api_keys": ",".join(api_key) if api_key else None,
    }
    settings = settings_of(ctx, flags).settings
    if local and settings.engine.kind == "auto":
        settings = settings_of(ctx, flags | {"engine.kind": "torch"}).settings
    _bring_up(settings, "local" if local else "ray", json)


def _bring_up(settings: "Settings", mode: Mode, as_json: bool) -> None:
    """Serve until stopped. Ray prints messages of its own on stdout; only the result belongs there."""
    from cluster.hosting import host, listening

    stages, stdout = _Stages(), sys.stdout

    def on_ready(running: Running) -> None:
        stages.end()
        with redirect_stdout(stdout):
            _say_ready(settings, running, stages.seconds(), as_json)

    try:
        with listening(settings) as listener, redirect_stdout(sys.stderr):
            _fetch(settings)
            host(settings, mode, listener, stages.on_stage, on_ready)
    finally:
        stages.end()
    note("stopped")


def _fetch(settings: "Settings") -> None:
    """Pull the models that are not on disk. Raises NotReady where there is no way to them."""
    from actors.models.store import ModelStore
    from cluster.commands.models import progress_bars

    store = ModelStore(settings)
    wanted = [settings.models.embedder]
    if settings.engine.kind != "scripted":
        wanted.insert(0, settings.engine.model)
    for name in wanted:
        try:
            store.resolve(name)
        except NotReady:
            with progress_bars() as on_progress:
                store.pull(name, on_progress)


class _Stages:
    """Says on stderr what is under way, with a spinner on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()
        self._status = self._console.status("starting") if self._console.is_terminal else None

    def on_stage(self, stage: str) -> None:
        """A new stage begins."""
        self._console.print(f"[dim]{self.seconds():5.1f} s[/dim]  {stage} …")
        if self._status is not None:
            self._status.update(stage)
            self._status.start()

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def end(self) -> None:
        """Nothing is under way any more."""
        if self._status is not None:
            self._status.stop()


def _say_ready(settings: "Settings", running: Running, seconds: float, as_json: bool) -> None:
    if as_json:
        emit({"status": "ready", "seconds": round(seconds, 2), **_facts(running)})
        return
    key = "an API key is required" if settings.api_keys else "open to this machine, no key needed"
    lines = [f"ready in {seconds:.1f} s", "", f"  API        {running.url}/v1   ({key})"]
    if running.dashboard:
        token = settings.home / "run" / "ray_token"
        lines += [
            f"  dashboard  {running.dashboard}   (token: cat {token})"
            if token.exists()
            else f"  dashboard  {running.dashboard}"
        ]
    lines += [
        "",
        "try in another terminal:",
        "  pal demo                      three questions about this project, with cited answers",
        "  pal chat                      talk to the model",
        "  pal docs add FILE…            add documents, then: pal ask QUESTION",
        "",
        "Ctrl-C stops everything.",
    ]
    typer.echo("\n".join(lines))


def down(ctx: typer.Context, json: JsonFlag = False) -> None:
    """Stop the server that `pal up` started; running answers may end first."""
    import psutil

    settings = settings_of(ctx).settings
    running = read_note(settings.home)
    if running is None:
        _tell(json, {"status": "down", "stopped": False}, "nothing is running")
        return
    process = psutil.Process(running.pid)
    process.terminate()
    if not _ended(process, settings.serve.drain_s + 60):
        fail(f"pid {running.pid} has not stopped; see its terminal", FAILED)
    _tell(json, {"status": "down", "stopped": True, "pid": running.pid}, f"stopped pid {running.pid}")


def status(ctx: typer.Context, json: JsonFlag = False) -> None:
    """Whether the server is up and ready; exit code 3 if it is not."""
    from cluster.client import connect

    settings = settings_of(ctx).settings
    running = read_note(settings.home)
    facts: dict[str, Any] = _facts(running) if running else {}
    try:
        with connect(settings) as client:
            parts = client.get("/ready")["parts"]
    except PalError as error:
        state = "starting" if running else "down"
        _tell(json, {"status": state, "reason": error.message, **facts}, f"{state}: {error.message}")
        raise typer.Exit(NOT_READY) from error
    where = facts.get("url", settings.port)
    _tell(json, {"status": "ready", "parts": parts, **facts}, f"ready: {where}")


def _ended(process: "psutil.Process", patience_s: float) -> bool:
    import psutil

    _, alive = psutil.wait_procs([process], timeout=patience_s)
    return not alive


def _facts(running: Running) -> dict[str, Any]:
    return {
        "url": running.url,
        "pid": running.pid,
        "mode": running.mode,
        "dashboard": running.dashboard,
    }


def _tell(as_json: bool, value: dict[str, Any], line: str) -> None:
    if as_json:
        emit(value)
    else:
        typer.echo(line)
