from actors.engines.batch import Batch, Request, finish_of
from actors.messages import Sampling


def request(length: int, max_tokens: int = 10, **more: object) -> Request:
    return Request(list(range(length)), Sampling(max_tokens=max_tokens), **more)  # type: ignore[arg-type]


def test_first_come_first_served_within_the_bounds() -> None:
    batch = Batch(max_sequences=2, cache_tokens=1000, step_tokens=8)
    asked = [request(3) for _ in range(3)]
    for one in asked:
        batch.add(one)
    batch.admit()
    assert (batch.running, list(batch.waiting)) == (asked[:2], asked[2:])
    asked[0].cancelled = True
    batch.admit()
    assert batch.running == asked[1:]


def test_the_cache_is_never_promised_twice() -> None:
    batch = Batch(max_sequences=9, cache_tokens=50, step_tokens=8)
    asked = [request(30), request(20), request(1)]
    for one in asked:
        batch.add(one)
    batch.admit()
    assert batch.running == asked[:1]
    batch.remove(asked[0])
    batch.admit()
    assert batch.running == asked[1:]


def test_a_request_larger_than_the_cache_runs_alone() -> None:
    batch = Batch(max_sequences=9, cache_tokens=5, step_tokens=8)
    big = request(30)
    batch.add(big)
    batch.admit()
    assert batch.running == [big]


def test_prompts_are_read_in_pieces_while_others_generate() -> None:
    batch = Batch(max_sequences=9, cache_tokens=1000, step_tokens=8)
    generating, reading, later = request(5), request(20), request(4)
    generating.seen = 4
    for one in (generating, reading, later):
        batch.add(one)
    batch.admit()
    planned = [(one.request, one.start, one.end, one.is_last) for one in batch.plan()]
    assert planned == [(generating, 4, 5, True), (reading, 0, 7, False)]
    reading.seen = 15
    planned = [(one.request, one.start, one.end, one.is_last) for one in batch.plan()]
    assert planned == [(generating, 4, 5, True), (reading, 15, 20, True), (later, 0, 2, False)]


def test_a_full_batch_still_reads_prompts() -> None:
    batch = Batch(max_sequences=99, cache_tokens=1000, step_tokens=8)
    for _ in range(9):
        generating = request(5, 1)
        generating.seen = 4
        batch.add(generating)
    batch.add(request(20))
    batch.admit()
    assert [one.end - one.start for one in batch.plan()] == [1] * 9 + [2]


def test_users_of_an_adapter_are_counted() -> None:
    batch = Batch(max_sequences=1, cache_tokens=1000, step_tokens=8)
    for adapter in ("a", "a", "b", None):
        batch.add(request(3, adapter=adapter))
    batch.admit()
    assert [batch.users_of(name) for name in "abc"] == [2, 1, 0]


def test_why_a_request_ends() -> None:
    one = request(3, max_tokens=2)
    assert finish_of(one, 7, (9,)) is None
    assert finish_of(one, 9, (9,)) == "stop"
    one.tokens.append(7)
    assert finish_of(one, 7, (9,)) == "length"
    endless = Request([1], Sampling(max_tokens=5, ignore_eos=True))
    assert finish_of(endless, 9, (9,)) is None
