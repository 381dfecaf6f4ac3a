"""Whether an answer is none: empty, going round in circles, of unheard-of length. Knows no model."""

from collections.abc import Sequence

LEAST = 8
"""Fewer tokens are never called a loop."""
LOOKED_AT = 128
"""Tokens at the end of an answer that are looked at."""
REPEATED = 0.95
"""Share of the tokens that stand there again a period earlier."""
TIMES = 3
"""A period must fit in so often."""
LONGER = 4
"""How many times the usual length is unheard of."""
SPARE = 64
"""Tokens that are never too many."""
USUAL = 0.95
"""Share of the answers that are of usual length."""


def is_degenerate(tokens: Sequence[int], spoke: bool, usual: int | None) -> bool:
    """Whether an answer that ended by itself, or at its limit, is none; `usual` is a long usual one's length.

    `spoke`: it has anything but blanks.
    """
    if not tokens or not spoke:
        return True
    if usual is not None and len(tokens) > LONGER * usual + SPARE:
        return True
    return is_loop(tokens)


def is_loop(tokens: Sequence[int]) -> bool:
    """Whether an answer, or its second half, says the same again and again."""
    half = max(len(tokens) // 2, LEAST)
    return _repeats(tokens[-LOOKED_AT:]) or _repeats(tokens[-min(half, LOOKED_AT) :])


def _repeats(end: Sequence[int]) -> bool:
    if len(end) < LEAST:
        return False
    for period in range(1, len(end) // TIMES + 1):
        same = sum(now == before for now, before in zip(end[period:], end, strict=False))
        if same >= REPEATED * (len(end) - period):
            return True
    return False


def usual_length(lengths: Sequence[int]) -> int:
    """The length that most answers keep within."""
    return sorted(lengths)[int(USUAL * (len(lengths) - 1))]
