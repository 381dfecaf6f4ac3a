"""Plain completions: requests to generations, and deltas to OpenAI's `text_completion` objects."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from json import dumps
from typing import Any

from actors.messages import InvalidRequest, Prompt, TextLogprob, Unprocessable
from serve.auth import acting_user
from serve.catalog import Catalog
from serve.generation import Turn, varied
from serve.replies import LOWEST_LOGPROB, Deltas, Totals, with_logprobs
from serve.sampling import fingerprint, require, sampling_of
from serve.services import Services
from serve.wire import MOST_CHOICES, CompletionRequest


async def plan_completion(
    services: Services, catalog: Catalog, user: str, body: CompletionRequest, id: str
) -> Turn:
    """The turn that a completion request asks for; `id` is the reply's.

    Raises InvalidRequest and NotFound (model).
    """
    acting = acting_user(user, body.user, services.settings)
    chosen = await catalog.chosen(user, acting, body.model, body.adapter, id)
    able = await catalog.capabilities()
    prompts = _prompts(body)
    choices = body.n or 1
    _check(body, prompts, choices)
    sampling = sampling_of(body, services.settings.serve)
    if body.logprobs is not None:
        require(able.logprobs, "logprobs", "logprobs", able)
        sampling = replace(sampling, logprobs=body.logprobs)
    return Turn(
        id=id,
        created=int(services.identity.now()),
        model=body.model,
        fingerprint=fingerprint(catalog, chosen),
        jobs=tuple((prompt, varied(sampling, number)) for prompt in prompts for number in range(choices)),
        choices=choices,
        chosen=chosen,
        user=acting,
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )


def echoes(turn: Turn, body: CompletionRequest) -> list[str]:
    """What stands before each choice's text: its prompt where `echo` is set."""
    return [prompt if body.echo and isinstance(prompt, str) else "" for prompt, _ in turn.jobs]


async def completion_reply(turn: Turn, source: Deltas, before: Sequence[str]) -> dict[str, Any]:
    """The whole reply, `text_completion`."""
    texts = list(before)
    logprobs: list[list[TextLogprob]] = [[] for _ in turn.jobs]
    finishes: list[str | None] = [None for _ in turn.jobs]
    totals = Totals(turn.choices)
    async with aclosing(source):
        async for number, delta in source:
            totals.add(number, delta)
            texts[number] += delta.text
            logprobs[number] += delta.logprobs
            finishes[number] = delta.finish_reason
    choices = [
        {
            "index": number,
            "text": text,
            "logprobs": _logprobs(found, len(before[number])) if with_logprobs(turn) else None,
            "finish_reason": finish,
        }
        for number, (text, found, finish) in enumerate(zip(texts, logprobs, finishes, strict=True))
    ]
    return {**_head(turn), "choices": choices, "usage": totals.usage(), "palimpsest": _extra(turn)}


async def completion_chunks(turn: Turn, source: Deltas, before: Sequence[str]) -> AsyncGenerator[str]:
    """The reply's chunks, each as JSON text."""
    head = dumps(_head(turn))[:-1]
    tail = ', "usage": null}' if turn.include_usage else "}"
    extra = f', "palimpsest": {dumps(_extra(turn))}'
    unfinished = len(turn.jobs)
    totals = Totals(turn.choices)
    offsets = [len(text) for text in before]
    async with aclosing(source):
        for number, text in enumerate(before):
            if text:
                choice = {"index": number, "text": text, "logprobs": None, "finish_reason": None}
                yield f'{head}, "choices": [{dumps(choice)}]{tail}'
        async for number, delta in source:
            totals.add(number, delta)
            logprobs = _logprobs(delta.logprobs, offsets[number]) if with_logprobs(turn) else None
            offsets[number] += len(delta.text)
            choice = {
                "index": number,
                "text": delta.text,
                "logprobs": logprobs,
                "finish_reason": delta.finish_reason,
            }
            unfinished -= delta.finish_reason is not None
            last = not unfinished and not turn.include_usage
            yield f'{head}, "choices": [{dumps(choice)}]{extra if last else ""}{tail}'
    if turn.include_usage:
        yield f'{head}, "choices": []{extra}, "usage": {dumps(totals.usage())}}}'


def _prompts(body: CompletionRequest) -> list[Prompt]:
    if isinstance(body.prompt, str):
        return [body.prompt]
    items: list[Any] = list(body.prompt)
    if isinstance(items[0], int):
        return [tuple(items)]
    return [item if isinstance(item, str) else tuple(item) for item in items]


def _check(body: CompletionRequest, prompts: Sequence[Prompt], choices: int) -> None:
    if body.suffix is not None:
        raise InvalidRequest("The model cannot fill in before a suffix.", "suffix", "unsupported_value")
    if body.best_of not in (None, choices):
        raise Unprocessable("best_of must equal n: all that is generated is returned.", "best_of")
    if len(prompts) * choices > MOST_CHOICES:
        raise Unprocessable(f"Prompts times n is above {MOST_CHOICES}.", "n")
    if body.echo and not all(isinstance(prompt, str) for prompt in prompts):
        raise InvalidRequest("echo needs a prompt of text, not of token ids.", "echo", "unsupported_value")
    if body.echo and body.logprobs is not None:
        raise InvalidRequest("echo with logprobs is not available.", "echo", "unsupported_value")


def _head(turn: Turn) -> dict[str, Any]:
    return {
        "id": turn.id,
        "object": "text_completion",
        "created": turn.created,
        "model": turn.model,
        "system_fingerprint": turn.fingerprint,
    }


def _extra(turn: Turn) -> dict[str, Any]:
    return {"adapter": turn.chosen.name}


def _logprobs(found: Sequence[TextLogprob], offset: int) -> dict[str, Any]:
    offsets = []
    for one in found:
        offsets.append(offset)
        offset += len(one.token)
    return {
        "tokens": [one.token for one in found],
        "token_logprobs": [max(one.logprob, LOWEST_LOGPROB) for one in found],
        "top_logprobs": [
            {other.token: max(other.logprob, LOWEST_LOGPROB) for other in one.top} for one in found
        ],
        "text_offset": offsets,
    }


def _alternatives(one: TextLogprob) -> dict[str, float]:
    return {other.token: max(other.logprob, LOWEST_LOGPROB) for other in one.top}
