import asyncio
from collections.abc import AsyncIterator

import pytest

from benchmarks.arrivals import Tokens, check, due, play


def test_a_request_is_due_once_the_work_before_it_is_done() -> None:
    assert [due(4, 8, yielded) for yielded in (0, 7, 8, 15, 16, 24, 500)] == [1, 1, 2, 2, 3, 4, 4]
    assert due(4, 0, 0) == 4


def test_arrivals_that_would_never_come_are_refused() -> None:
    check(1, 100, 8)
    check(8, 8, 8)
    with pytest.raises(ValueError, match="never arrive"):
        check(2, 9, 8)


async def test_requests_are_sent_by_tokens_yielded_not_by_time() -> None:
    yielded = 0
    seen: dict[int, int] = {}

    async def stream(index: int, _prompt: Tokens) -> AsyncIterator[int]:
        nonlocal yielded
        seen[index] = yielded
        for _ in range(6):
            await asyncio.sleep(0)
            yielded += 1
            yield 1

    took = await play(stream, [[1], [2], [3]], apart=4)
    assert yielded == 18
    assert seen[0] == 0
    assert 4 <= seen[1] < seen[2]
    assert seen[2] >= 8
    assert len(took.first_s) == 3
    assert all(0 <= first <= took.wall_s for first in took.first_s)
