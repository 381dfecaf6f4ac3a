from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.engines.blocks import Blocks, grow, root, runs_of


def published(blocks: Blocks, tokens: list[int], salt: str = "", after: int | None = None) -> list[int]:
    """Blocks that hold `tokens`, known to the prefix cache."""
    taken = blocks.take(len(tokens) // blocks.size, after)
    assert taken is not None
    key = root(salt)
    for place, block in enumerate(taken):
        part = tokens[place * blocks.size : (place + 1) * blocks.size]
        key = blocks.publish(salt, key, part, block)
    return taken


def test_all_or_nothing_is_taken() -> None:
    blocks = Blocks(4)
    assert blocks.take(5) is None
    assert blocks.take(3) == [0, 1, 2]
    assert blocks.free == 1
    assert blocks.take(2) is None
    assert blocks.free == 1


def test_a_sequence_grows_next_to_its_last_block() -> None:
    blocks = Blocks(100)
    first = blocks.take(2, room=10)
    second = blocks.take(2, room=10)
    assert first is not None
    assert second is not None
    for _ in range(10):
        first += blocks.take(1, first[-1]) or []
        second += blocks.take(1, second[-1]) or []
    assert len(runs_of(first, 12 * 16, 16)) == len(runs_of(second, 12 * 16, 16)) == 1


def test_sixteen_sequences_stay_in_one_piece_each() -> None:
    blocks = Blocks(16 * 40)
    held = [blocks.take(8, room=24) or [] for _ in range(16)]
    for _ in range(24):
        for one in held:
            one += blocks.take(1, one[-1]) or []
    assert [len(runs_of(one, 32 * 16, 16)) for one in held] == [1] * 16


def test_the_smallest_gap_with_room_is_chosen_else_the_largest() -> None:
    blocks = Blocks(40)
    held = blocks.take(40)
    assert held is not None
    blocks.release([0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    assert blocks.take(1, room=2) == [0]
    taken = blocks.take(11)
    assert taken is not None
    assert set(taken) == {1, 2, *range(10, 20)} - {blocks.take(1)[0]}  # type: ignore[index]


def test_a_known_beginning_is_shared() -> None:
    blocks = Blocks(8, size=4)
    tokens = list(range(12))
    held = published(blocks, tokens)
    assert blocks.match("", tokens[:11])[0] == held[:2]
    assert blocks.match("", [*tokens[:4], 99, *tokens[5:]])[0] == held[:1]
    assert blocks.match("", tokens[4:])[0] == []
    assert [blocks.holders(block) for block in held] == [3, 2, 1]
    assert blocks.shared("", tokens) == 3


def test_the_next_block_is_published_after_a_match() -> None:
    blocks = Blocks(8, size=2)
    published(blocks, [1, 2, 3, 4])
    _, key = blocks.match("", [1, 2, 3, 4, 5, 6])
    block = blocks.take(1)
    assert block is not None
    blocks.publish("", key, [5, 6], block[0])
    assert len(blocks.match("", [1, 2, 3, 4, 5, 6])[0]) == 3


def test_salts_share_nothing_and_are_forgotten_alone() -> None:
    blocks = Blocks(9, size=2)
    mine = published(blocks, [1, 2, 3, 4], "mine")
    other = published(blocks, [1, 2, 3, 4], "other")
    assert blocks.match("", [1, 2])[0] == []
    blocks.release(mine)
    blocks.forget("mine")
    assert blocks.match("mine", [1, 2, 3, 4])[0] == []
    assert blocks.match("other", [1, 2, 3, 4])[0] == other


def test_what_is_known_twice_is_kept_once() -> None:
    blocks = Blocks(9, size=2)
    first = published(blocks, [1, 2, 3, 4])
    second = published(blocks, [1, 2, 3, 4])
    assert blocks.match("", [1, 2, 3, 4])[0] == first
    blocks.release(second)
    assert blocks.free == 9 - 2


def test_released_blocks_stay_known_until_they_are_needed_the_oldest_ends_first() -> None:
    blocks = Blocks(4, size=2)
    old, new = published(blocks, [1, 2, 3, 4]), published(blocks, [5, 6, 7, 8])
    blocks.release(old)
    blocks.release(new)
    assert blocks.free == 4
    assert blocks.take(1) == [old[1]]
    assert blocks.match("", [5, 6, 7, 8])[0] == new
    assert blocks.match("", [1, 2, 3, 4])[0] == old[:1]


def test_an_old_cached_block_in_the_way_goes_a_recent_one_stays() -> None:
    blocks = Blocks(16, size=1)
    whole = blocks.take(12)
    assert whole == list(range(12))
    for block in whole:
        blocks.publish("", root(""), [block], block)
    for block in (1, 2, 3, 4, 6, 7, 8, 9, 11):
        blocks.release([block])
    assert blocks.take(1, 0) == [1]
    assert blocks.take(1, 10) != [11]
    assert blocks.match("", [1])[0] == []
    assert blocks.match("", [11])[0] == [11]


def test_a_digest_alone_is_not_believed() -> None:
    blocks = Blocks(4, size=2)
    held = published(blocks, [1, 2])
    content = blocks._contents[held[0]]
    blocks._contents[held[0]] = content._replace(tokens=b"other tokens")
    assert blocks.match("", [1, 2])[0] == []


def test_clearing_forgets_all() -> None:
    blocks = Blocks(4, size=2)
    published(blocks, [1, 2, 3, 4])
    blocks.clear()
    assert blocks.free == 4
    assert blocks.match("", [1, 2, 3, 4])[0] == []


def test_runs_join_neighbours_and_end_with_the_last_token() -> None:
    assert runs_of([3, 4, 9], 41, 16) == ((48, 32), (144, 9))
    assert runs_of([], 0, 16) == ()
    runs = [(0, 16)]
    grow(runs, [1, 5], 16)
    assert runs == [(0, 32), (80, 16)]


class BlocksMachine(RuleBasedStateMachine):
    """Blocks against plain lists of who holds what, and what each block was last published with."""

    COUNT, SIZE = 12, 2

    def __init__(self) -> None:
        super().__init__()
        self.blocks = Blocks(self.COUNT, self.SIZE)
        self.held: list[list[int]] = []
        self.content: dict[int, tuple[str, tuple[int, ...]]] = {}

    @rule(wanted=st.integers(0, 6), room=st.integers(0, 6), behind=st.integers(0, 20))
    def take(self, wanted: int, room: int, behind: int) -> None:
        after = self.held[behind][-1] if behind < len(self.held) and self.held[behind] else None
        before = self.blocks.free
        taken = self.blocks.take(wanted, after, room)
        assert (taken is None) == (wanted > before)
        if taken is not None:
            used = {block for one in self.held for block in one}
            assert len(set(taken)) == wanted
            assert not used & set(taken)
            self.held.append(taken)
            for block in taken:
                self.content.pop(block, None)

    @rule(tokens=st.lists(st.integers(0, 1), max_size=8), salt=st.sampled_from(["", "a"]))
    def match_and_grow(self, tokens: list[int], salt: str) -> None:
        held, key = self.blocks.match(salt, tokens)
        for place, block in enumerate(held):
            assert self.content[block] == (salt, tuple(tokens[: (place + 1) * self.SIZE]))
        fresh = self.blocks.take(len(tokens) // self.SIZE - len(held), held[-1] if held else None) or []
        for block in fresh:
            end = (len(held) + 1) * self.SIZE
            self.content[block] = (salt, tuple(tokens[:end]))
            key = self.blocks.publish(salt, key, tokens[end - self.SIZE : end], block)
            held.append(block)
        self.held.append(held)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 100))
    def release(self, which: int) -> None:
        self.blocks.release(self.held.pop(which % len(self.held)))

    @rule()
    def forget(self) -> None:
        self.blocks.forget("a")
        self.content = {block: what for block, what in self.content.items() if what[0] != "a"}

    @invariant()
    def every_block_is_held_or_free(self) -> None:
        flat = [block for one in self.held for block in one]
        assert all(self.blocks.holders(block) == flat.count(block) for block in range(self.COUNT))
        assert self.blocks.free == self.COUNT - len(set(flat))


TestBlocksMachine = BlocksMachine.TestCase
TestBlocksMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
