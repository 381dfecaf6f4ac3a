"""/v1/train: rounds of learning from what users told. Knows no step of a round."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from actors.messages import Forbidden, NotReady
from actors.rounds import Rounds
from actors.training.rounds import Phase, Round
from serve.auth import is_operator
from serve.openapi import Reply
from serve.services import Services, ServicesDep, UserDep
from serve.wire import Body

router = APIRouter(prefix="/v1/train", tags=["training"])
Whose = Annotated[str, Field(max_length=256)]


class TrainInteractions(Body):
    """POST /v1/train/interactions: for one user, for everybody's model (empty), or for all with news."""

    user_id: Whose | None = None


class Schedule(Body):
    """PUT /v1/train/schedule: 0 is never."""

    every_hours: Annotated[float, Field(ge=0, le=8760)]


class Waiting(Reply):
    """Whom will be learned for, in order; the empty name is everybody's model."""

    waiting: list[str]


class LoopRound(Reply):
    """A turn of the loop."""

    id: str
    user_id: str
    phase: Phase
    created_at: float
    ended_at: float | None
    counts: dict[str, int]
    quarantined: dict[str, int]
    figures: dict[str, float]
    version: str | None
    accepted: bool | None
    reasons: list[str]


class TrainStatus(Reply):
    """What is learned now, what waits, and the last rounds, newest first."""

    running: str | None
    waiting: list[str]
    next_at: float | None
    fault: str
    rounds: list[LoopRound]


@router.post("/interactions", status_code=202)
async def train_interactions(body: TrainInteractions, services: ServicesDep, user: UserDep) -> Waiting:
    """Begin rounds of learning; where too little is new, none is made."""
    if body.user_id != user and not is_operator(user, services.settings):
        raise Forbidden(
            "Only whoever runs this server may have it learn for others: name yourself.", "user_id"
        )
    wanted = None if body.user_id is None else [body.user_id]
    return Waiting(waiting=list(await rounds_of(services).ask(wanted)))


@router.get("/status")
async def train_status(services: ServicesDep, user: UserDep) -> TrainStatus:
    """What the loop does; users see their own rounds, whoever runs the server all of them."""
    found = await rounds_of(services).status()
    every = is_operator(user, services.settings)
    return TrainStatus(
        running=found.running if every or found.running == user else None,
        waiting=[one for one in found.waiting if every or one == user],
        next_at=found.next_at,
        fault=found.fault if every else "",
        rounds=[round_object(one) for one in found.rounds if every or one.scope == user],
    )


@router.put("/schedule")
async def set_schedule(body: Schedule, services: ServicesDep, user: UserDep) -> TrainStatus:
    """Have rounds begun by the clock, after restarts too."""
    if not is_operator(user, services.settings):
        raise Forbidden("Only whoever runs this server may set when it learns.")
    await rounds_of(services).schedule(body.every_hours)
    return await train_status(services, user)


def round_object(round: Round) -> LoopRound:
    """A round as routes and `pal loop` show it."""
    return LoopRound(
        id=round.id,
        user_id=round.scope,
        phase=round.phase,
        created_at=round.created_at,
        ended_at=round.ended_at,
        counts=dict(round.counts),
        quarantined=dict(round.quarantined),
        figures=dict(round.figures),
        version=round.version,
        accepted=round.accepted,
        reasons=list(round.reasons),
    )


def rounds_of(services: Services) -> Rounds:
    """Who carries the loop out. Raises NotReady where nobody does."""
    if services.rounds is None:
        raise NotReady("this server does not learn")
    return services.rounds
