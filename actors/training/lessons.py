"""Conversations to learn from, in OpenAI's fine-tuning format: read and checked. Knows no tokenizer."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actors.messages import ChatPrompt, InvalidRequest

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation; `taught` are the places of the messages to learn."""

    place: str
    prompt: ChatPrompt
    taught: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A conversation with a better and a worse answer."""

    place: str
    messages: tuple[dict[str, str], ...]
    chosen: str
    rejected: str

    @property
    def chats(self) -> tuple[Chat, Chat]:
        """The conversation with each of its answers."""
        first, second = (
            chat_of(self.place, [*self.messages, {"role": "assistant", "content": text}], ())
            for text in (self.chosen, self.rejected)
        )
        return first, second


def pairs_of(name: str, lines: Iterable[bytes]) -> Iterator[Pair]:
    """The pairs of a JSONL file in OpenAI's preference format. Raises InvalidRequest naming file and line."""
    for place, row in json_objects(name, lines):
        asked = row.get("input")
        messages = asked.get("messages") if isinstance(asked, dict) else None
        if not isinstance(messages, list) or not messages or (asked or {}).get("tools"):
            raise InvalidRequest(f"{place}: input needs a list of messages, and no tools")
        chosen, rejected = (
            _answer(place, name, row) for name in ("preferred_output", "non_preferred_output")
        )
        if chosen == rejected:
            raise InvalidRequest(f"{place}: both outputs are the same")
        chat = chat_of(place, [*messages, {"role": "assistant", "content": chosen}], ())
        *before, _ = chat.prompt.messages
        if before[-1]["role"] != "user":
            raise InvalidRequest(f"{place}: the last message of input must be the user's")
        if not all(isinstance(one.get("content"), str) for one in before):
            raise InvalidRequest(f"{place}: messages of input must have texts as content")
        told = tuple({"role": one["role"], "content": one["content"]} for one in before)
        yield Pair(place, told, chosen, rejected)


def has_pairs(content: bytes) -> bool:
    """Whether a file's first line is in the preference format."""
    line = next((one for one in content.split(b"\n") if one.strip()), b"{}")
    try:
        return "preferred_output" in _object("", line)
    except InvalidRequest:
        return False


def _answer(place: str, name: str, row: Mapping[str, Any]) -> str:
    """The text of the one answer under a name."""
    match row.get(name):
        case [{"role": "assistant", "content": str(text)}] if text.strip():
            return text
    raise InvalidRequest(f"{place}: {name} must be a list of one message of role assistant with a text")


def chats_of(name: str, lines: Iterable[bytes]) -> Iterator[Chat]:
    """The conversations of a JSONL file, one a line. Raises InvalidRequest naming file and line."""
    for place, row in json_objects(name, lines):
        messages = row.get("messages")
        if not isinstance(messages, list) or not messages:
            raise InvalidRequest(
                f"{place}: there is no list of messages; there is {', '.join(row) or 'nothing'}"
            )
        yield chat_of(place, messages, row.get("tools") or ())


def json_objects(name: str, lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's place, `file:line`, and object. Raises InvalidRequest for a line that is none."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{name}:{number}", _object(f"{name}:{number}", line)


def chat_of(place: str, messages: list[Any], tools: Any) -> Chat:
    """A conversation of messages with role and content. Raises InvalidRequest naming the wrong one."""
    plain: list[dict[str, Any]] = []
    taught = []
    for number, message in enumerate(messages):
        where = f"{place}: messages[{number}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{where} must be an object with role and content")
        role, weight = message.get("role"), message.get("weight", 1)
        if role not in ROLES:
            raise InvalidRequest(f"{where}: role {role!r} is none of {', '.join(sorted(ROLES))}")
        if weight not in (0, 1, None) or (weight != 1 and role != "assistant" and weight is not None):
            raise InvalidRequest(f"{where}: weight must be 0 or 1, and stands with answers of the assistant")
        if message.get("content") is None and not message.get("tool_calls"):
            raise InvalidRequest(f"{where} has neither content nor tool_calls")
        if role == "assistant" and weight != 0:
            taught.append(number)
        plain.append({key: value for key, value in message.items() if key != "weight"})
    if not taught:
        raise InvalidRequest(f"{place}: no message of role assistant is there to be learned")
    if not isinstance(tools, list | tuple):
        raise InvalidRequest(f"{place}: tools must be a list")
    prompt = ChatPrompt(messages=tuple(plain), tools=tuple(tools), tool_choice="auto" if tools else "none")
    return Chat(place, prompt, tuple(taught))


def _object(place: str, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{place}: not UTF-8: {error.reason} at byte {error.start} of the line"
        ) from error
    except ValueError as error:
        raise InvalidRequest(f"{place}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"{place}: a JSON object is needed")
    return value
