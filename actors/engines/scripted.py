"""An engine that plays a script: no model, the same answer every time. Made for tests of what is above it."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.engines.instance import minimal_instance
from actors.messages import (
    Capabilities,
    EngineFailed,
    Health,
    InvalidRequest,
    Json,
    NotFound,
    Sampling,
    TokenDelta,
    TokenLogprob,
)
from actors.models.toolcall import CLOSE, OPEN

DEFAULT_CONTEXT = 8192
END = "<|end|>"
END_ID = 1
TOKEN_BYTES = 6
ECHOED_WORDS = 24
OPENINGS = ("You said: ", "I heard: ", "You wrote: ", "The message was: ")
_WORDS = re.compile(r" ?\w+|\s+|[^\w\s]+")
_DIRECTIVE = re.compile(r"\[\[(text|delay|fail|tokens|tool):?(.*?)\]\](?!\])", re.DOTALL)


class ScriptedTokenizer:
    """Tokens of up to six UTF-8 bytes, whose ids are those bytes after a leading 1, read as a number."""

    vocabulary = 1 << (8 * TOKEN_BYTES + 1)
    longest = TOKEN_BYTES
    specials: Mapping[str, int] = {END: END_ID}
    reads_tools = True
    obeys_tool_choice = True

    def template(
        self, messages: Sequence[Json], tools: Sequence[Json], tool_choice: str, generation_prompt: bool
    ) -> str:
        """The conversation as JSON, which the engine reads back."""
        prompt = {"messages": messages, "tools": tools, "tool_choice": tool_choice}
        return json.dumps(prompt, ensure_ascii=False)

    def encode(self, text: str, *, start: bool = False) -> list[int]:
        """Token ids of text."""
        return self.encode_plain(text)

    def encode_plain(self, text: str) -> list[int]:
        """Token ids of text."""
        words = (word.encode() for word in _WORDS.findall(text))
        return [
            int.from_bytes(b"\x01" + word[start : start + TOKEN_BYTES], "big")
            for word in words
            for start in range(0, len(word), TOKEN_BYTES)
        ]

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes within the id."""
        if token_id == END_ID:
            return END.encode()
        return token_id.to_bytes((token_id.bit_length() + 7) // 8 or 1, "big")[1:]

    def is_special(self, token_id: int) -> bool:
        """Whether it is the end token."""
        return token_id == END_ID


@dataclass(frozen=True, slots=True)
class _Script:
    """What one request will play."""

    tokens: tuple[int, ...]
    delay_s: float = 0.0
    fail_after: int | None = None


class ScriptedEngine:
    """Answers by rule from the last user message; its directives are listed in `_direct`."""

    def __init__(self, max_context: int | None = None, max_sequences: int = 16) -> None:
        self._max_context = max_context or DEFAULT_CONTEXT
        self._tokenizer = ScriptedTokenizer()
        self._adapters: dict[str, Path] = {}
        self._slots = asyncio.Semaphore(max_sequences)
        self._running = 0
        self._waiting = 0
        self._closed = False

    async def generate(
        self, request_id: str, tokens: Sequence[int], sampling: Sampling, adapter: str | None = None
    ) -> AsyncGenerator[TokenDelta, None]:
        """Play the script that the prompt asks for, one token a delta."""
        self._check(adapter)
        try:
            script = self._script(tokens, sampling, adapter)
        except ValueError as error:
            raise InvalidRequest(f"a directive of the script cannot be read: {error}") from error
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        try:
            async for delta in self._play(script, sampling):
                yield delta
        finally:
            self._running -= 1
            self._slots.release()

    async def score(self, tokens: Sequence[int], adapter: str | None = None) -> tuple[TokenLogprob, ...]:
        """Made-up log probabilities, the same for the same token at the same place."""
        self._check(adapter)
        return tuple(_logprob(token, place, 0) for place, token in enumerate(tokens[1:]))

    async def load_adapter(self, name: str, path: Path) -> None:
        """Record the adapter; its answers then begin with its name."""
        self._adapters[name] = path

    async def unload_adapter(self, name: str) -> None:
        """Forget the adapter. Raises NotFound."""
        self._check(name)
        del self._adapters[name]

    def capabilities(self) -> Capabilities:
        """Everything, at once."""
        return Capabilities(
            engine="scripted",
            model="scripted",
            max_context=self._max_context,
            json_schema=True,
            logprobs=True,
            adapters=True,
        )

    async def health(self) -> Health:
        """Well until closed."""
        return Health(ok=not self._closed, running=self._running, waiting=self._waiting)

    async def close(self) -> None:
        """End running requests with EngineFailed."""
        self._closed = True

    def _check(self, adapter: str | None) -> None:
        if self._closed:
            raise EngineFailed("the engine is closed")
        if adapter is not None and adapter not in self._adapters:
            raise NotFound(f"adapter {adapter!r} is not loaded", param="model")

    async def _play(self, script: _Script, sampling: Sampling) -> AsyncGenerator[TokenDelta, None]:
        limit = sampling.max_tokens or 1
        tokens = script.tokens
        if sampling.ignore_eos:
            tokens = (tokens * (limit // max(len(tokens), 1) + 1))[:limit] if tokens else ()
        finish = TokenDelta(token_ids=(), finish_reason="stop")
        for place, token in enumerate(tokens[:limit]):
            await asyncio.sleep(script.delay_s)
            if place == script.fail_after:
                raise EngineFailed(f"the script fails after {place} tokens")
            if self._closed:
                raise EngineFailed("the engine was closed while generating")
            logprobs = () if sampling.logprobs is None else (_logprob(token, place, sampling.logprobs),)
            last = place + 1 == limit
            yield TokenDelta(token_ids=(token,), logprobs=logprobs, finish_reason="length" if last else None)
        if len(tokens) < limit:
            if script.fail_after is not None and script.fail_after >= len(tokens):
                raise EngineFailed(f"the script fails after {len(tokens)} tokens")
            yield finish

    def _script(self, tokens: Sequence[int], sampling: Sampling, adapter: str | None) -> _Script:
        text = b"".join(map(self._tokenizer.token_bytes, tokens)).decode("utf-8", "replace")
        conversation = _conversation(text)
        asked = _last_user_text(conversation["messages"])
        directives = {match[1]: match[2] for match in _DIRECTIVE.finditer(asked)}
        answer = _tool_answer(conversation, directives)
        if answer is None and sampling.json_schema is not None:
            answer = json.dumps(_instance(sampling.json_schema), ensure_ascii=False)
        if answer is None:
            answer = directives.get("text", _echo(asked, sampling))
            answer = f"[{adapter}] {answer}" if adapter else answer
        ids = self._tokenizer.encode(answer)
        if directives.get("tokens"):
            length = int(directives["tokens"])
            ids = (ids * (length // max(len(ids), 1) + 1))[:length]
        fails = re.fullmatch(r"after=(\d+)", directives.get("fail", ""))
        return _Script(
            tuple(ids),
            delay_s=float(directives.get("delay") or 0),
            fail_after=int(fails[1]) if fails else (0 if "fail" in directives else None),
        )


def _conversation(text: str) -> dict[str, Any]:
    """The prompt as the template wrote it; raw text counts as one user message."""
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        found = None
    if isinstance(found, dict) and found.keys() == {"messages", "tools", "tool_choice"}:
        return found
    return {"messages": [{"role": "user", "content": text}], "tools": [], "tool_choice": "none"}


def _last_user_text(messages: Sequence[Json]) -> str:
    texts = [message["content"] for message in messages if message.get("role") == "user"]
    return str(texts[-1]) if texts else ""


def _echo(asked: str, sampling: Sampling) -> str:
    variant = sampling.seed if sampling.seed is not None and sampling.temperature > 0 else 0
    words = _DIRECTIVE.sub("", asked).split()
    more = " …" if len(words) > ECHOED_WORDS else ""
    return OPENINGS[variant % len(OPENINGS)] + " ".join(words[:ECHOED_WORDS]) + more


def _tool_answer(conversation: Mapping[str, Any], directives: Mapping[str, str]) -> str | None:
    """A tool call where the script, or the conversation, asks for one; None for plain text."""
    tools = {tool["function"]["name"]: tool["function"] for tool in conversation["tools"]}
    choice = conversation["tool_choice"]
    if "tool" in directives:
        name, _, arguments = directives["tool"].strip().partition(" ")
        return _call(name, json.loads(arguments or "{}"))
    if not tools or choice == "none":
        return None
    if choice == "auto":
        if conversation["messages"][-1].get("role") != "user" or "text" in directives:
            return None
        choice = next(iter(tools))
    name = choice if choice in tools else next(iter(tools))
    return _call(name, minimal_instance(tools[name].get("parameters") or {"type": "object"}))


def _call(name: str, arguments: Json) -> str:
    return OPEN + json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False) + CLOSE


def _instance(json_schema: str) -> Json:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    schema = json.loads(json_schema)
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise InvalidRequest(f"invalid JSON schema: {error.message}", param="response_format") from error
    return {} if schema == {} else minimal_instance(schema)


def _logprob(token: int, place: int, alternatives: int) -> TokenLogprob:
    """Numbers that depend on token and place alone; the chosen token is the most likely one."""
    digest = hashlib.blake2b(f"{token} {place}".encode(), digest_size=4).digest()
    logprob = -0.01 - digest[0] / 1000
    top = [(token, logprob)] if alternatives else []
    for rank in range(1, alternatives):
        top.append((int.from_bytes(b"\x01alt" + str(rank).encode(), "big"), logprob - rank))
    return TokenLogprob(token, logprob, tuple(top))
