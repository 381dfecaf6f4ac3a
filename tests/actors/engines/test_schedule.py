import pytest

from actors.engines.blocks import Blocks
from actors.engines.schedule import KvPolicy, Plan, Request, Schedule, Window, finish_of
from actors.messages import ContextLengthExceeded, InvalidRequest, Piece, Sampling, Shift, TokenLogprob

SIZE = 4


def request(length: int, max_tokens: int = 10, **more: object) -> Request:
    return Request(list(range(length)), Sampling(max_tokens=max_tokens, temperature=0), **more)  # type: ignore[arg-type]


def schedule(blocks: int = 100, sequences: int = 9, step_tokens: int = 16, **more: object) -> Schedule:
    return Schedule(Blocks(blocks, SIZE), sequences, step_tokens, **more)  # type: ignore[arg-type]


def planned(plan: Plan | None) -> list[tuple[Request, int, int]]:
    assert plan is not None
    return [(one.request, one.start, one.end) for one in plan.stretches]


def answer(one: Schedule, plan: Plan | None) -> None:
    """Land a plan; the next token is always 0."""
    assert plan is not None
    for stretch in one.land(plan):
        if stretch.is_last:
            stretch.request.tokens.append(0)


def step(one: Schedule) -> list[tuple[Request, int, int]]:
    plan = one.plan()
    answer(one, plan)
    return planned(plan)


# --- who runs ---


def test_first_come_first_served_within_the_bounds() -> None:
    some = schedule(sequences=2)
    asked = [request(3) for _ in range(3)]
    for one in asked:
        some.add(one)
    assert planned(some.plan()) == [(asked[0], 0, 3), (asked[1], 0, 3)]
    assert (some.running, list(some.waiting)) == (asked[:2], asked[2:])
    asked[0].cancelled = True
    assert planned(some.plan()) == [(asked[2], 0, 3)]
    assert some.running == asked[1:]


def test_a_prompt_waits_until_its_blocks_are_free() -> None:
    some = schedule(blocks=10)
    asked = [request(24, 4), request(16, 4), request(1, 4)]
    for one in asked:
        some.add(one)
    step(some)
    assert some.running == asked[:1]
    some.remove(asked[0])
    step(some)
    assert some.running == asked[1:]


def test_what_can_never_fit_is_refused() -> None:
    some = schedule(blocks=10)
    some.add(request(30, 10))
    with pytest.raises(ContextLengthExceeded, match=r"41 tokens.* holds 40: raise engine.kv_cache_gib"):
        some.add(request(30, 11))
    some.add(request(40, 11, scoring=True))
    with pytest.raises(InvalidRequest, match="no tokens"):
        some.add(request(0))
    endless = schedule(blocks=10, policy=KvPolicy(window=40, sinks=4))
    endless.add(request(300, 10**6))


def test_users_of_an_adapter_are_counted_those_on_their_way_too() -> None:
    some = schedule(sequences=1)
    asked = [request(3, adapter=adapter) for adapter in ("a", "a", "b", None)]
    for one in asked:
        some.add(one)
    assert [some.users_of(name) for name in "abc"] == [2, 1, 0]
    plan = some.plan()
    assert plan is not None
    some.remove(asked[0])
    assert some.users_of("a") == 2
    some.land(plan)
    assert some.users_of("a") == 1


def test_the_last_to_come_gives_its_blocks_up_and_begins_again_first() -> None:
    some = schedule(blocks=8)
    asked = [request(8, 20), request(8, 20), request(4, 20)]
    for one in asked:
        one.salt = str(id(one))
        some.add(one)
    while all(one.round == 0 for one in asked):
        step(some)
    assert [one.round for one in asked] == [0, 0, 1]
    assert (some.running, list(some.waiting)) == (asked[:2], asked[2:])
    assert asked[2].blocks == []
    assert asked[2].planned == 0


def test_who_began_again_waits_before_those_who_came_later() -> None:
    some = schedule(blocks=8, sequences=3, prefix_cache=False)
    asked = [request(8, 20), request(8, 20), request(4, 20), request(1)]
    for one in asked:
        some.add(one)
    while asked[2].round == 0:
        step(some)
    assert list(some.waiting) == asked[2:]


def test_who_gives_its_blocks_up_leaves_the_plan_it_was_in() -> None:
    some = schedule(blocks=6, lanes=2, prefix_cache=False)
    first, second, third = request(6), request(4), request(4)
    for one in (first, second, third):
        some.add(one)
    step(some)
    plans = [some.plan(), some.plan()]
    assert [len(planned(plan)) for plan in plans] == [2, 1]
    answer(some, plans[0])
    plans.append(some.plan())
    for plan in plans[1:]:
        answer(some, plan)
    assert third.turn < first.turn
    assert planned(some.plan()) == [(first, 8, 9), (second, 6, 7)]
    assert list(some.waiting) == [third]


# --- what is computed ---


def test_prompts_are_read_in_pieces_while_others_generate() -> None:
    some = schedule(step_tokens=16, prefix_cache=False)
    first, second, third = request(5), request(10, adapter="a"), request(6, adapter="a")
    some.add(first)
    assert step(some) == [(first, 0, 5)]
    some.add(second)
    some.add(third)
    assert step(some) == [(first, 5, 6), (second, 0, 4)]
    assert step(some) == [(first, 6, 7), (second, 4, 8)]
    assert step(some) == [(first, 7, 8), (second, 8, 10), (third, 0, 2)]


def test_short_prompts_share_a_step_and_equal_adapters_are_neighbours() -> None:
    some = schedule(step_tokens=16)
    for adapter in ("b", None, "a", "b", None):
        some.add(request(3, adapter=adapter))
    plan = some.plan()
    assert plan is not None
    assert [piece.adapter for piece in plan.pieces] == [None, None, "a", "b", "b"]
    assert [one.request.adapter for one in plan.stretches] == [None, None, "a", "b", "b"]
    assert [one.place for one in plan.stretches] == [0, 1, 2, 3, 4]


def test_the_next_chunk_leaves_before_the_last_one_lands() -> None:
    some = schedule(step_tokens=8, lanes=2)
    one = request(16)
    some.add(one)
    first, second = some.plan(), some.plan()
    assert planned(first) + planned(second) == [(one, 0, 8), (one, 8, 16)]
    assert some.plan() is None
    assert first is not None
    assert [stretch.is_last for stretch in some.land(first)] == [False]
    assert second is not None
    assert [stretch.is_last for stretch in some.land(second)] == [True]


@pytest.mark.parametrize(("lanes", "sizes"), [(1, [5]), (2, [3, 2]), (3, [2, 2, 1])])
def test_generating_requests_are_divided_among_the_lanes(lanes: int, sizes: list[int]) -> None:
    some = schedule(step_tokens=16, lanes=lanes)
    asked = [request(2) for _ in range(5)]
    for one in asked:
        some.add(one)
    step(some)
    plans = [planned(some.plan()) for _ in range(lanes)]
    assert [len(plan) for plan in plans] == sizes
    assert {one for plan in plans for one, _, _ in plan} == set(asked)
    assert some.plan() is None


def test_generating_requests_take_turns() -> None:
    some = schedule(step_tokens=16, lanes=2)
    asked = [request(2) for _ in range(3)]
    for one in asked:
        some.add(one)
    step(some)
    turns = [[one for one, _, _ in step(some)] for _ in range(3)]
    assert turns == [[asked[0], asked[1]], [asked[2], asked[0]], [asked[1], asked[2]]]


@pytest.mark.parametrize(
    ("more", "want"),
    [
        ({}, "token"),
        ({"temperature": 0.5}, "logits"),
        ({"logprobs": 0}, "logits"),
        ({"frequency_penalty": 0.1}, "logits"),
        ({"presence_penalty": 0.1}, "logits"),
        ({"logit_bias": {1: 2.0}}, "logits"),
    ],
)
def test_logits_are_asked_for_only_where_they_are_needed(more: dict[str, object], want: str) -> None:
    some = schedule(step_tokens=4)
    some.add(Request([1, 2, 3, 4, 5], Sampling(**{"temperature": 0, "max_tokens": 9, **more})))  # type: ignore[arg-type]
    wants = []
    for _ in range(2):
        plan = some.plan()
        assert plan is not None
        wants += [piece.want for piece in plan.pieces]
    assert wants == ["nothing", want]


def test_a_grammar_needs_logits() -> None:
    some = schedule()
    some.add(request(3, matcher=object()))
    plan = some.plan()
    assert plan is not None
    assert plan.pieces[0].want == "logits"


def test_scores_are_asked_for_with_the_tokens_that_follow() -> None:
    some = schedule(step_tokens=4)
    some.add(request(6, scoring=True))
    plans = [some.plan(), some.plan()]
    pieces = [piece for plan in plans if plan for piece in plan.pieces]
    assert [(one.tokens, one.want, one.targets) for one in pieces] == [
        ((0, 1, 2, 3), "scores", (1, 2, 3, 4)),
        ((4, 5), "scores", (5,)),
    ]


def test_late_results_do_not_count() -> None:
    some = schedule(lanes=3, step_tokens=4)
    one = request(12)
    some.add(one)
    plans = [plan for plan in (some.plan(), some.plan(), some.plan()) if plan]
    assert len(some.land(plans[0])) == 1
    some.reset()
    assert some.land(plans[1]) == []
    assert (one.planned, one.landed, one.round) == (0, 0, 1)
    again = some.plan()
    assert planned(again) == [(one, 0, 4)]
    assert again is not None
    one.cancelled = True
    assert some.land(again) == []
    assert some.plan() is None
    assert some.running == []


def test_what_was_on_its_way_for_a_removed_request_does_not_count() -> None:
    some = schedule()
    one = request(3)
    some.add(one)
    plan = some.plan()
    assert plan is not None
    some.remove(one)
    assert some.land(plan) == []


def test_a_loss_forgets_what_is_on_its_way_and_what_was_scored() -> None:
    some = schedule(step_tokens=4)
    one = request(8, scoring=True, adapter="a")
    some.add(one)
    some.plan()
    one.scores.append(TokenLogprob(1, -1.0))
    some.reset()
    assert (one.scores, some.users_of("a")) == ([], 1)
    assert planned(some.plan()) == [(one, 0, 4)]


# --- the prefix cache ---


def test_a_known_beginning_is_not_computed_again() -> None:
    some = schedule(step_tokens=64)
    first, second = request(13), request(12)
    some.add(first)
    assert step(some) == [(first, 0, 13)]
    some.add(second)
    assert step(some) == [(first, 13, 14), (second, 8, 12)]
    assert (first.cached, second.cached) == (0, 8)
    assert second.blocks[:2] == first.blocks[:2]


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({"prefix_cache": False}, {}),
        ({"policy": KvPolicy(window=64, sinks=4)}, {}),
        ({}, {"adapter": "other"}),
        ({}, {"salt": "other"}),
        ({}, {"scoring": True}),
    ],
)
def test_where_nothing_is_shared(settings: dict[str, object], more: dict[str, object]) -> None:
    some = schedule(step_tokens=64, **settings)
    first, second = request(13), request(12, **more)
    some.add(first)
    step(some)
    some.add(second)
    assert step(some)[1] == (second, 0, 12)
    assert second.cached == 0


def test_a_forgotten_adapter_shares_nothing_with_its_next_version() -> None:
    some = schedule(step_tokens=64)
    first, second = request(13, adapter="a"), request(13, adapter="a")
    some.add(first)
    step(some)
    some.remove(first)
    some.forget("a")
    some.add(second)
    assert step(some) == [(second, 0, 13)]


def test_a_shared_beginning_is_not_asked_for_twice_at_the_door() -> None:
    some = schedule(blocks=20, step_tokens=64)
    asked = [Request([*range(40), 99], Sampling(max_tokens=12, temperature=0)) for _ in range(3)]
    for one in asked:
        some.add(one)
    for _ in range(12):
        step(some)
    assert some.running == asked
    assert [one.cached for one in asked] == [0, 40, 40]


# --- sinks ---


def test_the_oldest_lot_after_the_sinks_is_dropped_when_the_window_is_full() -> None:
    some = schedule(blocks=10, step_tokens=64, policy=KvPolicy(window=32, sinks=3))
    one = request(40)
    some.add(one)
    assert step(some) == [(one, 0, 32)]
    plan = some.plan()
    assert planned(plan) == [(one, 32, 36)]
    assert plan is not None
    assert plan.shifts == (Shift(((8, 24),), 4),)
    assert plan.pieces == (Piece(tokens=(32, 33, 34, 35), start=28, runs=((0, 4), (8, 28))),)
    assert len(one.blocks) == 8


def test_a_window_without_room_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"engine.window of 64 leaves no room .* set it to 128 or more"):
        Window(KvPolicy(window=64, sinks=48), 16)
    Window(KvPolicy(window=128, sinks=48), 16)


def test_why_a_request_ends() -> None:
    one = request(3, max_tokens=2)
    assert finish_of(one, 7, (9,)) is None
    assert finish_of(one, 9, (9,)) == "stop"
    one.tokens.append(7)
    assert finish_of(one, 7, (9,)) == "length"
    endless = Request([1], Sampling(max_tokens=5, ignore_eos=True))
    assert finish_of(endless, 9, (9,)) is None
