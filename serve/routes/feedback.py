"""POST /v1/feedback: what a user thinks of an answer. Knows no training."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import BeforeValidator, Field

from serve import learning
from serve.auth import named_user
from serve.memory_wire import Name, Text
from serve.moments import iso
from serve.openapi import Reply
from serve.services import ServicesDep, UserDep
from serve.wire import Body

router = APIRouter(prefix="/v1/feedback", tags=["training"])
Key = Annotated[str | None, Header(alias="idempotency-key", min_length=1, max_length=256)]


def _number(value: Any) -> Any:
    """Raises ValueError for true, which is 1 to Python."""
    if isinstance(value, bool):
        raise ValueError("a rating is -1 or 1")
    return value


Rating = Annotated[Literal[-1, 1], BeforeValidator(_number)]


class GiveFeedback(Body):
    """A rating, or the answer that should have been given, or both; without `user_id` it is the caller's."""

    completion_id: Annotated[str, Field(min_length=1, max_length=256)]
    rating: Rating | None = None
    correction: Text | None = None
    user_id: Name | None = None


class GivenFeedback(Reply):
    """What is kept now of the user's opinion of that answer."""

    id: str
    object: Literal["feedback"] = "feedback"
    completion_id: str
    rating: int | None
    correction: str | None
    created_at: str


@router.post("")
async def give_feedback(
    body: GiveFeedback, services: ServicesDep, user: UserDep, key: Key = None
) -> GivenFeedback:
    """Rate or correct an answer that was given to this very user; the last word counts."""
    owner = user if body.user_id is None else named_user(user, body.user_id, services.settings)
    found = await learning.give_feedback(
        services, owner, body.completion_id, rating=body.rating, correction=body.correction, event_id=key
    )
    return GivenFeedback(
        id=found.id,
        completion_id=found.completion_id,
        rating=found.rating,
        correction=found.correction,
        created_at=iso(found.at),
    )
