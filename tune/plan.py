"""Foretells what a training needs, how long it takes, how far it can go, before it starts. Knows no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.messages import InvalidRequest
from configs.training import LongContextTraining
from tune.footprint import Model, footprint, read_model, total, trained

GIB = 1024**3
FARTHEST = 1 << 24
"""Tokens beyond which no longest sequence is looked for."""
EFFICIENCY = 0.5
"""Share of a plain matrix product's speed that a step on a CPU reaches."""
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """What one training needs of each rank; sizes in bytes, times in seconds."""

    model: str
    parameters: int
    trained: int
    length: int
    ranks: int
    parts: Mapping[str, int]
    """The peak of one rank, by what takes it."""
    peak: int
    memory: int
    """What there is for one rank."""
    longest: int
    """Tokens of the longest sequence that fits, 0 where none does."""
    tokens: int
    """Of one step."""
    flops: float
    """Of one step, all ranks together."""
    rate: float
    """Floating-point operations a second of one rank, as a matrix product reaches them."""
    step_s: float
    total_s: float

    @property
    def fits(self) -> bool:
        """Whether it can be run."""
        return self.peak <= self.memory


def plan(
    settings: LongContextTraining, path: Path, *, memory: int, rate: float, length: int | None = None
) -> Plan:
    """The plan of a training of the model at `path`, for its longest sequences unless told another length.

    Raises InvalidRequest for a model whose memory cannot be foretold.
    """
    model = read_model(path)
    length = length or settings.longest
    parts = footprint(model, settings, length)
    work = flops(model, settings, length)
    step_s = work / (rate * EFFICIENCY * settings.ranks)
    return Plan(
        model=path.name,
        parameters=model.parameters,
        trained=trained(model, settings),
        length=length,
        ranks=settings.ranks,
        parts=parts,
        peak=total(parts),
        memory=memory,
        longest=longest(model, settings, memory),
        tokens=length * settings.batch * settings.accumulate,
        flops=work,
        rate=rate,
        step_s=step_s,
        total_s=step_s * settings.steps,
    )


def check(
    settings: LongContextTraining, path: Path, *, memory: int | None = None, length: int | None = None
) -> None:
    """Raises InvalidRequest for a training that cannot fit, naming what would; `memory` is of one rank.

    Without `memory` it is what this machine has free, shared by the ranks. Nothing is checked on a GPU then,
    nor for a model whose memory cannot be foretold.
    """
    if memory is None:
        if settings.device == "cuda":
            return
        memory = free(settings.ranks)
    try:
        model = read_model(path)
    except InvalidRequest:
        return
    length = length or settings.longest
    peak = total(footprint(model, settings, length))
    if peak > memory:
        raise InvalidRequest(refusal(model, settings, length, memory), code="does_not_fit")


def refusal(model: Model, settings: LongContextTraining, length: int, memory: int) -> str:
    """What to say of a training that does not fit."""
    peak = total(footprint(model, settings, length))
    said = (
        f"sequences of {length:,} tokens need {_gib(peak)} in each of {settings.ranks} ranks, "
        f"and there are {_gib(memory)}"
        if settings.ranks > 1
        else f"sequences of {length:,} tokens need {_gib(peak)}, and there are {_gib(memory)}"
    )
    fitting = [f"{name} ({_gib(size)})" for name, size in cures(model, settings, length, memory)]
    most = longest(model, settings, memory)
    if most:
        fitting.append(f"length: {most}, the longest that fits as it is")
    if not fitting:
        return f"{said}; nothing here would make it fit: take a smaller model, or more memory"
    return f"{said}. What would fit: {'; '.join(fitting)}"


def cures(model: Model, settings: LongContextTraining, length: int, memory: int) -> Iterator[tuple[str, int]]:
    """Changes of the settings that make a training fit, the mildest first, each with its peak.

    Those that cost only time are tried one by one, then together, then with one of the others.
    """
    mild = {**_when(not settings.checkpointing, checkpointing=True)}
    mild |= _when(not settings.loss_chunk or settings.loss_chunk > CHUNK, loss_chunk=CHUNK)
    mild |= _when(settings.batch > settings.replicas, batch=settings.replicas)
    single = [{name: value} for name, value in mild.items()]
    tried = [*single, mild] if len(single) > 1 else single
    parts = 2 * settings.sequence_parallel
    wider = {"sequence_parallel": parts, "ranks": settings.replicas * parts}
    for other in (_when(settings.method == "full", method="lora"), wider):
        if other:
            tried += [other, {**mild, **other}] if mild else [other]
    seen = False
    for change in tried:
        if seen and len(change) > 1 and change is not wider:
            continue
        size = total(footprint(model, settings.model_copy(update=change), length))
        if size <= memory:
            seen = True
            yield ", ".join(f"{name}: {_yaml(value)}" for name, value in change.items()), size


def longest(model: Model, settings: LongContextTraining, memory: int) -> int:
    """Tokens of the longest sequence that fits, a multiple of what ranks can share; 0 where none does."""
    step = settings.sequence_parallel
    low, high = 0, FARTHEST // step
    while low < high:
        middle = (low + high + 1) // 2
        if total(footprint(model, settings, middle * step)) <= memory:
            low = middle
        else:
            high = middle - 1
    return low * step


def flops(model: Model, settings: LongContextTraining, length: int) -> float:
    """Floating-point operations of one step of all ranks: products with weights, and attention.

    A weight costs 2 a token forward, 2 for what is passed back, 2 for its own gradient if it is trained;
    recomputation adds the first again. Attention is causal, so half of all pairs count, and goes back at
    2.5 times its forward cost.
    """
    tokens = float(length * settings.batch * settings.accumulate)
    weights = model.layers * model.layer
    learned = trained(model, settings) if settings.method == "lora" else weights
    again = settings.checkpointing
    products = (4 + 2 * again) * weights + (4 + 2 * again if settings.method == "lora" else 2) * learned
    if settings.method == "lora":
        products += 2 * learned
    full = settings.method == "full"
    head = (4 + 2 * full + 2 * bool(settings.loss_chunk)) * model.head
    attention = model.layers * 2 * length * model.queries * (3.5 + again)
    return tokens * (products + head + attention)


def free(ranks: int) -> int:
    """Bytes of main memory that each of so many ranks of this machine may take."""
    import psutil

    available = int(psutil.virtual_memory().available)
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (told := limit.read_text().strip()).isdigit():
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        available = min(available, int(told) - used)
    return max(0, available) // ranks


def probe(seconds: float = 1.0) -> float:
    """Floating-point operations a second that this machine reaches in float32 matrix products."""
    import time

    import numpy as np

    size = 1024
    one = np.ones((size, size), np.float32)
    best, until = float("inf"), time.monotonic() + seconds
    while time.monotonic() < until:
        begin = time.perf_counter()
        one @ one
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best


def _when(holds: bool, **change: Any) -> dict[str, Any]:
    return change if holds else {}


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
