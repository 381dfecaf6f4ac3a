"""Request bodies of the OpenAI routes, with this server's additions. Knows no handler."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MOST_CHOICES = 128
MOST_KEYS = 256
MOST_MESSAGES = 16384
"""Bound of the schema; the setting `serve.max_messages` is usually lower."""

Stop = Annotated[str, Field(min_length=1, max_length=1024)]
Bias = Annotated[float, Field(ge=-100, le=100)]
TokenId = Annotated[int, Field(ge=0, lt=2**62)]
TokenKey = Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
Tokens = Annotated[list[TokenId], Field(min_length=1, max_length=1_000_000)]


class Body(BaseModel):
    """A part of a request: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, value: Any) -> Any:
        """One error for an object of a great many unknown keys, instead of one for each."""
        if isinstance(value, dict) and len(value) > MOST_KEYS:
            raise PydanticCustomError("extra_keys", "an object of more keys than are known")
        return value


class TextPart(Body):
    """Text within a message."""

    type: Literal["text"]
    text: str


class RefusalPart(Body):
    """A refusal within an assistant's message."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(Body):
    """Where an image is, or its bytes as a data URL."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Body):
    """An image within a message; a model that reads text only is told that there was one."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | RefusalPart | ImagePart, Field(discriminator="type")]


class CalledFunction(Body):
    """A call that an assistant made: `arguments` is JSON text."""

    name: str
    arguments: str


class ToolCall(Body):
    """One call within an assistant's message."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None


class Message(Body):
    """One turn of a conversation, as OpenAI's clients send it and send it back."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    reasoning_content: str | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _has_content(self) -> "Message":
        spoke = self.tool_calls or self.refusal is not None
        if self.content is None and not (self.role == "assistant" and spoke):
            raise ValueError(f"a message of role '{self.role}' needs content")
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a message of role 'tool' needs tool_call_id")
        return self

    @property
    def words(self) -> str:
        """Its text, without images."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))


class Function(Body):
    """A function the model may call; `parameters` is a JSON schema."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Body):
    """A tool: functions are the only kind."""

    type: Literal["function"]
    function: Function


class FunctionRef(Body):
    """A function by name."""

    name: str


class NamedTool(Body):
    """The one tool that must be called."""

    type: Literal["function"]
    function: FunctionRef


class SchemaFormat(Body):
    """A JSON schema that the answer must satisfy."""

    model_config = ConfigDict(populate_by_name=True)

    name: FunctionName
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextFormat(Body):
    """Plain text."""

    type: Literal["text"]


class ObjectFormat(Body):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(Body):
    """JSON of a given schema."""

    type: Literal["json_schema"]
    json_schema: SchemaFormat


ResponseFormat = Annotated[TextFormat | ObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class StreamOptions(Body):
    """What a stream carries beside the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class MemoryOptions(Body):
    """Whether memories are recalled for this turn, and whether it is remembered; unset: as the setting
    `memory.chat` says.
    """

    read: bool | None = None
    write: bool | None = None


class DocumentOptions(Body):
    """Vector stores from which passages are put before the model."""

    vector_store_ids: Annotated[list[str], Field(min_length=1, max_length=16)]
    k: Annotated[int, Field(ge=1, le=50)] | None = None


Auto = Annotated[str, Field(json_schema_extra={"enum": ["auto"]})]
Share = Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1})]


class CompressionOptions(Body):
    """How much may stay of what a prompt is made of: passages, memories, earlier turns, a pasted text."""

    budget: Share | Auto
    question_aware: bool | None = None
    """Favour the sentences nearest to the question. Unset: yes in a question, no in a chat."""


class SamplingBody(Body):
    """What chat and plain completions share."""

    model: Annotated[str, Field(max_length=256)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    logit_bias: Annotated[dict[TokenKey, Bias], Field(max_length=1024)] | None = None
    max_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, lt=2**31)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    ignore_eos: bool | None = None
    adapter: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """A version to be answered by; "none" is the model without one. Unset: what serves this user."""
    user: Annotated[str, Field(max_length=256)] | None = None

    @model_validator(mode="after")
    def _options_need_stream(self) -> "SamplingBody":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only allowed when stream is true")
        return self


class ChatRequest(SamplingBody):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]
    max_completion_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None

    session_id: Annotated[str, Field(max_length=256)] | None = None
    memory: MemoryOptions | None = None
    documents: DocumentOptions | None = None
    compression: CompressionOptions | None = None
    training: bool | None = None
    """Whether what is said may be trained on; unset: as the user's consent says."""

    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    reasoning_effort: str | None = None
    reasoning: dict[str, Any] | None = None
    verbosity: str | None = None
    modalities: list[Literal["text"]] | None = None
    prediction: dict[str, Any] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    audio: None = None
    web_search_options: None = None

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "ChatRequest":
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs is only allowed when logprobs is true")
        if self.tool_choice not in (None, "none") and not self.tools:
            raise ValueError("tool_choice is only allowed when tools are given")
        names = {tool.function.name for tool in self.tools or ()}
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise ValueError(f"tool_choice names '{self.tool_choice.function.name}', which is not in tools")
        return self


class CompletionRequest(SamplingBody):
    """POST /v1/completions."""

    prompt: (
        str
        | Tokens
        | Annotated[list[str], Field(min_length=1, max_length=MOST_CHOICES)]
        | Annotated[list[Tokens], Field(min_length=1, max_length=MOST_CHOICES)]
    )
    best_of: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    suffix: str | None = None


class EmbeddingRequest(Body):
    """POST /v1/embeddings."""

    model: Annotated[str, Field(max_length=256)]
    input: (
        str
        | Tokens
        | Annotated[list[str], Field(min_length=1, max_length=2048)]
        | Annotated[list[Tokens], Field(min_length=1, max_length=2048)]
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: Annotated[str, Field(max_length=256)] | None = None
