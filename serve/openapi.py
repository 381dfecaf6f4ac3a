"""What replies look like, for the OpenAPI document alone: replies are built as plain JSON values."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Reply(BaseModel):
    """A part of a reply; more keys may come."""

    model_config = ConfigDict(extra="allow")


class Usage(Reply):
    """Tokens used."""

    prompt_tokens: int
    total_tokens: int


class FunctionCall(Reply):
    """A call the model makes; `arguments` is JSON text."""

    name: str
    arguments: str


class MadeCall(Reply):
    """One tool call."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class AssistantMessage(Reply):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[MadeCall] = []


class ChatChoice(Reply):
    """One answer of `n`."""

    index: int
    message: AssistantMessage
    logprobs: dict[str, Any] | None
    finish_reason: str


class ChatCompletion(Reply):
    """A chat reply."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage
    palimpsest: dict[str, Any]


class CompletionChoice(Reply):
    """One continuation."""

    index: int
    text: str
    logprobs: dict[str, Any] | None
    finish_reason: str


class Completion(Reply):
    """A reply of plain completions."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class EmbeddingItem(Reply):
    """One vector: numbers, or base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(Reply):
    """A reply of embeddings."""

    object: Literal["list"]
    data: list[EmbeddingItem]
    model: str
    usage: Usage


class ModelCard(Reply):
    """A model that requests may name."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Reply):
    """All models."""

    object: Literal["list"]
    data: list[ModelCard]


def _responses(model: type[Reply], *, streams: bool) -> dict[int | str, dict[str, Any]]:
    content = {"text/event-stream": {"schema": {"type": "string"}}} if streams else {}
    return {200: {"model": model, "content": content}}


CHAT_RESPONSES = _responses(ChatCompletion, streams=True)
COMPLETION_RESPONSES = _responses(Completion, streams=True)
EMBEDDING_RESPONSES = _responses(EmbeddingList, streams=False)
MODEL_RESPONSES = _responses(ModelCard, streams=False)
MODELS_RESPONSES = _responses(ModelList, streams=False)
