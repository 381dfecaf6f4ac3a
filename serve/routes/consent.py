"""/v1/train/consent and /v1/train/data: what of a user may be learned from. Knows no training."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse

from actors.memory.records import Consent
from actors.messages import Json
from serve import learning
from serve.auth import named_user
from serve.memory_wire import Name
from serve.moments import iso
from serve.openapi import Reply
from serve.services import Services, ServicesDep, UserDep
from serve.wire import Body

router = APIRouter(prefix="/v1/train", tags=["training"])
LINES = "application/x-ndjson"
Key = Annotated[str | None, Header(alias="idempotency-key", min_length=1, max_length=256)]
_LINES_REPLY: dict[int | str, dict[str, Any]] = {
    200: {"description": "A record a line", "content": {LINES: {"schema": {"type": "string"}}}}
}


class WhoseConsent(BaseModel):
    """A query string; without `user_id` it is the caller's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: Name | None = None


class SetConsent(Body):
    """PUT /v1/train/consent: `shared` lets what concerns nobody in particular teach the common model too."""

    consent: Literal["on", "off"]
    shared: bool = False
    user_id: Name | None = None


class GivenConsent(Reply):
    """A user's consent to training; `unset`: only what a request allowed by itself may be trained on."""

    user_id: str
    consent: Literal["on", "off", "unset"]
    shared: bool
    changed_at: str | None


@router.get("/consent")
async def show_consent(
    asked: Annotated[WhoseConsent, Query()], services: ServicesDep, user: UserDep
) -> GivenConsent:
    """Whether what is kept of a user may be trained on."""
    owner = _owner(asked.user_id, user, services)
    return _given(owner, await services.keeper.consent(owner))


@router.put("/consent")
async def set_consent(
    body: SetConsent, services: ServicesDep, user: UserDep, key: Key = None
) -> GivenConsent:
    """Switch training on or off, for what was said before too; off also retires what learned from it."""
    owner = _owner(body.user_id, user, services)
    training = body.consent == "on"
    return _given(
        owner, await learning.set_consent(services, owner, training, shared=body.shared, event_id=key)
    )


@router.get("/data", response_class=StreamingResponse, responses=_LINES_REPLY)
async def data(
    asked: Annotated[WhoseConsent, Query()], services: ServicesDep, user: UserDep
) -> StreamingResponse:
    """All of a user that could be learned from, a JSON record a line; refused records tell only why."""
    pages = learning.learnable(services, _owner(asked.user_id, user, services))
    first: list[Json] = await anext(pages, [])
    return StreamingResponse(_lines(first, pages), media_type=LINES)


def _owner(named: str | None, user: str, services: Services) -> str:
    return user if named is None else named_user(user, named, services.settings)


def _given(user: str, consent: Consent) -> GivenConsent:
    said: Literal["on", "off", "unset"] = (
        "unset" if consent.training is None else "on" if consent.training else "off"
    )
    changed = None if consent.changed_at is None else iso(consent.changed_at)
    return GivenConsent(user_id=user, consent=said, shared=consent.shared, changed_at=changed)


async def _lines(first: list[Json], pages: AsyncIterator[list[Json]]) -> AsyncIterator[bytes]:
    if first:
        yield _encoded(first)
    async for page in pages:
        yield _encoded(page)


def _encoded(records: list[Json]) -> bytes:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
