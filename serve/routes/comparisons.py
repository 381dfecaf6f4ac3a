"""/v1/train/preference and /v1/train/reward: answers that users compared. Knows no training."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Header
from pydantic import Field

from actors.memory.comparisons import MOST_ANSWERS, MOST_MESSAGES
from actors.memory.records import Judged
from actors.messages import InvalidRequest
from serve import learning
from serve.auth import named_user
from serve.memory_wire import EventId, Name, Text
from serve.moments import iso
from serve.openapi import Reply
from serve.services import Services, ServicesDep, UserDep
from serve.wire import Body, Message

router = APIRouter(prefix="/v1/train", tags=["training"])
Key = Annotated[str | None, Header(alias="idempotency-key", min_length=1, max_length=256)]
Messages = Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES)]
Score = Annotated[float, Field(ge=-1e9, le=1e9)]


class Compared(Body):
    """A conversation whose answers are compared; it ends with the user's message.

    `event_id`, or the header idempotency-key, makes a retry write once. `training`: whether it may be learned
    from; unset, as the user's consent says. Without `user_id` it is the caller's.
    """

    messages: Messages
    user_id: Name | None = None
    event_id: EventId | None = None
    training: bool | None = None


class GivePreference(Compared):
    """POST /v1/train/preference: of two answers the better one and the worse one."""

    chosen: Text
    rejected: Text


class Completion(Body):
    """An answer and how good it is: only how it compares with the others' scores counts."""

    text: Text
    score: Score


class GiveReward(Compared):
    """POST /v1/train/reward: several answers with scores that are not all equal."""

    completions: Annotated[list[Completion], Field(min_length=1, max_length=MOST_ANSWERS)]


class GivenComparison(Reply):
    """What was kept, by the id with which it can be forgotten."""

    id: str
    object: Literal["preference", "reward"]
    created_at: str


@router.post("/preference")
async def give_preference(
    body: GivePreference, services: ServicesDep, user: UserDep, key: Key = None
) -> GivenComparison:
    """Keep that one answer is better than another, to be learned from with consent."""
    answers = (Judged(body.chosen), Judged(body.rejected))
    return await _given(body, answers, services, user, key)


@router.post("/reward")
async def give_reward(
    body: GiveReward, services: ServicesDep, user: UserDep, key: Key = None
) -> GivenComparison:
    """Keep how good several answers are, to be learned from with consent."""
    answers = [Judged(one.text, one.score) for one in body.completions]
    return await _given(body, answers, services, user, key)


async def _given(
    body: Compared, answers: Sequence[Judged], services: Services, user: str, key: str | None
) -> GivenComparison:
    if body.event_id is not None and key is not None and body.event_id != key:
        raise InvalidRequest("event_id and the header idempotency-key differ", "event_id")
    owner = user if body.user_id is None else named_user(user, body.user_id, services.settings)
    found = await learning.give_comparison(
        services,
        owner,
        [_plain(number, message) for number, message in enumerate(body.messages)],
        answers,
        event_id=body.event_id or key,
        training=body.training,
    )
    return GivenComparison(id=found.id, object=found.kind, created_at=iso(found.at))


def _plain(number: int, message: Message) -> dict[str, str]:
    """A message as role and text. Raises InvalidRequest for one that calls tools."""
    if message.tool_calls:
        raise InvalidRequest("messages that call tools are not learned from", f"messages[{number}]")
    return {"role": message.role, "content": message.words}
