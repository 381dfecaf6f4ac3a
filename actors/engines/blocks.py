"""A pool of key-value blocks: which are held, which hold a known beginning. Knows no sequence, no torch."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from actors.messages import Run

RESERVE = 8
"""One part in so many of the pool is kept free of cached blocks, so that new sequences find neighbours."""
TOKEN_BYTES = 8
LOOKED_AT = 512
"""Gaps among which a place is chosen, those that changed last: a bound on the time it takes."""


class Blocks:
    """`count` blocks of `size` places, counted by reference.

    A block that nobody holds may stay cached; when blocks run short, those let go longest ago are reused.
    A cached block is found by the digest of all tokens up to its end, and believed only if its own tokens
    and the digest before them are those asked for. Place p of block b is number `b * size + p` of the pool.
    """

    def __init__(self, count: int, size: int = 16) -> None:
        self.count = count
        self.size = size
        self.clear()

    def clear(self) -> None:
        """All blocks are free and hold nothing."""
        self._holders = [0] * self.count
        self._gaps = _Gaps(self.count)
        self._idle: dict[int, int] = {}
        self._released = 0
        self._cached: dict[bytes, int] = {}
        self._keys: dict[int, bytes] = {}
        self._contents: dict[int, _Content] = {}

    @property
    def free(self) -> int:
        """Blocks that can be taken, those that are cached included."""
        return self._gaps.count + len(self._idle)

    def holders(self, block: int) -> int:
        """How often a block is held."""
        return self._holders[block]

    # --- taking and releasing ---

    def take(self, wanted: int, after: int | None = None, room: int = 0) -> list[int] | None:
        """Hold `wanted` free blocks: next to `after`, a held one, or else where `room` more may follow.

        Returns None, and takes nothing, if there are not so many.
        """
        if wanted > self.free:
            return None
        taken = [] if after is None else self._next_to(after, wanted)
        self._evict(wanted - len(taken) + self.count // RESERVE - self._gaps.count)
        while len(taken) < wanted:
            taken += self._place(wanted - len(taken), room)
        for block in taken:
            self._holders[block] = 1
        return taken

    def release(self, blocks: Sequence[int]) -> None:
        """Let go of blocks, in their sequence's order: the last ones are forgotten first."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if self._holders[block]:
                continue
            if block in self._contents:
                self._released += 1
                self._idle[block] = self._released
            else:
                self._gaps.add(block)

    def _next_to(self, after: int, wanted: int) -> list[int]:
        """Up to `wanted` blocks that follow `after`; a cached one in the way goes if it is rather old."""
        taken: list[int] = []
        while len(taken) < wanted:
            block = after + 1 + len(taken)
            if self._is_old(block):
                self._drop(block)
            fresh = self._gaps.cut(block, block, wanted - len(taken))
            if not fresh:
                break
            taken += fresh
        return taken

    def _is_old(self, block: int) -> bool:
        """Whether a block is idle, and since longer than half the time since the oldest idle one is."""
        since = self._idle.get(block)
        if since is None:
            return False
        oldest = next(iter(self._idle.values()))
        return since - oldest <= (self._released - oldest) // 2

    def _place(self, wanted: int, room: int) -> list[int]:
        """Blocks of the gap that suits best: the smallest with room enough, else the one with most.

        Behind a block in use only the farther half counts, because its sequence may grow there.
        """
        best, best_rank, best_claimed = (0, 0), (2, 0), False
        for start, end in islice(self._gaps.latest(), LOOKED_AT):
            claimed = start > 0 and self._holders[start - 1] > 0
            space = (end - start + 1) // 2 if claimed else end - start
            rank = (0, space) if space >= wanted + room else (1, -space)
            if rank < best_rank:
                best, best_rank, best_claimed = (start, end), rank, claimed
        start, end = best
        number = min(wanted, end - start)
        ahead = min(room, (end - start - number) // 2)
        return self._gaps.cut(start, end - number - ahead if best_claimed else start, number)

    # --- the prefix cache ---

    def match(self, salt: str, tokens: Sequence[int]) -> tuple[list[int], bytes]:
        """Hold the cached blocks that `tokens` begin with; with the key to publish the next block after."""
        blocks, key = self._find(salt, tokens)
        for block in blocks:
            self._holders[block] += 1
            self._idle.pop(block, None)
        return blocks, key

    def shared(self, salt: str, tokens: Sequence[int]) -> int:
        """How many of the cached blocks that `tokens` begin with are in use anyway."""
        return sum(self._holders[block] > 0 for block in self._find(salt, tokens)[0])

    def publish(self, salt: str, parent: bytes, tokens: Sequence[int], block: int) -> bytes:
        """Make a full block known that a caller holds; returns its key. One that is known already stays.

        `parent` is the key of the block before, or `root(salt)`.
        """
        content = _Content(salt, parent, _packed(tokens))
        key = _digest(parent, content.tokens)
        if key not in self._cached and block not in self._contents:
            self._cached[key] = block
            self._keys[block] = key
            self._contents[block] = content
        return key

    def forget(self, salt: str) -> None:
        """Drop what is cached under a salt."""
        for block in [block for block, content in self._contents.items() if content.salt == salt]:
            self._drop(block)

    def _find(self, salt: str, tokens: Sequence[int]) -> tuple[list[int], bytes]:
        blocks: list[int] = []
        packed = _packed(tokens)
        width = self.size * TOKEN_BYTES
        key = root(salt)
        for start in range(0, len(packed) - width + 1, width):
            content = _Content(salt, key, packed[start : start + width])
            next_key = _digest(key, content.tokens)
            block = self._cached.get(next_key)
            if block is None or self._contents[block] != content:
                break
            blocks.append(block)
            key = next_key
        return blocks, key

    def _evict(self, number: int) -> None:
        """Free up to `number` of the blocks that were let go longest ago."""
        for _ in range(min(number, len(self._idle))):
            self._drop(next(iter(self._idle)))

    def _drop(self, block: int) -> None:
        """Forget what a block holds; if nobody holds it, it is free."""
        del self._contents[block], self._cached[self._keys.pop(block)]
        if self._idle.pop(block, None) is not None:
            self._gaps.add(block)


class _Content(NamedTuple):
    """What a cached block holds: its tokens, and the key of all before them."""

    salt: str
    parent: bytes
    tokens: bytes


class _Gaps:
    """Free blocks as the longest possible gaps from a start to an end (exclusive)."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._end_of = {0: count} if count else {}
        self._start_of = {count: 0} if count else {}

    def latest(self) -> Iterator[tuple[int, int]]:
        """Start and end of each gap, those that changed last first."""
        return reversed(self._end_of.items())

    def add(self, block: int) -> None:
        """A block that was not free now is."""
        start = self._start_of.pop(block, block)
        end = self._end_of.pop(block + 1, block + 1)
        self._end_of[start] = end
        self._start_of[end] = start
        self.count += 1

    def cut(self, gap: int, first: int, number: int) -> list[int]:
        """Take up to `number` blocks from `first` on out of the gap that starts at `gap`, if one does."""
        end = self._end_of.get(gap, first)
        until = min(first + number, end)
        if until <= first:
            return []
        del self._end_of[gap], self._start_of[end]
        for left, right in ((gap, first), (until, end)):
            if left < right:
                self._end_of[left] = right
                self._start_of[right] = left
        self.count -= until - first
        return list(range(first, until))


def root(salt: str) -> bytes:
    """The key before the first block of a sequence. Sequences of different salts share nothing."""
    return blake2b(salt.encode(), digest_size=32).digest()


def _packed(tokens: Sequence[int]) -> bytes:
    return array("q", tokens).tobytes()


def _digest(parent: bytes, tokens: bytes) -> bytes:
    return blake2b(parent + tokens, digest_size=32).digest()


def grow(runs: list[Run], blocks: Iterable[int], size: int) -> None:
    """Add the places of whole blocks to the end of `runs`; neighbours become one run."""
    for block in blocks:
        first = block * size
        if runs and runs[-1][0] + runs[-1][1] == first:
            runs[-1] = (runs[-1][0], runs[-1][1] + size)
        else:
            runs.append((first, size))


def runs_of(blocks: Iterable[int], tokens: int, size: int) -> tuple[Run, ...]:
    """The places of `tokens` tokens in blocks that are just enough for them."""
    runs: list[Run] = []
    grow(runs, blocks, size)
    return shortened(runs, sum(length for _, length in runs) - tokens)


def shortened(runs: Sequence[Run], spare: int) -> tuple[Run, ...]:
    """Runs without their last `spare` places, all of which are in the last run."""
    if not runs:
        return ()
    first, length = runs[-1]
    return (*runs[:-1], (first, length - spare))
