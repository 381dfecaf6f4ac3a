"""The verbs that other agents are offered on a user's memories, each as one request to /v1/memories.

Knows no protocol and no transport. No verb takes a user: it is whoever calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actors.messages import InvalidRequest, Json

PATH = "/v1/memories"
Method = Literal["GET", "POST", "PUT", "DELETE"]
MemoryId = Annotated[str, Field(min_length=1, description="Id of a memory, as add and search give it.")]
Session = Annotated[str | None, Field(description="Session that it belongs to; leave out for any or none.")]
Moment = Annotated[str | None, Field(description="A moment in ISO 8601, e.g. 2026-05-01T12:00:00Z.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of the memory routes, but for the user in its query or body."""

    method: Method
    path: str
    query: Mapping[str, Json] = field(default_factory=dict)
    body: Mapping[str, Json] | None = None


class Arguments(BaseModel):
    """What a verb takes; an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def call(self) -> Call:
        """The request that does it."""
        raise NotImplementedError


class Add(Arguments):
    """Remember something that the user said or that is worth knowing about them, word for word."""

    text: Annotated[str, Field(min_length=1, description="What to remember, in whole sentences.")]
    run_id: Session = None
    agent_id: Annotated[str | None, Field(description="Name of the agent that adds it.")] = None
    timestamp: Moment = None
    metadata: Annotated[dict[str, Any] | None, Field(description="Anything to keep with it.")] = None
    event_id: Annotated[
        str | None, Field(description="Your own id of this call: the same one twice writes once.")
    ] = None

    def call(self) -> Call:
        """POST it as a note."""
        return Call(method="POST", path=PATH, body=_given(self))


class Search(Arguments):
    """Find the memories that bear most on a question, best first; what holds now stands before what held."""

    query: Annotated[str, Field(min_length=1, description="A question, or words.")]
    limit: Annotated[int, Field(ge=1, le=1000, description="Most memories to give.")] = 10
    as_of: Moment = None
    run_id: Session = None

    def call(self) -> Call:
        """POST the query."""
        return Call(method="POST", path=f"{PATH}/search", body=_given(self))


class Get(Arguments):
    """Read one memory."""

    memory_id: MemoryId

    def call(self) -> Call:
        """GET it."""
        return Call(method="GET", path=_path(self.memory_id))


class GetAll(Arguments):
    """List memories, newest first, a page at a time."""

    page: Annotated[int, Field(ge=1, description="Counted from 1.")] = 1
    page_size: Annotated[int, Field(ge=1, le=1000, description="Memories on a page.")] = 50
    run_id: Session = None

    def call(self) -> Call:
        """GET a page."""
        return Call(method="GET", path=PATH, query=_given(self))


class Update(Arguments):
    """Put another text in a memory's place, because it is wrong; what it said stays in its history."""

    memory_id: MemoryId
    text: Annotated[str, Field(min_length=1, description="What it says from now on.")]

    def call(self) -> Call:
        """PUT the text."""
        return Call(method="PUT", path=_path(self.memory_id), body={"text": self.text})


class Delete(Arguments):
    """Delete one memory for good."""

    memory_id: MemoryId

    def call(self) -> Call:
        """DELETE it."""
        return Call(method="DELETE", path=_path(self.memory_id))


class History(Arguments):
    """What became of a memory, oldest first."""

    memory_id: MemoryId

    def call(self) -> Call:
        """GET its changes."""
        return Call(method="GET", path=f"{_path(self.memory_id)}/history")


class Forget(Arguments):
    """Delete for good all memories that meet every condition given; at least one is needed.

    Ask with dry_run first, which tells what would go and changes nothing.
    """

    ids: Annotated[list[str] | None, Field(description="Ids of memories.")] = None
    run_id: Session = None
    matching: Annotated[str | None, Field(description="Words that a text must all hold.")] = None
    before: Moment = None
    everything: Annotated[bool, Field(description="All of the user's memories.")] = False
    dry_run: Annotated[bool, Field(description="Only tell what would go.")] = False

    def call(self) -> Call:
        """POST the conditions."""
        return Call(method="POST", path=f"{PATH}/forget", body=_given(self))


VERBS: Mapping[str, type[Arguments]] = {
    "add": Add,
    "search": Search,
    "get": Get,
    "get_all": GetAll,
    "update": Update,
    "delete": Delete,
    "history": History,
    "forget": Forget,
}
READING = frozenset({"search", "get", "get_all", "history"})
DESTRUCTIVE = frozenset({"update", "delete", "forget"})


def call_of(verb: str, arguments: Mapping[str, Json]) -> Call:
    """The request behind a verb. Raises InvalidRequest, naming what is wrong with the arguments."""
    if verb not in VERBS:
        raise InvalidRequest(f"there is no tool {verb!r}; there are {', '.join(VERBS)}")
    try:
        return VERBS[verb].model_validate(dict(arguments)).call()
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise InvalidRequest(f"{verb}: {'; '.join(faults)}") from error


def _given(arguments: Arguments) -> dict[str, Json]:
    return arguments.model_dump(exclude_none=True)


def _path(memory_id: str) -> str:
    return f"{PATH}/{quote(memory_id, safe='')}"
