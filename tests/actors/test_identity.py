"""Ids and times: what makes them alike, and what never does."""

import time
from itertools import combinations

from actors.identity import RANDOM, Identity, reply_id

FIXED = Identity(fixed_clock=1700000000.0)


def test_a_request_sent_again_gets_the_same_reply_id() -> None:
    assert reply_id("chatcmpl-", "ann", "r1", b"{}") == reply_id("chatcmpl-", "ann", "r1", b"{}")


def test_whatever_differs_between_requests_gives_another_reply_id() -> None:
    ids = [
        reply_id("chatcmpl-", "ann", "r1", b"{}"),
        reply_id("cmpl-", "ann", "r1", b"{}"),
        reply_id("chatcmpl-", "bob", "r1", b"{}"),
        reply_id("chatcmpl-", "ann", "r2", b"{}"),
        reply_id("chatcmpl-", "ann", "r1", b"{ }"),
        reply_id("chatcmpl-", "ann", "r1", b"{}", 1),
        reply_id("chatcmpl-", "annr", "1", b"{}"),
        reply_id("chatcmpl-", 'ann", "r1', "", b"{}"),
    ]
    bare = [id.partition("-")[2] for id in ids]
    assert all(one != other for one, other in combinations(bare, 2))


def test_stored_ids_are_random_and_times_the_clocks() -> None:
    assert RANDOM.stored("file-", 1) != RANDOM.stored("file-", 1)
    assert abs(RANDOM.now() - time.time()) < 60


def test_a_fixed_clock_makes_ids_repeatable_and_still_one_for_each_row() -> None:
    assert FIXED.now() == 1700000000.0
    assert FIXED.stored("file-", 1) == Identity(fixed_clock=5.0).stored("file-", 1)
    assert len({FIXED.stored(prefix, row)[-24:] for prefix in ("file-", "vs_") for row in range(9)}) == 18
    assert len(FIXED.stored("file-", 1)) == len(RANDOM.stored("file-", 1))
