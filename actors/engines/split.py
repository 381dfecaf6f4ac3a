"""Which layers go to which shard, by bytes and by free memory. Decides only; knows no torch and no Ray."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from actors.messages import NotReady, Span

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Parts:
    """Bytes of a model's parts as they lie in memory; `layers` in order, each with its share of the cache."""

    embedding: int
    layers: tuple[int, ...]
    head: int
    """Last norm and output head; where the head is the embedding again, as much as the embedding."""
    tied: bool = False
    """Whether the head is the embedding itself, so that one shard alone holds it once."""


def split(parts: Parts, count: int, free: Sequence[int] | None = None) -> tuple[Span, ...]:
    """Contiguous spans, one a shard, that make the fullest shard as empty as possible.

    `free` is the memory in bytes that each shard has to itself; without it all are taken to have the same.
    Raises NotReady where there are more shards than layers, or where it cannot fit, saying what is missing.
    """
    total = len(parts.layers)
    if count > total:
        raise NotReady(f"engine.shards is {count}, but the model has only {total} layers")
    room = tuple(free) if free is not None else (1,) * count
    ends = _best_ends(parts, count, room)
    spans = tuple(Span(first, end, total) for first, end in zip((0, *ends[:-1]), ends, strict=True))
    if free is not None:
        _check(parts, spans, room)
    return spans


def span_bytes(parts: Parts, span: Span) -> int:
    """Bytes that a shard of this span holds."""
    size = sum(parts.layers[span.first : span.end])
    if span.embeds and span.predicts and parts.tied:
        return size + max(parts.embedding, parts.head)
    return size + parts.embedding * span.embeds + parts.head * span.predicts


def _best_ends(parts: Parts, count: int, room: Sequence[int]) -> tuple[int, ...]:
    """Dynamic programme: for each number of shards and layers, the least share of the fullest shard."""
    total = len(parts.layers)
    before = (0, *accumulate(parts.layers))

    def share(shard: int, first: int, end: int) -> float:
        size = before[end] - before[first]
        if count == 1 and parts.tied:
            size += max(parts.embedding, parts.head)
        else:
            size += parts.embedding * (first == 0) + parts.head * (end == total)
        return size / max(room[shard], 1)

    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for shard in range(count):
        left = count - shard - 1
        step: dict[int, tuple[float, tuple[int, ...]]] = {}
        for first, (worst, ends) in best.items():
            for end in range(first + 1, total - left + 1) if left else (total,):
                candidate = (max(worst, share(shard, first, end)), (*ends, end))
                step[end] = min(step.get(end, candidate), candidate)
        best = step
    return best[total][1]


def _check(parts: Parts, spans: Sequence[Span], free: Sequence[int]) -> None:
    sizes = [span_bytes(parts, span) for span in spans]
    lacking = [
        f"shard {number} (layers {span.first} to {span.end - 1}) needs {size / GIB:.2f} GiB"
        f" and has {room / GIB:.2f} GiB, {(size - room) / GIB:.2f} GiB too little"
        for number, (span, size, room) in enumerate(zip(spans, sizes, free, strict=True))
        if size > room
    ]
    if lacking:
        raise NotReady(
            "the model does not fit: "
            + "; ".join(lacking)
            + ". Use more shards (engine.shards), a smaller engine.kv_cache_gib, or engine.quantize"
        )
