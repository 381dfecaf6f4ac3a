"""A chat request to what the generator takes: prompt, sampling, passages. Knows no reply format."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from actors.messages import Capabilities, ChatPrompt, Sampling, TooLarge
from actors.models.toolcall import forced_schema
from configs.schema import ServeSettings
from serve.catalog import Catalog
from serve.dialogue import answer_tokens, begin
from serve.generation import Turn, varied
from serve.history import shortened
from serve.reading import Conversation, room_beside, with_context
from serve.retrieval import cited, passages_for, shown, with_passages
from serve.sampling import fingerprint, require, sampling_of
from serve.schemas import check_schema
from serve.services import Services
from serve.shortening import Shortening, asked_for
from serve.wire import ChatRequest, ImagePart, JsonSchemaFormat, Message, NamedTool, ObjectFormat, TextPart


async def plan_chat(services: Services, catalog: Catalog, user: str, body: ChatRequest, id: str) -> Turn:
    """The turn that a chat request asks for; `id` is the reply's.

    Raises InvalidRequest, NotFound (model or vector store) and TooLarge.
    """
    chosen = await catalog.chosen(user, user, body.model, body.adapter, id)
    shortening = asked_for(services, body.compression)
    if len(body.messages) > services.settings.serve.max_messages:
        most = services.settings.serve.max_messages
        raise TooLarge(f"More than {most} messages (serve.max_messages).", "messages", "too_many_messages")
    able = await catalog.capabilities()
    choice = _choice_of(body)
    tools = tuple(tool.model_dump(exclude_none=True) for tool in body.tools or ())
    sampling = _chat_sampling(body, services.settings.serve, able, tools, choice)
    passages = await passages_for(services, user, body)
    spoken = _plain_messages(body.messages)
    said = with_passages(spoken, passages)
    messages = with_passages(spoken, await shown(shortening, passages, body))
    prompt = ChatPrompt(messages=messages, tools=tools, tool_choice=choice)
    if shortening is not None:
        prompt = await _shortened(
            services, shortening, prompt, able.max_context - answer_tokens(services, body)
        )
    conversation = Conversation(said=said, prompt=prompt, shortening=shortening)
    dialogue, context = await begin(services, user, body, id, conversation, able.max_context)
    prompt = replace(prompt, messages=with_context(prompt.messages, context))
    return Turn(
        id=id,
        created=int(services.identity.now()),
        model=body.model,
        fingerprint=fingerprint(catalog, chosen),
        jobs=tuple((prompt, varied(sampling, number)) for number in range(body.n or 1)),
        choices=body.n or 1,
        chosen=chosen,
        user=user,
        tools=tuple(tool["function"]["name"] for tool in tools) if choice != "none" else (),
        forced=choice not in ("none", "auto"),
        most_calls=1 if body.parallel_tool_calls is False else None,
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        citations=tuple(cited(found) for found in passages),
        dialogue=dialogue,
        shortening=shortening,
        notes=("images are not shown to this model, which reads text only",) if _has_images(body) else (),
    )


async def _shortened(services: Services, shortening: Shortening, prompt: ChatPrompt, room: int) -> ChatPrompt:
    async def fits(messages: tuple[dict[str, Any], ...]) -> bool:
        return await room_beside(services, replace(prompt, messages=messages), room, 0) >= 0

    return replace(prompt, messages=await shortened(shortening, prompt.messages, fits))


def _choice_of(body: ChatRequest) -> str:
    if not body.tools:
        return "none"
    if isinstance(body.tool_choice, NamedTool):
        return body.tool_choice.function.name
    return body.tool_choice or "auto"


def _chat_sampling(
    body: ChatRequest,
    defaults: ServeSettings,
    able: Capabilities,
    tools: Sequence[dict[str, Any]],
    choice: str,
) -> Sampling:
    sampling = sampling_of(body, defaults)
    if body.logprobs:
        require(able.logprobs, "logprobs", "logprobs", able)
        sampling = replace(sampling, logprobs=body.top_logprobs or 0)
    schema = _format_schema(body)
    if schema is not None:
        require(able.json_schema, "JSON of a schema", "response_format", able)
    if able.json_schema:
        forced = forced_schema(ChatPrompt(messages=(), tools=tuple(tools), tool_choice=choice))
        if forced is not None:
            check_schema(forced, "tools")
    return replace(sampling, json_schema=schema, max_tokens=body.max_completion_tokens or body.max_tokens)


def _format_schema(body: ChatRequest) -> str | None:
    """The JSON text of the schema that response_format asks for."""
    if isinstance(body.response_format, ObjectFormat):
        return "{}"
    if not isinstance(body.response_format, JsonSchemaFormat):
        return None
    schema = body.response_format.json_schema.schema_ or {}
    check_schema(schema, "response_format")
    return json.dumps(schema)


def _plain_messages(messages: Sequence[Message]) -> tuple[dict[str, Any], ...]:
    """Messages as plain JSON values without nulls, images as a line of text."""
    return tuple(_plain(message) for message in messages)


def _plain(message: Message) -> dict[str, Any]:
    plain = message.model_dump(exclude_none=True, exclude={"content", "annotations", "reasoning_content"})
    plain["content"] = _content(message)
    return plain


def _content(message: Message) -> str | None:
    if message.content is None or isinstance(message.content, str):
        return message.content if message.content is not None else message.refusal
    return "\n".join(_part(part) for part in message.content)


def _part(part: Any) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, ImagePart):
        return "[An image was here. It cannot be seen: this model reads text only.]"
    refusal: str = part.refusal
    return refusal


def _has_images(body: ChatRequest) -> bool:
    return any(
        isinstance(part, ImagePart)
        for message in body.messages
        if not isinstance(message.content, str)
        for part in message.content or ()
    )
