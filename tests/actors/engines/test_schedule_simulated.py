"""The schedule against a simulated shard whose keys and values tell what they were computed from."""

from collections import deque
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.engines.blocks import Blocks
from actors.engines.schedule import KvPolicy, Plan, Request, Schedule, finish_of
from actors.messages import ContextLengthExceeded, Piece, Run, Sampling, TokenLogprob

SIZE = 4
VOCABULARY = 211
END = 7
TEXT = Random(0).choices(range(VOCABULARY), k=60)


@dataclass(frozen=True)
class Entry:
    """What is kept of a token: its value depends on all that it attended to."""

    token: int
    index: int
    adapter: str | None
    position: int
    value: int


def value_of(token: int, adapter: str | None, version: int, attended: list[int]) -> int:
    weights = version + 3 if adapter == "a" else len(adapter or "")
    return hash((token, weights, *attended))


def kept_before(index: int, policy: KvPolicy | None) -> list[int]:
    """Which tokens the one at `index` attends to."""
    if policy is None:
        return list(range(index))
    sinks, window = -(-policy.sinks // SIZE) * SIZE, policy.window // SIZE * SIZE
    lot = -(-window // SIZE // 8) * SIZE
    lots = max(0, (index - window) // lot + 1) if index >= window else 0
    return [*range(min(sinks, index)), *range(sinks + lots * lot, index)]


@dataclass
class Ask:
    """A request to be made: `shared` tokens of a common text, then its own."""

    shared: int
    own: list[int]
    max_tokens: int
    seed: int
    adapter: str | None = None
    scoring: bool = False
    greedy: bool = False
    version: int = 0

    def request(self) -> Request:
        sampling = Sampling(
            max_tokens=self.max_tokens, seed=self.seed, temperature=0 if self.greedy else 1, logit_bias={}
        )
        return Request([*TEXT[: self.shared], *self.own], sampling, self.adapter, self.scoring)

    def alone(self, policy: KvPolicy | None) -> tuple[list[int], list[int]]:
        """The tokens and the scores as one sequence by itself gives them."""
        one, values = self.request(), []
        while True:
            index = len(values)
            attended = [values[i] for i in kept_before(index, policy)]
            values.append(value_of(one.tokens[index], self.adapter, self.version, attended))
            if index + 1 < len(one.tokens):
                continue
            if self.scoring:
                return one.tokens, values[:-1]
            if extend(one, values[-1]):
                return one.tokens, []


def extend(one: Request, value: int) -> bool:
    """Pick the next token; whether it was the last."""
    drawn = one.random.randrange(1000) if one.sampling.temperature else 0
    token = (value + drawn) % VOCABULARY
    finish = finish_of(one, token, (END,))
    if finish != "stop":
        one.tokens.append(token)
    return finish is not None


def places(runs: tuple[Run, ...]) -> list[int]:
    return [place for first, length in runs for place in range(first, first + length)]


@dataclass
class Simulation:
    """An engine with a shard that keeps entries by place; steps are computed when they land, in order."""

    schedule: Schedule
    pool: Blocks
    policy: KvPolicy | None
    lanes: int
    step_tokens: int
    crowd: deque[Ask]
    version: int = 0
    kept: dict[int, Entry] = field(default_factory=dict)
    flights: deque[Plan] = field(default_factory=deque)
    asked: dict[Request, Ask] = field(default_factory=dict)
    done: set[Request] = field(default_factory=set)

    def add(self) -> None:
        if not self.crowd:
            return
        ask = self.crowd.popleft()
        one = ask.request()
        ask.version = self.version
        try:
            self.schedule.add(one)
        except ContextLengthExceeded:
            assert self.policy or one.longest > self.pool.count * SIZE
        else:
            self.asked[one] = ask

    def fly(self) -> bool:
        """Start a step if there is a lane and anything to do; whether it did."""
        if len(self.flights) == self.lanes:
            return False
        plan = self.schedule.plan()
        self.check_blocks()
        if plan is None:
            assert self.flights or not (self.schedule.running or self.schedule.waiting)
            return False
        self.check_plan(plan)
        self.flights.append(plan)
        return True

    def check_blocks(self) -> None:
        held = [block for one in self.schedule.running for block in one.blocks]
        assert [self.pool.holders(block) for block in range(self.pool.count)] == [
            held.count(block) for block in range(self.pool.count)
        ]
        assert not any(one.blocks for one in self.schedule.waiting)

    def check_plan(self, plan: Plan) -> None:
        prompts = 0
        for stretch, piece in zip(plan.stretches, plan.pieces, strict=True):
            one = stretch.request
            assert one in self.schedule.running
            assert list(piece.tokens) == one.tokens[stretch.start : stretch.end]
            assert piece.start + len(piece.tokens) == len(places(piece.runs))
            assert all(a[0] + a[1] != b[0] for a, b in zip(piece.runs, piece.runs[1:], strict=False))
            if self.policy:
                assert len(places(piece.runs)) <= self.policy.window
            prompts += len(piece.tokens) if stretch.end < one.prompt_length else 0
        assert prompts <= self.step_tokens
        adapters = [piece.adapter or "" for piece in plan.pieces]
        assert adapters == sorted(adapters)
        writes = [place for one in plan.pieces for place in places(one.runs)[one.start :]]
        assert len(set(writes)) == len(writes)
        for piece in plan.pieces:
            own = places(piece.runs)
            assert not set(own[: piece.start]) & set(writes)

    def land(self) -> None:
        if not self.flights:
            return
        plan = self.flights.popleft()
        for shift in plan.shifts:
            for place in places(shift.runs):
                old = self.kept[place]
                self.kept[place] = Entry(
                    old.token, old.index, old.adapter, old.position - shift.by, old.value
                )
        values = [
            self.compute(stretch.start, piece)
            for stretch, piece in zip(plan.stretches, plan.pieces, strict=True)
        ]
        for stretch in self.schedule.land(plan):
            one, came = stretch.request, values[stretch.place]
            if one.scoring:
                targets = plan.pieces[stretch.place].targets
                one.scores += [TokenLogprob(*pair) for pair in zip(targets, came, strict=False)]
                if stretch.end == len(one.tokens):
                    self.finish(one)
            elif stretch.is_last and extend(one, came[-1]):
                self.finish(one)

    def compute(self, start: int, piece: Piece) -> list[int]:
        """Check that what the piece attends to is what its sequence says, and add its tokens to it."""
        where = places(piece.runs)
        attended = [self.kept[place] for place in where[: piece.start]]
        assert [one.index for one in attended] == kept_before(start, self.policy)[: len(attended)]
        assert [one.position for one in attended] == list(range(piece.start))
        assert all(one.adapter == piece.adapter for one in attended)
        values = [one.value for one in attended]
        for token in piece.tokens:
            position = len(values)
            values.append(value_of(token, piece.adapter, self.version, values))
            index = start + position - piece.start
            self.kept[where[position]] = Entry(token, index, piece.adapter, position, values[-1])
        return values[piece.start :]

    def finish(self, one: Request) -> None:
        self.schedule.remove(one)
        self.done.add(one)
        tokens, scores = self.asked[one].alone(self.policy)
        assert one.tokens == tokens
        assert [score.logprob for score in one.scores] == scores

    def cancel(self) -> None:
        left = [one for one in self.asked if one not in self.done]
        if left:
            left[len(self.done) % len(left)].cancelled = True

    def lose(self) -> None:
        self.kept.clear()
        self.flights.clear()
        self.schedule.reset()

    def reload(self) -> None:
        """A new version of adapter a, once nobody uses the old one."""
        if not self.schedule.users_of("a"):
            self.schedule.forget("a")
            self.version += 1

    def finish_all(self) -> None:
        """Go on to the end, within as many steps as it takes if the first request always gets on."""
        longest = sum(one.longest + 1 for one in self.asked)
        for _ in range(50 + longest * 8):
            if not self.fly():
                self.land()
            if not self.flights and not self.schedule.running and not self.schedule.waiting:
                break
        assert {one for one in self.asked if not one.cancelled} <= self.done
        self.fly()
        assert self.pool.free == self.pool.count


def some_ask(chance: Random) -> Ask:
    return Ask(
        shared=chance.choice([1, 4, 5, 8, 9, 17]),
        own=chance.choices(range(VOCABULARY), k=chance.choice([0, 0, 1, 2, 9])),
        max_tokens=chance.choice([1, 5, 20, 30, 30, 30]),
        seed=chance.randrange(9),
        adapter=chance.choice([None, None, "a", "b"]),
        scoring=chance.random() < 0.15,
        greedy=chance.random() < 0.5,
    )


def some_events(chance: Random) -> list[str]:
    """Weighted so that steps are as often planned as landed, and the pool is mostly full."""
    weights = {"add": 10, "fly": 50, "land": 40, "cancel": 3, "lose": 0.5, "reload": 5}
    return chance.choices(list(weights), list(weights.values()), k=chance.randint(0, 200))


windows = st.builds(
    lambda sinks, more: KvPolicy(window=sinks + 3 * SIZE + more, sinks=sinks),
    st.integers(0, 8),
    st.integers(0, 20),
)


@settings(max_examples=150, deadline=None)
@given(
    blocks=st.integers(9, 18),
    sequences=st.integers(1, 8),
    step_tokens=st.integers(4, 40),
    lanes=st.integers(1, 3),
    policy=st.none() | st.none() | windows,
    seed=st.integers(0, 2**32),
)
def test_everyone_gets_the_tokens_it_would_get_alone(
    blocks: int, sequences: int, step_tokens: int, lanes: int, policy: KvPolicy | None, seed: int
) -> None:
    chance = Random(seed)
    pool = Blocks(blocks, SIZE)
    schedule = Schedule(pool, sequences, step_tokens, lanes, policy)
    crowd = deque(some_ask(chance) for _ in range(chance.randint(1, 16)))
    one = Simulation(schedule, pool, policy, lanes, step_tokens, crowd)
    for event in some_events(chance):
        getattr(one, event)()
    while one.crowd:
        one.add()
    one.finish_all()
