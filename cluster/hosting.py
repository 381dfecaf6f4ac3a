"""Brings the service up in this process's care, under Ray or without, and down again. Knows no terminal."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.memory.layout import opened
from actors.messages import NotReady, PalError
from cluster.running import Mode, Running, local_url, read_note, remove_note, this_process, write_note
from configs.schema import Settings

if TYPE_CHECKING:
    from cluster.jobs import RayJobs
    from cluster.runtime import Ray

STOP_S = 15
"""How long what was started here may take to end before it is killed."""

OnStage = Callable[[str], None]
OnReady = Callable[[Running], None]


class Stopped(BaseException):
    """SIGINT or SIGTERM: end what runs, in order."""


@dataclass(frozen=True)
class _Host:
    settings: Settings
    on_stage: OnStage
    on_ready: OnReady

    def note(self, mode: Mode, dashboard: str | None = None) -> Running:
        """Leave word of this process, for other commands and clients."""
        pid, started_at = this_process()
        host, port = self.settings.serve.host, self.settings.port
        running = Running(
            pid=pid,
            started_at=started_at,
            host=host,
            port=port,
            url=local_url(host, port),
            mode=mode,
            dashboard=dashboard,
        )
        write_note(self.settings.home, running)
        return running


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """The server's socket, taken before anything heavy starts.

    Raises PalError if a server already runs on this state directory, or the port is taken.
    """
    running = read_note(settings.home)
    if running is not None:
        raise PalError(
            f"already running on {settings.home}: pid {running.pid} at {running.url}; stop it with: pal down"
        )
    with listen(settings.serve.host, settings.port) as listener:
        yield listener


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises PalError if the port is taken, or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise PalError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from error
    listener.set_inheritable(False)
    return listener


def host(
    settings: Settings, mode: Mode, listener: socket.socket, on_stage: OnStage, on_ready: OnReady
) -> None:
    """Serve until SIGINT or SIGTERM; returns once everything that was started has ended.

    Raises NotReady where something needed is missing, Locked where another process has the partitions.
    """
    with opened(settings.home, settings.memory.partitions):
        pass
    serving = _Host(settings, on_stage, on_ready)
    try:
        if mode == "local":
            _host_local(serving, listener)
        else:
            listener.close()
            _host_on_ray(serving)
    finally:
        remove_note(settings.home)


def _host_local(serving: _Host, listener: socket.socket) -> None:
    """Libraries read how many threads they may take when they are imported: more than asked for cost time."""
    os.environ.setdefault("OMP_NUM_THREADS", str(serving.settings.engine.threads))
    from cluster.loop import LOOP
    from serve.local import run

    serving.on_stage("loading the model")
    running = serving.note("local")
    run(serving.settings, listener, lambda: serving.on_ready(running), LOOP)


def _host_on_ray(serving: _Host) -> None:
    from cluster.runtime import ray_runtime

    settings = serving.settings
    family = _Family()
    with _stoppable(), family.ended():
        address = settings.cluster.address
        serving.on_stage(f"joining Ray at {address}" if address else "starting Ray")
        serving.note("ray")
        with ray_runtime(settings, _import_graph) as ray, family.remembered():
            _stop_on_signals()
            serving.on_stage("starting Ray Serve and the engine")
            from cluster.loop import LOOP
            from serve.app import deployed

            with deployed(settings, _launcher(settings, ray), LOOP), family.remembered():
                serving.on_ready(serving.note("ray", ray.dashboard))
                while True:
                    signal.pause()


def _launcher(settings: Settings, ray: "Ray") -> "RayJobs | None":
    """Where fine-tuning jobs run; None: as processes beside the server. Raises NotReady."""
    from cluster.jobs import RayJobs

    jobs = settings.jobs
    if jobs.launch == "process" or (jobs.launch == "auto" and ray.started_here):
        return None
    if ray.dashboard is None:
        raise NotReady("jobs.launch is ray, and this Ray has no dashboard to submit jobs to")
    return RayJobs(ray.dashboard, jobs.niceness)


def _import_graph() -> None:
    import serve.app  # noqa: F401


@contextmanager
def _stoppable() -> Iterator[None]:
    """Within, a signal ends the block in order; while it ends, further signals are not heard."""
    _stop_on_signals()
    try:
        yield
    except Stopped:
        return


def _stop_on_signals() -> None:
    def on_signal(number: int, _: object) -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, on_signal)


class _Family:
    """The processes that this one starts, and theirs."""

    def __init__(self) -> None:
        import psutil

        self._this = psutil.Process()
        self._seen: set[psutil.Process] = set()

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """At the end of the block, all that lives then is remembered: some outlive their parents."""
        try:
            yield
        finally:
            self._seen.update(self._this.children(recursive=True))

    @contextmanager
    def ended(self) -> Iterator[None]:
        """After the block, all of them have ended."""
        import psutil

        try:
            with self.remembered():
                yield
        finally:
            _, alive = psutil.wait_procs(self._seen, timeout=STOP_S)
            for process in alive:
                process.kill()
            psutil.wait_procs(alive, timeout=STOP_S)
