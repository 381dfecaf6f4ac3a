"""Deltas to OpenAI's chat replies: whole ones, and chunks as JSON text. Knows no transport."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from json import dumps
from typing import Any

from actors.messages import TextDelta, TextLogprob
from serve.generation import Turn
from serve.tools import CallArguments, CallStart, Event, Text, ToolReader

Deltas = AsyncGenerator[tuple[int, TextDelta]]
LOWEST_LOGPROB = -9999.0
"""Stands for minus infinity, which JSON cannot write."""


class Totals:
    """Token counts of all jobs of one request; a prompt counts once, however many answers it gets."""

    def __init__(self, choices: int) -> None:
        self._choices = choices
        self._last: dict[int, TextDelta] = {}

    def add(self, number: int, delta: TextDelta) -> None:
        """Take a job's latest running totals."""
        self._last[number] = delta

    def usage(self) -> dict[str, Any]:
        """OpenAI's usage object."""
        firsts = [delta for number, delta in self._last.items() if number % self._choices == 0]
        prompt = sum(delta.prompt_tokens for delta in firsts)
        completion = sum(delta.completion_tokens for delta in self._last.values())
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": sum(delta.cached_tokens for delta in firsts)},
        }


class _Choice:
    """What one choice has said so far."""

    def __init__(self, turn: Turn, number: int) -> None:
        self.number = number
        self.reader = ToolReader(turn.tools, forced=turn.forced, most=turn.most_calls) if turn.tools else None
        self.logprobs: list[TextLogprob] = []
        self.finish: str | None = None
        self._dialogue = turn.dialogue

    def ended(self) -> bool:
        """Whether nothing more may come."""
        return self.finish is not None

    def events(self, delta: TextDelta) -> Sequence[Event]:
        """What a delta brings; sets `finish` with the last."""
        events = self._read(delta)
        if self._dialogue is not None:
            self._dialogue.heard(self.number, "".join(one.text for one in events if isinstance(one, Text)))
        return events

    def _read(self, delta: TextDelta) -> Sequence[Event]:
        if self.reader is None:
            self.finish = delta.finish_reason
            return (Text(delta.text),) if delta.text else ()
        events = self.reader.feed(delta.text)
        self.finish = delta.finish_reason or ("stop" if self.reader.done else None)
        if self.finish:
            events += self.reader.end()
            if self.finish == "stop" and self.reader.calls:
                self.finish = "tool_calls"
        return events


async def chat_reply(turn: Turn, source: Deltas) -> dict[str, Any]:
    """The whole reply, `chat.completion`."""
    choices = [_Choice(turn, number) for number in range(len(turn.jobs))]
    texts: list[list[str]] = [[] for _ in choices]
    calls: list[list[dict[str, Any]]] = [[] for _ in choices]
    totals = Totals(turn.choices)
    async with aclosing(source):
        async for number, delta in source:
            choice = choices[number]
            totals.add(number, delta)
            choice.logprobs += delta.logprobs
            for event in () if choice.ended() else choice.events(delta):
                _gather(turn, number, event, texts[number], calls[number])
            if all(one.ended() for one in choices):
                break
    if turn.dialogue is not None:
        await turn.dialogue.ended()
    return {
        "id": turn.id,
        "object": "chat.completion",
        "created": turn.created,
        "model": turn.model,
        "system_fingerprint": turn.fingerprint,
        "choices": [
            {
                "index": choice.number,
                "message": _message("".join(text), made),
                "logprobs": _logprobs(choice.logprobs) if with_logprobs(turn) else None,
                "finish_reason": choice.finish,
            }
            for choice, text, made in zip(choices, texts, calls, strict=True)
        ],
        "usage": totals.usage(),
        "palimpsest": palimpsest(turn),
    }


async def chat_chunks(turn: Turn, source: Deltas) -> AsyncGenerator[str]:
    """The reply's chunks, `chat.completion.chunk`, each as JSON text."""
    writer = _Writer(turn)
    choices = [_Choice(turn, number) for number in range(len(turn.jobs))]
    totals = Totals(turn.choices)
    unfinished = len(choices)
    async with aclosing(source):
        for choice in choices:
            yield writer.chunk(choice.number, '{"role":"assistant","content":"","refusal":null}')
        async for number, delta in source:
            choice = choices[number]
            totals.add(number, delta)
            if choice.ended():
                continue
            choice.logprobs += delta.logprobs
            for event in choice.events(delta):
                yield writer.event(choice, event)
            if choice.ended():
                unfinished -= 1
                if not unfinished and turn.dialogue is not None:
                    await turn.dialogue.ended()
                last = not unfinished and not turn.include_usage
                yield writer.chunk(number, "{}", finish=choice.finish, extra=writer.extra() if last else "")
                if not unfinished:
                    break
    if turn.include_usage:
        yield writer.usage(totals)


class _Writer:
    """Writes chunks around what never changes within one stream."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._with_logprobs = with_logprobs(turn)
        self._tail = ',"usage":null' if turn.include_usage else ""
        self._head = (
            f'{{"id":{dumps(turn.id)},"object":"chat.completion.chunk","created":{turn.created},'
            f'"model":{dumps(turn.model)},"system_fingerprint":{dumps(turn.fingerprint)},"choices":['
        )

    def extra(self) -> str:
        """What the last chunk carries beside."""
        return f',"palimpsest":{dumps(palimpsest(self._turn))}'

    def chunk(
        self, number: int, delta: str, *, logprobs: str = "null", finish: str | None = None, extra: str = ""
    ) -> str:
        """One chunk of one choice; `delta` and `logprobs` are JSON text."""
        reason = f'"{finish}"' if finish else "null"
        return (
            f'{self._head}{{"index":{number},"delta":{delta},"logprobs":{logprobs},'
            f'"finish_reason":{reason}}}]{self._tail}{extra}}}'
        )

    def event(self, choice: _Choice, event: Event) -> str:
        """The chunk of one event; text carries the log probabilities that came with it."""
        if isinstance(event, Text):
            logprobs = dumps(_logprobs(choice.logprobs)) if self._with_logprobs else "null"
            choice.logprobs = []
            return self.chunk(choice.number, f'{{"content":{dumps(event.text)}}}', logprobs=logprobs)
        call: dict[str, Any] = {"index": event.index}
        if isinstance(event, CallStart):
            call |= {"id": _call_id(self._turn, choice.number, event.index), "type": "function"}
            call["function"] = {"name": event.name, "arguments": ""}
        else:
            call["function"] = {"arguments": event.text}
        return self.chunk(choice.number, dumps({"tool_calls": [call]}))

    def usage(self, totals: Totals) -> str:
        """The last chunk where usage was asked for."""
        return f'{self._head}],"usage":{dumps(totals.usage())}{self.extra()}}}'


def with_logprobs(turn: Turn) -> bool:
    """Whether log probabilities were asked for."""
    return turn.jobs[0][1].logprobs is not None


def palimpsest(turn: Turn) -> dict[str, Any]:
    """What this server adds to a reply."""
    return {
        **(turn.dialogue.report() if turn.dialogue else {"memories": []}),
        "citations": [asdict(citation) for citation in turn.citations],
        "adapter": turn.chosen.name,
        **_saved(turn),
    }


def _saved(turn: Turn) -> dict[str, Any]:
    if turn.shortening is None:
        return {"prompt_tokens_saved": 0}
    saved = turn.shortening.tokens_before - turn.shortening.tokens_after
    return {"prompt_tokens_saved": max(0, saved), "compression": turn.shortening.report()}


def _gather(turn: Turn, number: int, event: Event, text: list[str], calls: list[dict[str, Any]]) -> None:
    if isinstance(event, Text):
        text.append(event.text)
    elif isinstance(event, CallArguments):
        calls[event.index]["function"]["arguments"] += event.text
    else:
        function = {"name": event.name, "arguments": ""}
        calls.append({"id": _call_id(turn, number, event.index), "type": "function", "function": function})


def _message(text: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    content = None if calls and not text else text
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    if calls:
        message["tool_calls"] = calls
    return message


def _call_id(turn: Turn, number: int, index: int) -> str:
    return f"call_{turn.id[-20:]}_{number}_{index}"


def _logprobs(found: Sequence[TextLogprob]) -> dict[str, Any]:
    content = [{**_logprob(one), "top_logprobs": [_logprob(other) for other in one.top]} for one in found]
    return {"content": content, "refusal": None}


def _logprob(one: TextLogprob) -> dict[str, Any]:
    return {"token": one.token, "logprob": max(one.logprob, LOWEST_LOGPROB), "bytes": list(one.bytes)}
