"""A plain class behind a handle: in this process, or as a Ray actor. Knows no actor by name."""

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")
NAMESPACE = "palimpsest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and how an actor runs under Ray. `name` makes it one per cluster, found again by that name."""

    name: str | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    max_restarts: int = -1
    max_task_retries: int = 3
    max_concurrency: int = 256
    detached: bool = False
    env: dict[str, str] = field(default_factory=lambda: {"OMP_NUM_THREADS": "1"})


def here(build: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """The object itself, in this process."""
    return build(*args, **kwargs)


def on_ray(cls: type[T], *args: Any, placement: Placement | None = None, **kwargs: Any) -> T:
    """A proxy over a Ray actor of `cls`, typed as `cls`. Ray must be initialised.

    With a placement that has a name, an actor of that name is reused where it lives. Errors raised in the
    actor come out as themselves.
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
    actor = ray.remote(cls).options(**options).remote(*args, **kwargs)
    return cast(T, _Proxy(cls, actor))


async def stop(handle: object) -> None:
    """End what `here` or `on_ray` made: calls its `close` where there is one, then ends the actor."""
    close = getattr(handle, "close", None)
    if close is not None:
        await close()
    if isinstance(handle, _Proxy):
        import ray

        ray.kill(handle._actor)


class _Proxy:
    """Forwards the public async methods of a class to a Ray actor of it."""

    def __init__(self, cls: type, actor: Any) -> None:
        self._cls = cls
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        function = inspect.getattr_static(self._cls, name)
        method = getattr(self._actor, name)
        call = _stream if inspect.isasyncgenfunction(function) else _call

        def forward(*args: Any, **kwargs: Any) -> Any:
            return call(method, args, kwargs)

        return forward

    def __reduce__(self) -> Any:
        return (_Proxy, (self._cls, self._actor))


async def _call(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from ray.exceptions import RayTaskError

    try:
        return await method.remote(*args, **kwargs)
    except RayTaskError as error:
        raise _original(error) from None


async def _stream(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncIterator[Any]:
    import ray
    from ray.exceptions import RayTaskError

    references = method.options(num_returns="streaming").remote(*args, **kwargs)
    try:
        async for reference in references:
            yield await reference
    except RayTaskError as error:
        raise _original(error) from None
    finally:
        ray.cancel(references)


def _original(error: Any) -> BaseException:
    cause = error.cause
    return cause if isinstance(cause, BaseException) else cast(BaseException, error)
