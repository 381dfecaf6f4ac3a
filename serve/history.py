"""Which parts of a conversation may be made shorter, and how far so that it fits. Knows no policy.

System messages, tool results, calls, JSON and the question itself are never touched.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serve.shortening import Piece, Short, Shortening

RECENT = 4
"""Messages at the end, the question among them, that are left whole, but for long ones of the user's."""
STEP = 4
"""The older ones grow by so many at a time: in between, what stands before them is the same, and cached."""
LEAST_WORDS = 150
"""Of a pasted text, to be one; a message of so many that is not the last is taken for one."""
MOST_QUESTION_WORDS = 100
"""Of a last paragraph, to be taken for the question about it."""
MOST_OPENING_WORDS = 60
"""Of a first paragraph, to be taken for what is wanted with it."""
_BLANK = re.compile(r"\n[ \t]*\n\s*")

Messages = tuple[dict[str, Any], ...]
Fits = Callable[[Messages], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `start` to `end` of message number `message`."""

    message: int
    start: int
    end: int


async def shortened(shortening: Shortening, messages: Messages, fits: Fits) -> Messages:
    """The conversation with its older turns and texts pasted before a question made shorter.

    Where that does not fit the model's context, all earlier turns are, to smaller and smaller tiers. What
    does not fit then is for the model to refuse.
    """
    shorter, shorts = await _at(shortening, messages, None)
    if not await fits(shorter):
        for share in ladder(shortening.share, shortening.settings.tiers):
            shorter, shorts = await _at(shortening, messages, share)
            if await fits(shorter):
                break
    shortening.count(shorts)
    return shorter


def ladder(share: float, tiers: Sequence[float]) -> list[float]:
    """The shares that a conversation too long is cut to, one after the other."""
    return [share, *sorted((tier for tier in tiers if tier < share), reverse=True)]


def places(
    messages: Sequence[dict[str, Any]], *, history: bool = True, everything: bool = False
) -> list[Place]:
    """What may be shortened: texts pasted before a question, and of the history older turns and long messages
    of the user's, or everything before the last question.

    In a message with a text pasted before a question that text alone, so that it reads the same later on.
    """
    last = max((number for number, one in enumerate(messages) if one["role"] == "user"), default=-1)
    spoken = [number for number, one in enumerate(messages) if one["role"] not in ("system", "developer")]
    older = {*spoken} if everything else {*spoken[: max(0, (len(spoken) - RECENT) // STEP * STEP)]}
    found = []
    for number in spoken:
        content = messages[number].get("content")
        if not isinstance(content, str) or not _is_prose(messages[number], content):
            continue
        is_user = messages[number]["role"] == "user"
        pasted = pasted_text(content) if is_user else None
        if pasted is not None:
            found.append(Place(number, *pasted))
        elif number != last and history and (number in older or (is_user and _is_long(content))):
            found.append(Place(number, 0, len(content)))
    return found


def pasted_text(content: str) -> tuple[int, int] | None:
    """Where a message holds a long text before a question in a last paragraph of its own.

    A short first paragraph is what is wanted with the text, and no part of it.
    """
    gaps = [match.span() for match in _BLANK.finditer(content.rstrip())]
    if not gaps:
        return None
    question = content[gaps[-1][1] :]
    if "?" not in question or len(question.split()) > MOST_QUESTION_WORDS:
        return None
    start, end = 0, gaps[-1][0]
    if len(gaps) > 1 and len(content[: gaps[0][0]].split()) <= MOST_OPENING_WORDS:
        start = gaps[0][1]
    return (start, end) if _is_long(content[start:end]) else None


async def _at(
    shortening: Shortening, messages: Messages, share: float | None
) -> tuple[Messages, list[Short]]:
    """Everything at `share`, or only what is older, as the request asks."""
    found = [
        place
        for place in places(
            messages, history=share is not None or not shortening.leaves_history, everything=share is not None
        )
        if shortening.is_long(messages[place.message]["content"][place.start : place.end])
    ]
    pieces = [Piece(messages[one.message]["content"][one.start : one.end]) for one in found]
    shorts = await shortening.shorten(pieces, share, force=share is not None)
    shorter = list(messages)
    for place, short in zip(found, shorts, strict=True):
        content = messages[place.message]["content"]
        text = content[: place.start] + short.text + content[place.end :]
        shorter[place.message] = {**messages[place.message], "content": text}
    return tuple(shorter), shorts


def _is_long(content: str) -> bool:
    return len(content.split()) >= LEAST_WORDS


def _is_prose(message: dict[str, Any], content: str) -> bool:
    """Whether it is what somebody said, and neither a call nor data."""
    said = content.strip()
    is_data = any(said.startswith(first) and said.endswith(last) for first, last in ("{}", "[]"))
    is_said = message["role"] in ("user", "assistant") and "tool_calls" not in message
    return bool(said) and is_said and not is_data
