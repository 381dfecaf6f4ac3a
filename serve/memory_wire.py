"""Request bodies and queries of the memory routes, in mem0's words. Knows no handler and no reply."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from serve.moments import Day, Moment
from serve.wire import Body, Message

MOST_MESSAGES = 1000
MOST_IDS = 1000
NAME = 256
"""Characters of a user's, run's, agent's or speaker's name."""
METADATA_BYTES = 16_384
METADATA_DEPTH = 8


def _worded(text: str) -> str:
    if not text.strip():
        raise ValueError("a text needs words")
    return text


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:
        raise ValueError("not every number in it is finite") from error
    if size > METADATA_BYTES:
        raise ValueError(f"larger than {METADATA_BYTES} bytes of JSON")
    if _depth(metadata) > METADATA_DEPTH:
        raise ValueError(f"nested deeper than {METADATA_DEPTH} levels")
    return metadata


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


Name = Annotated[str, Field(min_length=1, max_length=NAME)]
"""A user, run or agent."""
Id = Annotated[str, Field(min_length=1, max_length=128)]
Text = Annotated[str, Field(min_length=1, max_length=1_000_000), AfterValidator(_worded)]
"""Bound of the schema; the setting `memory.max_characters` is lower."""
Query = Annotated[str, Field(min_length=1, max_length=16_384), AfterValidator(_worded)]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=256)], Any], Field(max_length=256), AfterValidator(_small)
]
Importance = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=3_200_000_000)]
EventId = Annotated[str, Field(min_length=1, max_length=256)]
Limit = Annotated[int, Field(ge=1, le=1000)]


def _one_of(body: BaseModel, *names: str, needed: bool = True) -> None:
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) > 1 or (needed and not given):
        which = " and ".join(repr(name) for name in given) or "none of them"
        raise PydanticCustomError(
            "extra_choice", "{text}", {"text": f"give one of {', '.join(names)}; there is {which}"}
        )


class AddMemories(Body):
    """POST /v1/memories: messages of a conversation, or one text. `run_id` is the session they belong to.

    `timestamp` is when it was said. System messages are not remembered. `infer` true is refused: facts are
    read by rules at every write, and no model decides what is kept. `training`: whether it may be trained on;
    unset, as the user's consent says.
    """

    messages: Text | Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)] | None = None
    text: Text | None = None
    user_id: Name
    run_id: Name | None = None
    agent_id: Name | None = None
    metadata: Metadata | None = None
    timestamp: Moment | None = None
    event_id: EventId | None = None
    infer: bool | None = None
    expiration_date: Day | None = None
    ttl: Seconds | None = None
    importance: Importance | None = None
    pinned: bool | None = None
    training: bool | None = None

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "AddMemories":
        _one_of(self, "messages", "text")
        _one_of(self, "expiration_date", "ttl", needed=False)
        if isinstance(self.messages, list) and any(len(one.name or "") > NAME for one in self.messages):
            raise ValueError(f"a name is longer than {NAME} characters")
        return self


class SearchMemories(Body):
    """POST /v1/memories/search; `top_k` is another name for `limit`. `as_of` asks as one would have then."""

    query: Query
    user_id: Name
    limit: Limit | None = None
    top_k: Limit | None = None
    as_of: Moment | None = None
    run_id: Name | None = None
    agent_id: Name | None = None
    archived: bool | None = None

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "SearchMemories":
        _one_of(self, "limit", "top_k", needed=False)
        return self


class UpdateMemory(Body):
    """PUT /v1/memories/{id}: what is given changes; `data` is another name for `text`."""

    text: Text | None = None
    data: Text | None = None
    metadata: Metadata | None = None
    importance: Importance | None = None
    pinned: bool | None = None
    archived: bool | None = None
    event_id: EventId | None = None

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "UpdateMemory":
        _one_of(self, "text", "data", needed=False)
        if not self.model_dump(exclude={"event_id"}, exclude_none=True):
            raise PydanticCustomError("extra_choice", "nothing to change is given")
        return self


class ForgetMemories(Body):
    """POST /v1/memories/forget: what meets every condition goes for good; `everything` is all of the user.

    `matching`: texts that hold all of these words. `before`: said before that moment.
    """

    user_id: Name
    ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_IDS)] | None = None
    run_id: Name | None = None
    agent_id: Name | None = None
    matching: Query | None = None
    before: Moment | None = None
    everything: bool = False
    dry_run: bool = False
    event_id: EventId | None = None


class ConsolidateMemories(Body):
    """POST /v1/memories/consolidate."""

    user_id: Name
    event_id: EventId | None = None


class Asking(BaseModel):
    """A query string: an unknown name in it is an error, as a misspelt filter would be dangerous."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    user_id: Name


class Filtered(Asking):
    """DELETE /v1/memories."""

    run_id: Name | None = None
    agent_id: Name | None = None


class Listed(Filtered):
    """GET /v1/memories."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    page_size: Annotated[int, Field(ge=1, le=1000)] = 100


class FactsAsked(Asking):
    """GET /v1/memories/facts; `history` asks for all that were ever stated."""

    subject: Name | None = None
    slot: Name | None = None
    as_of: Moment | None = None
    history: bool = False


class TombstonesAsked(Asking):
    """GET /v1/memories/tombstones: those since `after`."""

    after: Moment | None = None
