"""Starts, joins and stops Ray, with its token and dashboard on loopback."""

import ipaddress
import json
import logging
import os
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from actors.messages import NotReady
from configs.schema import Settings

OBJECT_STORE_BYTES = 300 * 1024**2
"""Nothing large passes through the object store: who holds a model reads it from its files."""

ENVIRONMENT = {
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_SERVE_LOG_TO_STDERR": "0",
}
"""What Ray reads as it starts: quiet, no telemetry, and the engine no less important than other programs."""


@dataclass(frozen=True)
class Ray:
    """A Ray that this process started or joined."""

    address: str
    dashboard: str | None
    token: Path | None
    """File with the token that the dashboard asks for; None where the environment holds the token itself."""
    started_here: bool


@contextmanager
def ray_runtime(settings: Settings, meanwhile: Callable[[], None] | None = None) -> Iterator[Ray]:
    """Ray for the length of the block: started here, or joined at `cluster.address`.

    `meanwhile` is called in a thread while Ray starts, which mostly waits.
    What was started here is stopped at the end; a cluster that was joined is only left.
    Raises NotReady where there is no cluster at the address, or Ray does not start.
    """
    token = _token(settings)
    os.environ.update({key: os.environ.get(key, value) for key, value in ENVIRONMENT.items()})
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    import ray

    joined = settings.cluster.address is not None
    try:
        with ThreadPoolExecutor(1, "meanwhile") as beside:
            besides = beside.submit(meanwhile or _nothing)
            context = _connect(_joining(settings) if joined else _starting(settings))
            besides.result()
        dashboard = f"http://{context.dashboard_url}" if context.dashboard_url else None
        yield Ray(context.address_info["address"], dashboard, token, not joined)
    finally:
        ray.shutdown()


def where_ray_is(settings: Settings, address: str | None = None) -> Settings:
    """The settings with an address that was given, or of the cluster that this process is a job of."""
    address = address or settings.cluster.address or os.environ.get("RAY_ADDRESS")
    cluster = settings.cluster.model_copy(update={"address": address})
    return settings.model_copy(update={"cluster": cluster})


def free_port(host: str, port: int) -> int:
    """The port, or another one where somebody listens on it."""
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            listener.bind((host, 0))
        return int(listener.getsockname()[1])


def _nothing() -> None:
    """Do nothing meanwhile."""


def _connect(options: dict[str, Any]) -> Any:
    import ray

    try:
        with _apart(), _any_agent_port():
            return ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise NotReady(f"no Ray at {options['address']!r}: {error}") from error


@contextmanager
def _any_agent_port() -> Iterator[None]:
    """Let the agent of a Ray that is started here take any free port.

    Its port is fixed where `ray start` is not told another, and `ray.init` cannot be told: beside a second
    Ray of the machine the agent then runs without HTTP, and no job is ever taken.
    """
    from ray._private import parameter

    fixed = parameter.RayParams
    parameter.RayParams = partial(fixed, dashboard_agent_listen_port=0)
    try:
        yield
    finally:
        parameter.RayParams = fixed


_forking = threading.local()


@contextmanager
def _apart() -> Iterator[None]:
    """Each process that this thread forks within leads a group of its own, out of reach of a signal to ours.

    A signal to the group would otherwise end Ray before this process has said goodbye to it. Elsewhere than
    on Linux Ray itself ends its processes by their group.
    """
    _watch_forks()
    _forking.apart = sys.platform == "linux"
    try:
        yield
    finally:
        _forking.apart = False


@cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_lead_a_group)


def _lead_a_group() -> None:
    if getattr(_forking, "apart", False):
        os.setpgid(0, 0)


def _starting(settings: Settings) -> dict[str, Any]:
    cluster = settings.cluster
    return {
        "address": "local",
        "num_cpus": cluster.num_cpus or max(2, os.cpu_count() or 2, _for_shards(settings)),
        "include_dashboard": True,
        "dashboard_host": cluster.dashboard_host,
        "dashboard_port": cluster.dashboard_port,
        "object_store_memory": OBJECT_STORE_BYTES,
        "logging_level": logging.WARNING,
        "log_to_driver": False,
    }


def _for_shards(settings: Settings) -> int:
    """CPUs that the shards ask for; on a machine with fewer cores they take turns."""
    engine = settings.engine
    return engine.shards * engine.threads if engine.shards > 1 else 0


def _joining(settings: Settings) -> dict[str, Any]:
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("runtime_env", {})
    elsewhere = not _on_this_machine(settings.cluster.address) and "working_dir" not in job
    return {
        "address": settings.cluster.address,
        "logging_level": logging.WARNING,
        "log_to_driver": False,
        "runtime_env": {"working_dir": str(_checkout())} if elsewhere else {},
    }


def _token(settings: Settings) -> Path | None:
    """The file of the token that Ray asks for, made if need be.

    A token that the environment names is kept. Ray itself turns authentication on for a cluster started
    here, and for one that is joined where a token is found.
    """
    if "RAY_AUTH_TOKEN" in os.environ:
        return None
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if named:
        return Path(named)
    if settings.cluster.address is not None:
        return Path.home() / ".ray" / "auth_token"
    path = settings.home / "run" / "ray_token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    return path


def _on_this_machine(address: str | None) -> bool:
    host = (address or "").rpartition(":")[0].removeprefix("ray://")
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _checkout() -> Path:
    return Path(__file__).resolve().parent.parent
