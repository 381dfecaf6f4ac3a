"""A plain class behind a handle: in this process, or as a Ray actor. Knows no actor by name."""

import asyncio
import contextlib
import functools
import inspect
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from actors.messages import Gone, NotReady

T = TypeVar("T")
NAMESPACE = "palimpsest"


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a placement group, and the node where Ray put it."""

    group: Any
    bundle: int
    node: str
    free_bytes: int
    """Memory that the node had left when asked, divided by the places on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and how an actor runs under Ray. `name` makes it one per cluster, found again by that name."""

    name: str | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    max_restarts: int = -1
    max_task_retries: int = 3
    """How often a call is repeated whose actor died under it; a stream is never repeated."""
    max_concurrency: int = 256
    detached: bool = False
    place: Place | None = None
    """Where the actor runs and comes back to; without it wherever Ray likes."""
    node: str | None = None
    """Ray node (see `node_id`) that it runs on and comes back to, because its files are there."""
    env: dict[str, str] = field(default_factory=lambda: {"OMP_NUM_THREADS": "1"})


def here(build: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """The object itself, in this process."""
    return build(*args, **kwargs)


def on_ray(cls: type[T], *args: Any, placement: Placement | None = None, **kwargs: Any) -> T:
    """A proxy over a Ray actor of `cls`, typed as `cls`. Ray must be initialised.

    Where the placement has a name, a living actor of that name is reused. `start`, where the class has it,
    runs once per process of the actor however often it is called, and by itself after Ray restarted the
    actor. Errors raised in the actor come out as themselves; Gone tells that the actor is gone.
    """
    import ray

    placement = placement or Placement()
    options: dict[str, Any] = {
        "num_cpus": placement.num_cpus,
        "num_gpus": placement.num_gpus,
        "max_restarts": placement.max_restarts,
        "max_task_retries": placement.max_task_retries,
        "max_concurrency": placement.max_concurrency,
        "runtime_env": {"env_vars": dict(placement.env)},
        "namespace": NAMESPACE,
    }
    if placement.name:
        options |= {"name": placement.name, "get_if_exists": True}
    if placement.detached:
        options |= {"lifetime": "detached"}
    if placement.place is not None:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
            placement.place.group, placement_group_bundle_index=placement.place.bundle
        )
    elif placement.node is not None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(placement.node, soft=False)
    actor = ray.remote(_hosted(cls)).options(**options).remote(*args, **kwargs)
    return cast(T, _Proxy(cls, actor, placement.name))


async def stop(handle: object) -> None:
    """End what `here` or `on_ray` made: calls its `close` where there is one, then ends the actor."""
    close = getattr(handle, "close", None)
    if close is not None:
        await close()
    if isinstance(handle, _Proxy):
        import ray

        ray.kill(handle._actor)


def connected() -> bool:
    """Whether this process belongs to a Ray cluster."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


async def places(
    count: int, *, num_cpus: float = 1, num_gpus: float = 0, patience_s: float = 60, apart: bool = True
) -> tuple[Place, ...]:
    """Room for `count` actors: one a node where there are nodes enough (`apart`), else close together.

    A place whose node is lost moves to another one. Raises NotReady if there is no room within `patience_s`.
    """
    import ray
    from ray.util import placement_group, placement_group_table, remove_placement_group

    need = {"CPU": num_cpus} | ({"GPU": num_gpus} if num_gpus else {})
    able = [
        node
        for node in ray.nodes()
        if node["Alive"] and all(node["Resources"].get(name, 0) >= amount for name, amount in need.items())
    ]
    strategy = "STRICT_SPREAD" if apart and 1 < count <= len(able) else "PACK"
    group = placement_group([need] * count, strategy=strategy)
    if not await asyncio.to_thread(group.wait, patience_s):
        remove_placement_group(group)
        raise NotReady(
            f"no room for {count} actors of {need} each: the cluster has {ray.available_resources()} left"
        )
    nodes = placement_group_table(group)["bundles_to_node_id"]
    crowd = Counter(nodes.values())
    free = dict(zip(crowd, await asyncio.gather(*(_free_on(node) for node in crowd)), strict=True))
    return tuple(
        Place(group, bundle, nodes[bundle], free[nodes[bundle]] // crowd[nodes[bundle]])
        for bundle in range(count)
    )


def give_up(taken: Sequence[Place]) -> None:
    """Free the room that `places` took; what still runs there is ended."""
    from ray.util import remove_placement_group

    for group in {place.group.id: place.group for place in taken}.values():
        remove_placement_group(group)


async def relay(stages: Sequence[object], method: str, message: object) -> Any:
    """Call `method(message, result of the stage before)` of each stage in turn; returns the last result.

    Between Ray actors a result goes straight from one to the next. Nothing is repeated if one dies.
    """
    if not all(isinstance(stage, _Proxy) for stage in stages):
        result = None
        for stage in stages:
            result = await getattr(stage, method)(message, result)
        return result
    proxies = [stage for stage in stages if isinstance(stage, _Proxy)]
    return await _call(proxies[0]._cls.__name__, _Relay([one._actor for one in proxies], method), message)


class _Relay:
    """Several actors' calls of one method that look like one call."""

    def __init__(self, actors: Sequence[Any], method: str) -> None:
        self._methods = [getattr(actor, method).options(max_task_retries=0) for actor in actors]

    def remote(self, message: object) -> Any:
        reference = None
        for method in self._methods:
            reference = method.remote(message, reference)
        return reference


async def _free_on(node: str) -> int:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    probe = ray.remote(num_cpus=0, scheduling_strategy=strategy)(free_bytes)
    return int(await probe.remote())


def free_bytes() -> int:
    """Main memory that can be had now on this machine; all there is where that is not told (macOS)."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


class _Proxy:
    """Forwards the public async methods of a class to a Ray actor of it."""

    def __init__(self, cls: type, actor: Any, name: str | None = None) -> None:
        self._cls = cls
        self._actor = actor
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        function = inspect.getattr_static(self._cls, name)
        method = getattr(self._actor, name)
        call = _stream if inspect.isasyncgenfunction(function) else _call
        return functools.partial(call, self._cls.__name__, method)

    def __reduce__(self) -> Any:
        """By name where there is one: what an actor is made from must not hang on objects of Ray's store."""
        if self._name is not None:
            return (_named, (self._cls, self._name))
        return (_Proxy, (self._cls, self._actor))


def _named(cls: type, name: str) -> _Proxy:
    import ray

    return _Proxy(cls, ray.get_actor(name, namespace=NAMESPACE), name)


async def _call(actor: str, method: Any, /, *args: Any, **kwargs: Any) -> Any:
    from ray.exceptions import ObjectLostError, RayActorError, RayTaskError

    try:
        return await method.remote(*args, **kwargs)
    except RayTaskError as error:
        if isinstance(error.cause, RayActorError | ObjectLostError):
            raise _gone(actor) from error
        raise _original(error) from error
    except (RayActorError, ObjectLostError) as error:
        raise _gone(actor) from error


async def _stream(actor: str, method: Any, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    import ray
    from ray.exceptions import RayActorError, RayTaskError

    references = method.options(num_returns="streaming", max_task_retries=0).remote(*args, **kwargs)
    try:
        async for reference in references:
            yield await reference
    except RayTaskError as error:
        raise _original(error) from error
    except RayActorError as error:
        raise _gone(actor) from error
    finally:
        ray.cancel(references)


def _original(error: Any) -> BaseException:
    cause = error.cause
    return cause if isinstance(cause, BaseException) else cast(BaseException, error)


def _gone(actor: str) -> Gone:
    return Gone(f"the {actor} died or is being restarted; try again in a few seconds")


class _Host:
    """What runs in the actor's process: an object of the class, started at most once."""

    _build: Callable[..., Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._object = self._build(*args, **kwargs)
        self._starting = asyncio.Lock()
        self._started = not hasattr(self._object, "start")

    async def _start(self) -> None:
        async with self._starting:
            if not self._started:
                await self._object.start()
                self._started = True

    async def _start_if_restarted(self) -> None:
        import ray

        if not self._started and ray.get_runtime_context().was_current_actor_reconstructed:
            await self._start()


def _hosted(cls: type) -> type:
    """A class of the same name and methods as `cls`, for Ray, over an object of `cls`."""
    members: dict[str, Any] = {"_build": staticmethod(cls), "__doc__": cls.__doc__}
    for name, function in inspect.getmembers(cls, inspect.isfunction):
        if name == "start":
            members[name] = _Host._start
        elif inspect.isasyncgenfunction(function) and not name.startswith("_"):
            members[name] = _hosted_stream(function)
        elif inspect.iscoroutinefunction(function) and not name.startswith("_"):
            members[name] = _hosted_call(function)
    return type(cls.__name__, (_Host,), members)


def _hosted_call(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(self: _Host, *args: Any, **kwargs: Any) -> Any:
        await self._start_if_restarted()
        return await function(self._object, *args, **kwargs)

    return call


def _hosted_stream(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def stream(self: _Host, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        await self._start_if_restarted()
        async with contextlib.aclosing(function(self._object, *args, **kwargs)) as items:
            async for item in items:
                yield item

    return stream


def gpus() -> int:
    """GPUs of the Ray cluster that this process belongs to."""
    import ray

    return int(ray.cluster_resources().get("GPU", 0))


def meeting_point() -> str:
    """Where processes of other nodes may meet this one: its node's address, and a port that is free."""
    import ray

    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("", 0))
        return f"{ray.util.get_node_ip_address()}:{listener.getsockname()[1]}"


def node_id() -> str:
    """The Ray node that this process is on; the host's name without Ray."""
    if not connected():
        return socket.gethostname()
    import ray

    return str(ray.get_runtime_context().get_node_id())
