import pytest

from actors.engines.split import GIB, Parts, span_bytes, split
from actors.messages import NotReady, Span

SMOL = Parts(embedding=28, layers=(3.5,) * 30, head=28, tied=True)  # type: ignore[arg-type]


def test_one_shard_holds_the_tied_embedding_once() -> None:
    (span,) = split(SMOL, 1)
    assert span == Span(0, 30, 30)
    assert span_bytes(SMOL, span) == 28 + 105


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shards_are_of_like_size(count: int) -> None:
    spans = split(SMOL, count)
    assert [span.first for span in spans] == [0, *(span.end for span in spans[:-1])]
    assert spans[-1].end == 30
    sizes = [span_bytes(SMOL, span) for span in spans]
    assert max(sizes) <= sum(sizes) / count + 3.5 / 2 * 2
    if count < 5:
        assert max(sizes) / 133 <= 1 / count + 0.15


def test_more_memory_takes_more_layers() -> None:
    parts = Parts(embedding=0, layers=(GIB,) * 12, head=0)
    spans = split(parts, 2, [4 * GIB, 12 * GIB])
    assert [span.end - span.first for span in spans] == [3, 9]


def test_says_how_much_is_missing() -> None:
    parts = Parts(embedding=0, layers=(GIB,) * 4, head=0)
    with pytest.raises(NotReady, match=r"shard 0 .* needs 2\.00 GiB and has 1\.50 GiB, 0\.50 GiB too little"):
        split(parts, 2, [3 * GIB // 2, 3 * GIB // 2])


def test_more_shards_than_layers() -> None:
    with pytest.raises(NotReady, match="only 30 layers"):
        split(SMOL, 31)
