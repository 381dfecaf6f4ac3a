"""The Ray Serve graph: the same FastAPI application as serve.local, in Serve replicas."""

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.serve as ray_serve
from fastapi import FastAPI
from ray.serve.config import BackpressureConfig, ControllerOptions, HTTPOptions
from ray.serve.schema import LoggingConfig

from actors.compressor import Compressor
from actors.embedder import Embedder
from actors.generator import Generator
from actors.identity import Identity
from actors.jobs import Jobs
from actors.keeper import Keeper
from actors.keepers import routed
from actors.lineage import Lineage
from actors.memory.layout import opened
from actors.messages import EngineFailed, NotReady
from actors.rounds import Loop, Rounds
from actors.spawn import Placement, here, node_id, on_ray, stop
from actors.training.launch import Launcher, Processes
from configs.schema import Settings
from serve.learning import unlearn
from serve.scoring import score_missing
from serve.services import Services
from serve.web import build_app

NAME = "palimpsest"
BESIDE_WORK = 64
"""Requests that may be in a replica beside the working and waiting ones: health, metrics, refusals."""
FEW_HOPS = {
    "RAY_SERVE_PROXY_USE_GRPC": "1",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "100",
}
"""Less than half the CPU time for each streamed chunk, in proxy and replica together, of Serve's defaults."""
PATIENCE = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}
"""A proxy that starts for longer is replaced, and who waits for it fails: 5 s are few for a busy machine."""
GRACE_S = 10
"""What Ray Serve's own limits add to ours, so that ours speak first."""


@ray_serve.ingress()
class Api:
    """One replica: the HTTP application, with the engine, embedder and compressor in its process."""

    def __init__(
        self,
        settings: Settings,
        keeper: Keeper,
        jobs: Jobs,
        lineage: Lineage,
        rounds: Rounds | None,
        generator: Generator | None,
        compressor: Compressor | None,
    ) -> None:
        self._services = Services(
            settings=settings,
            generator=generator or here(Generator, settings),
            embedder=here(Embedder, settings),
            keeper=keeper,
            compressor=compressor or here(Compressor, settings),
            jobs=jobs,
            lineage=lineage,
            rounds=rounds,
        )

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, once its services are loaded, built where they live. Ray Serve calls this."""
        async with asyncio.TaskGroup() as loading:
            services = self._services
            for part in (services.generator, services.embedder, services.compressor, services.keeper):
                loading.create_task(part.start())
            for kept in (services.jobs, services.lineage):
                if kept is not None:
                    loading.create_task(kept.start())
        if services.rounds is not None:
            await services.rounds.start()
        services.filling.wake()
        services.background.start(score_missing(services))
        services.background.start(unlearn(services))
        services.background.start(services.swap.follow())
        return build_app(self._services)

    async def check_health(self) -> None:
        """Ray Serve replaces a replica whose engine is dead. Raises EngineFailed."""
        health = await self._services.generator.health()
        if not health.ok:
            raise EngineFailed(health.detail)


@contextmanager
def deployed(
    settings: Settings, launcher: Launcher | None = None, loop: Loop | None = None
) -> Iterator[None]:
    """The service on the Ray that this process is connected to, for the length of the block.

    `launcher` is where trainings run; without one they are processes of this machine. `loop` is how it
    learns; without one it does not. At the end running answers may go on for `serve.drain_s`. Raises NotReady
    if a replica cannot start or the partitions are not those of the settings, Locked where another process
    has them.
    """
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    with opened(settings.home, settings.memory.partitions) as directories:
        keepers = [_keeper(settings, number, directory) for number, directory in enumerate(directories)]
        apart = settings.serve.generator_placement == "actor"
        generator = on_ray(Generator, settings, placement=_engine_placement(settings)) if apart else None
        compressor = _compressor(settings)
        jobs = _jobs(settings, launcher or Processes(settings.jobs.niceness))
        lineage = _lineage(settings)
        rounds = _rounds(settings, routed(keepers), lineage, launcher, loop)
        try:
            with ThreadPoolExecutor(1, "serve-start") as beside:
                proxy = beside.submit(_start, settings)
                while not (proxy.done() or ray_serve.status().proxies):
                    time.sleep(0.05)
                _run(settings, routed(keepers), jobs, lineage, rounds, generator, compressor)
                proxy.result()
            try:
                yield
            finally:
                _drain(settings)
        finally:
            ray_serve.shutdown()
            for handle in (rounds, jobs, lineage, generator, compressor, *keepers):
                if handle is not None:
                    asyncio.run(stop(handle))


def _keeper(settings: Settings, number: int, directory: Path) -> Keeper:
    return on_ray(
        Keeper,
        directory,
        settings.documents,
        Identity(settings.serve.fixed_clock),
        settings.memory,
        placement=Placement(name=f"keeper-{number}", num_cpus=0, node=node_id()),
    )


def _compressor(settings: Settings) -> Compressor | None:
    """An actor of its own, where the settings want one; None: in each replica."""
    if settings.compression.placement == "replica":
        return None
    return on_ray(Compressor, settings, placement=Placement(name="compressor", num_cpus=0))


def _jobs(settings: Settings, launcher: Launcher) -> Jobs:
    """On this machine, where the files of jobs are."""
    return on_ray(
        Jobs,
        settings,
        launcher,
        Identity(settings.serve.fixed_clock),
        placement=Placement(name="jobs", num_cpus=0, node=node_id()),
    )


def _lineage(settings: Settings) -> Lineage:
    """On this machine, where the files of adapters are."""
    return on_ray(
        Lineage,
        settings,
        Identity(settings.serve.fixed_clock),
        placement=Placement(name="lineage", num_cpus=0, node=node_id()),
    )


def _rounds(
    settings: Settings, keeper: Keeper, lineage: Lineage, launcher: Launcher | None, loop: Loop | None
) -> Rounds | None:
    """On this machine, where the files of rounds are."""
    if loop is None:
        return None
    return on_ray(
        Rounds,
        settings,
        keeper,
        lineage,
        launcher or Processes(settings.loop.niceness),
        loop,
        Identity(settings.serve.fixed_clock),
        placement=Placement(name="rounds", num_cpus=0, node=node_id()),
    )


def _start(settings: Settings) -> None:
    """Ray Serve's controller and proxy; the replica need not wait for them to be ready. Raises NotReady."""
    try:
        ray_serve.start(
            proxy_location="HeadOnly",
            http_options=_http_options(settings),
            logging_config=_logging(),
            controller_options=ControllerOptions(runtime_env={"env_vars": _proxy_env(settings)}),
        )
    except TimeoutError as error:
        raise NotReady(f"Ray Serve did not start: {error}") from error


def _run(
    settings: Settings,
    keeper: Keeper,
    jobs: Jobs,
    lineage: Lineage,
    rounds: Rounds | None,
    generator: Generator | None,
    compressor: Compressor | None,
) -> None:
    api = ray_serve.deployment(Api, **_options(settings, generator is None))
    try:
        ray_serve.run(
            api.bind(settings, keeper, jobs, lineage, rounds, generator, compressor),
            name=NAME,
            logging_config=_logging(),
        )
    except RuntimeError as error:
        raise NotReady(_why(error)) from error


def _drain(settings: Settings) -> None:
    """Let running answers end and turn new requests away: a shutdown alone kills the proxy under them."""
    ray_serve.delete(NAME, _blocking=False)
    deadline = time.monotonic() + settings.serve.drain_s + GRACE_S
    while NAME in ray_serve.status().applications and time.monotonic() < deadline:
        time.sleep(0.1)


def _why(error: RuntimeError) -> str:
    """What the replica itself said, out of Ray Serve's account of it."""
    application = ray_serve.status().applications.get(NAME)
    accounts = [one.message for one in application.deployments.values()] if application else []
    lines = [line.strip() for account in accounts for line in account.splitlines() if "Error: " in line]
    said = lines[-1] if lines else str(error)
    return f"the server did not start: {said}"


def _options(settings: Settings, engine_inside: bool) -> dict[str, Any]:
    serve = settings.serve
    return {
        "name": "Api",
        "num_replicas": settings.cluster.replicas,
        "max_ongoing_requests": serve.max_ongoing_requests + serve.max_queued_requests + BESIDE_WORK,
        "max_queued_requests": BESIDE_WORK,
        "backpressure_config": BackpressureConfig(status_code=503, retry_after_s=serve.retry_after_s),
        "graceful_shutdown_timeout_s": serve.drain_s + GRACE_S,
        "graceful_shutdown_wait_loop_s": 0.2,
        "health_check_period_s": 5,
        "health_check_timeout_s": 30,
        "max_constructor_retry_count": 1,
        "ray_actor_options": {
            "num_cpus": _cpus(settings),
            "num_gpus": _gpus(settings) if engine_inside else 0,
            "runtime_env": {"env_vars": {**FEW_HOPS, "OMP_NUM_THREADS": str(settings.engine.threads)}},
        },
    }


def _engine_placement(settings: Settings) -> Placement:
    return Placement(
        name="generator",
        num_cpus=_cpus(settings),
        num_gpus=_gpus(settings),
        env={"OMP_NUM_THREADS": str(settings.engine.threads)},
    )


def _cpus(settings: Settings) -> float:
    """CPUs for one engine's process; none where the computing is done by shards, which take their own."""
    return 0 if settings.engine.shards > 1 else 1


def _gpus(settings: Settings) -> float:
    """GPUs for one engine's process; none where the cluster has none, or the engine needs none."""
    engine = settings.engine
    if engine.shards > 1:
        return 0
    if engine.kind == "scripted" or engine.device == "cpu" or not ray.cluster_resources().get("GPU"):
        return 0
    return engine.tensor_parallel * engine.pipeline_parallel


def _http_options(settings: Settings) -> HTTPOptions:
    return HTTPOptions(
        host=settings.serve.host,
        port=settings.port,
        request_timeout_s=settings.serve.request_timeout_s + GRACE_S,
        keep_alive_timeout_s=60,
    )


def _logging() -> LoggingConfig:
    return LoggingConfig(log_level="WARNING", enable_access_log=False)


def _proxy_env(settings: Settings) -> dict[str, str]:
    """Environment of Ray Serve's controller and proxy; its edge needs our code, which a far node may lack."""
    env = {**FEW_HOPS, **PATIENCE, "RAY_SERVE_LOG_TO_STDERR": "0"}
    if settings.cluster.address is None:
        env["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] = "serve.edge:middlewares"
    return env
