"""Tool calls within generated text, read as they come. Knows not what made the model call."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

OPEN = "<tool_call>"
CLOSE = "</tool_call>"
_HEAD = re.compile(
    r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)', re.DOTALL
)
_MARK = re.compile(r'["{}\[\]\\]')


@dataclass(frozen=True, slots=True)
class Text:
    """Ordinary text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call begins; `index` counts the calls of one answer."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of a call's arguments, as JSON text."""

    index: int
    text: str


Event = Text | CallStart | CallArguments


class ToolReader:
    """Splits text that comes in pieces into plain text and calls of known functions.

    A call is `<tool_call>{"name": …, "arguments": {…}}</tool_call>`; with `forced`, the bare object too.
    What looks like a call and is none comes out as text, unchanged.
    """

    def __init__(self, names: Collection[str], *, forced: bool = False, most: int | None = None) -> None:
        self._names = names
        self._most = most
        self._state: Literal["start", "text", "head", "arguments", "tail"] = "start" if forced else "text"
        self._buffer = ""
        self._opening = ""
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._said = False
        self.calls = 0

    @property
    def done(self) -> bool:
        """Whether no further call may come, so that generation can end."""
        return self._state in ("text", "tail") and self._most is not None and self.calls >= self._most

    def feed(self, text: str) -> list[Event]:
        """What a new piece of text brings."""
        self._buffer += text
        events: list[Event] = []
        while not self.done and self._step(events, ended=False):
            pass
        return events

    def end(self) -> list[Event]:
        """What is left when the text has ended."""
        events: list[Event] = []
        while not self.done and self._step(events, ended=True):
            pass
        return events

    def _step(self, events: list[Event], *, ended: bool) -> bool:
        """One step; False when more text is needed."""
        step = {
            "start": self._start,
            "text": self._plain,
            "head": self._head,
            "arguments": self._arguments,
            "tail": self._tail,
        }[self._state]
        return step(events, ended)

    def _start(self, events: list[Event], ended: bool) -> bool:
        seen = self._buffer.lstrip()
        if not seen and not ended:
            return False
        self._state = "head" if seen.startswith("{") else "text"
        return True

    def _plain(self, events: list[Event], ended: bool) -> bool:
        before, mark, after = self._buffer.partition(OPEN)
        if mark:
            self._say(before.rstrip(), events)
            self._buffer, self._state, self._opening = after, "head", OPEN
            return True
        keep = 0 if ended else _held(before)
        said = before[: len(before) - keep]
        self._buffer = before[len(said) :]
        self._say(said, events)
        return False

    def _say(self, text: str, events: list[Event]) -> None:
        if self.calls and not self._said:
            text = text.lstrip()
        if text:
            self._said = True
            events.append(Text(text))

    def _head(self, events: list[Event], ended: bool) -> bool:
        match = _HEAD.match(self._buffer)
        if match and json.loads(match[1], strict=False) in self._names:
            self._begin(json.loads(match[1], strict=False), events)
            self._buffer = self._buffer[match.end() :]
            self._state, self._depth, self._in_string, self._escaped = "arguments", 0, False, False
            return True
        whole, mark, after = self._buffer.partition(CLOSE)
        if not mark and not ended:
            return False
        call = _parse(whole, self._names)
        self._state = "text"
        if call is None:
            self._say(self._opening + whole + mark, events)
        else:
            index = self._begin(call[0], events)
            events.append(CallArguments(index, call[1]))
        self._buffer, self._opening = after, ""
        return bool(after)

    def _begin(self, name: str, events: list[Event]) -> int:
        index = self.calls
        self.calls += 1
        self._said = False
        events.append(CallStart(index, name))
        return index

    def _arguments(self, events: list[Event], ended: bool) -> bool:
        end = self._end_of_arguments()
        if end:
            events.append(CallArguments(self.calls - 1, self._buffer[:end]))
        self._buffer = self._buffer[end:]
        return self._state == "tail"

    def _end_of_arguments(self) -> int:
        """How much of the buffer belongs to the arguments; moves to the tail once their braces close."""
        position = 0
        if self._escaped and self._buffer:
            self._escaped, position = False, 1
        while match := _MARK.search(self._buffer, position):
            mark, position = match[0], match.end()
            if self._in_string:
                self._in_string = mark != '"'
                if mark == "\\":
                    self._escaped = position == len(self._buffer)
                    position += 1
            elif mark == '"':
                self._in_string = True
            elif mark != "\\":
                self._depth += 1 if mark in "{[" else -1
                if self._depth == 0:
                    self._state = "tail"
                    return position
        return len(self._buffer)

    def _tail(self, events: list[Event], ended: bool) -> bool:
        if not self._opening:
            self._buffer = ""
            return False
        _, mark, after = self._buffer.partition(CLOSE)
        if not mark:
            return False
        self._buffer, self._state, self._opening = after, "text", ""
        return True


def _held(text: str) -> int:
    """Characters at the end that must wait: white space, and what may become an opening tag."""
    partial = next((size for size in range(len(OPEN) - 1, 0, -1) if text.endswith(OPEN[:size])), 0)
    before = text[: len(text) - partial]
    return partial + len(before) - len(before.rstrip())


def _parse(text: str, names: Collection[str]) -> tuple[str, str] | None:
    """Name and arguments (JSON text) of a complete call, whatever the order of its keys."""
    try:
        call = json.loads(text, strict=False)
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(call, dict) or call.get("name") not in names:
        return None
    arguments = call.get("arguments", call.get("parameters", {}))
    if isinstance(arguments, str):
        return call["name"], arguments
    return call["name"], json.dumps(arguments, ensure_ascii=False)
