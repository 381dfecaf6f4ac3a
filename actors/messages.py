"""Frozen records and errors: all that crosses a process border. Knows no library beyond the standard one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]
Json = Any
"""A value as json.loads gives it."""


# --- errors: each is raised where it is found and becomes one HTTP answer or one CLI line ---


class PalError(Exception):
    """An error with a message for the user. `code` is OpenAI's error code, `param` the field at fault."""

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param, code)
        self.message = message
        self.param = param
        self.code = code or type(self).code

    def __str__(self) -> str:
        return self.message


class InvalidRequest(PalError):
    """The request cannot be carried out as it stands."""

    status = 400
    type = "invalid_request_error"


class ContextLengthExceeded(InvalidRequest):
    """Prompt and answer do not fit the model's context; nothing is ever cut silently."""

    code = "context_length_exceeded"


class Unprocessable(InvalidRequest):
    """Well-formed, but a value is not acceptable."""

    status = 422


class Unauthorized(PalError):
    """No key, or one that is not known."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(PalError):
    """A browser page of another origin, or a host name that is not this machine's."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(PalError):
    """A model, file, store or memory that is not there, or is not this user's."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class TooLarge(PalError):
    """More bytes, pages, characters or items than a setting allows."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class UnreadableType(PalError):
    """A file whose type no reader takes, or whose content is not what its name says."""

    status = 415
    type = "invalid_request_error"
    code = "unsupported_file_type"


class Busy(PalError):
    """The queue is full; try again later."""

    status = 503
    type = "server_error"
    code = "overloaded"


class NotReady(PalError):
    """Something needed is not there yet: a model not pulled, a server not up."""

    status = 503
    type = "server_error"
    code = "not_ready"


class Gone(NotReady):
    """An actor died and is being started again, or its node was lost."""


class Timeout(PalError):
    """The request outran `serve.request_timeout_s`."""

    status = 504
    type = "server_error"
    code = "timeout"


class EngineFailed(PalError):
    """The engine failed while generating."""

    code = "engine_error"


class Locked(PalError):
    """A directory of state that another process has open."""

    status = 503
    code = "store_locked"


# --- generation ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to pick tokens; `seed` makes a request repeatable.

    `max_tokens` None asks the generator for its default, fitted to the context; engines always get a number.

    `stop` strings are matched above the engine, on text. `json_schema` is a JSON-encoded schema that the
    output must satisfy (engines whose capabilities say so); `"{}"` means any JSON object.
    `logprobs` is how many alternatives to report for each token (0: the chosen one only; None: none).
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    json_schema: str | None = None
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's log probability (natural log) and the `top` alternatives, best first."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDelta:
    """What an engine yields: newly generated token ids; the last delta has a finish reason.

    `token_ids` holds no end-of-sequence token. `cached_tokens` counts prompt tokens served from a cache.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextLogprob:
    """TokenLogprob with the tokens as text and as raw bytes."""

    token: str
    bytes: bytes
    logprob: float
    top: tuple["TextLogprob", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """What a generator yields: new text (stop strings already cut) and running totals."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TextLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPrompt:
    """A conversation to be templated: OpenAI messages and tools, as plain JSON values.

    `tool_choice` is "none", "auto", "required" or a function's name.
    Example: ChatPrompt(messages=({"role": "user", "content": "Hello"},))
    """

    messages: tuple[Json, ...]
    tools: tuple[Json, ...] = ()
    tool_choice: str = "none"


Prompt = ChatPrompt | str | tuple[int, ...]
"""A conversation, raw text, or token ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do, and which model it holds."""

    engine: str
    model: str
    max_context: int
    json_schema: bool = False
    logprobs: bool = False
    adapters: bool = False
    why: str = ""
    """Why this engine was picked, where `auto` picked it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether something works now, and what is wrong if not."""

    ok: bool
    detail: str = ""
    running: int = 0
    waiting: int = 0


# --- shards of a model ---


Run = tuple[int, int]
"""Neighbouring places of the key-value pool: the first one's number and how many."""


@dataclass(frozen=True, slots=True)
class Span:
    """The layers `first` to `end` (exclusive) of a model that has `total`."""

    first: int
    end: int
    total: int

    @property
    def embeds(self) -> bool:
        """Whether token ids go in, and so the embedding is needed."""
        return self.first == 0

    @property
    def predicts(self) -> bool:
        """Whether picks come out, and so the last norm and the head are needed."""
        return self.end == self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Tokens of one sequence to be computed in one step, after those whose keys and values are kept.

    `runs` are the places of all kept tokens and these, in order: `start + len(tokens)` places in all.
    `want`: "nothing", the most likely next "token", its "logits", or "scores": the log probability of each of
    `targets`, the tokens that follow each of `tokens` (the last may have none).
    """

    tokens: tuple[int, ...]
    start: int
    runs: tuple[Run, ...]
    want: Literal["nothing", "token", "logits", "scores"] = "nothing"
    targets: tuple[int, ...] = ()
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """Keys in `runs` move back by `by` positions, because tokens before them were dropped."""

    runs: tuple[Run, ...]
    by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pass through all shards: shifts first, then the pieces as one row. Shards compute steps by number.

    Example: Step(epoch=0, number=0, pieces=(Piece(tokens=(1, 2), start=0, runs=((0, 2),), want="token"),))
    """

    epoch: int
    """Raised when a shard was lost: steps of an earlier epoch are refused."""
    number: int
    """From 0 in each epoch."""
    pieces: tuple[Piece, ...]
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """What came out for one piece, by its `want`."""

    token: int | None = None
    logits: Any = None
    """numpy float32 [V]."""
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFacts:
    """What a shard holds and where it is."""

    span: Span
    weight_bytes: int
    """Resident bytes of its weights, without adapters."""
    cache_bytes: int
    """Bytes of its key-value pool."""
    node: str
    pid: int
    adapters: tuple[str, ...] = ()
    merged: str | None = None


# --- documents ---


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """A file's text as it is kept; offsets everywhere count characters of `text`."""

    filename: str
    media_type: str
    text: str
    content: bytes
    sha256: str
    """Of `content`, hex."""


@dataclass(frozen=True, slots=True)
class ChunkText:
    """One passage of a document: `text == document_text[start:end]`. `heading` is context for search only."""

    start: int
    end: int
    text: str
    heading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """A stored document."""

    id: str
    filename: str
    media_type: str
    purpose: str
    bytes: int
    characters: int
    chunks: int
    sha256: str
    created_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """A vector store: a named set of files."""

    id: str
    name: str
    created_at: float
    file_ids: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class KeepScores:
    """How much each word of a text is worth keeping, a byte a word, as the policy of that identity says."""

    policy: str
    scores: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrieved passage, best first in any list. `parts` holds the score's parts by name.

    `lead` is how its document begins: it names the subject where the filename does not. `keep` is what was
    stored beside it, whichever policy made it.
    """

    document_id: str
    filename: str
    start: int
    end: int
    text: str
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    embedding: tuple[float, ...] = ()
    heading: str = ""
    lead: str = ""
    keep: KeepScores | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A quoted place: `document_text[start:end] == quote`."""

    document_id: str
    filename: str
    start: int
    end: int
    quote: str
    score: float


# --- compression ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A text made shorter. Its places count characters of the original, and each is in it byte for byte."""

    text: str
    kept: tuple[tuple[int, int], ...]
    """What the text is made of, in order; between two of them stands nothing, a space or a line break."""
    tokens_before: int
    tokens_after: int
    budget: float
    """Share of the tokens that was aimed at: as asked, or what "auto" stood for."""
    bypassed: bool = False
    """The text is whole: it is short, or compressing it would cost more than it saves."""
    over_budget: bool = False
    """What is protected takes more than the budget: all of it was kept, and nothing else."""
    protected: int = 0
    """Places that are always kept whole."""
    why: str = ""
    """Why it was bypassed."""
    seconds: float = 0.0
