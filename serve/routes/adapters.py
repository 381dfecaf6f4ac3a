"""/v1/adapters, /v1/lineage: which trained version serves, what stands behind an answer. Knows no file."""

from pathlib import Path as Folder
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from actors.lineage import Lineage
from actors.messages import Forbidden, NotFound, NotReady
from actors.training.manifests import manifest_of
from actors.training.versions import COMMON, Move, State, Version
from serve.auth import is_operator
from serve.memory_wire import Name
from serve.openapi import Reply
from serve.services import Services, ServicesDep, UserDep
from serve.wire import Body

router = APIRouter(prefix="/v1", tags=["adapters"])
VersionId = Annotated[str, Path(min_length=1, max_length=128)]
AnswerId = Annotated[str, Path(min_length=1, max_length=256)]


class PromoteVersion(Body):
    """POST /v1/adapters/{id}/promote: with a share it is tried beside what serves, on so many requests."""

    shadow_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    force: bool = False


class RollBack(Body):
    """POST /v1/adapters/rollback: without `user_id` the version for everybody; `of` names what is to go."""

    user_id: Name | None = None
    reason: Annotated[str, Field(max_length=1000)] = ""
    of: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class ImportVersion(Body):
    """POST /v1/adapters/import: a directory of the server's machine, for everybody or for one user."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    user_id: Name | None = None


class HistoryEntry(Reply):
    """A change of a version's state."""

    state: State
    reason: str
    at: float


class AdapterVersion(Reply):
    """A trained version. `events` are the ids of what it learned from, left out where they are others'."""

    object: Literal["adapter"] = "adapter"
    version: str
    state: State
    scope: str
    parent: str | None
    base_model: str
    base_model_hash: str | None
    created_at: float
    method: str
    learned_from: int
    events: list[str] | None
    scores: dict[str, float]
    verdict: dict[str, Any]
    reason: str
    forgotten: bool
    files: dict[str, str]
    path: str
    history: list[HistoryEntry] | None = None
    live: dict[str, Any] | None = None
    """What the replica that replies has seen of it: answers, ratings, how near each band is to its end."""


class AdapterList(Reply):
    """Versions, oldest first."""

    object: Literal["list"] = "list"
    data: list[AdapterVersion]


class RolledBack(Reply):
    """What serves now: null is the base model."""

    version: str | None


class AnswerLineage(Reply):
    """What stands behind an answer: its version and those that came before, and the memories told."""

    object: Literal["lineage"] = "lineage"
    answer_id: str
    user_id: str
    created_at: float
    version: str | None
    versions: list[AdapterVersion]
    memories: list[str]


@router.get("/adapters")
async def list_versions(services: ServicesDep, user: UserDep) -> AdapterList:
    """All versions; for a user who does not run this server, his own."""
    scope = None if is_operator(user, services.settings) else user
    found = await lineage_of(services).versions(scope)
    seen = services.watch.as_json
    return AdapterList(data=[version_object(one, events=False, live=seen(one.id)) for one in found])


@router.get("/adapters/{version_id}")
async def get_version(version_id: VersionId, services: ServicesDep, user: UserDep) -> AdapterVersion:
    """A version, what it learned from, and what became of it."""
    lineage = lineage_of(services)
    version = await lineage.get(version_id)
    if version.scope != user and not is_operator(user, services.settings):
        raise NotFound(f"there is no adapter version {version_id!r}", "version")
    moves, live = await lineage.moves(version_id), services.watch.as_json(version_id)
    return version_object(version, moves, live=live)


@router.post("/adapters/import")
async def import_version(body: ImportVersion, services: ServicesDep, user: UserDep) -> AdapterVersion:
    """Take an exported version in as a candidate, once all in it was checked."""
    _check_operator(user, services)
    return version_object(await lineage_of(services).take(Folder(body.path), body.user_id))


@router.post("/adapters/rollback")
async def roll_back(body: RollBack, services: ServicesDep, user: UserDep) -> RolledBack:
    """Take what serves out of service: what served well before it serves again, else the base model."""
    scope = COMMON if body.user_id is None else body.user_id
    if scope != user:
        _check_operator(user, services)
    found = await lineage_of(services).rollback(scope, body.reason, of=body.of)
    return RolledBack(version=found.id if found else None)


@router.post("/adapters/{version_id}/promote")
async def promote_version(
    version_id: VersionId, body: PromoteVersion, services: ServicesDep, user: UserDep
) -> AdapterVersion:
    """Let a version serve that a gate accepted; `force`: one that none has judged, or that was retired."""
    _check_operator(user, services)
    lineage = lineage_of(services)
    return version_object(await lineage.promote(version_id, body.shadow_share, force=body.force))


@router.get("/lineage/{answer_id}")
async def answer_lineage(
    answer_id: AnswerId,
    services: ServicesDep,
    user: UserDep,
    user_id: Annotated[Name | None, Query()] = None,
) -> AnswerLineage:
    """What stands behind an answer of the caller's own; whoever runs the server sees those of others too."""
    operator = is_operator(user, services.settings)
    return await behind(lineage_of(services), answer_id, user_id if operator else user, events=operator)


async def behind(lineage: Lineage, answer_id: str, user: str | None, *, events: bool) -> AnswerLineage:
    """An answer's version, and the known ones that it came from. Raises NotFound."""
    answer = await lineage.answer(answer_id, user)
    found: dict[str, Version] = {}
    wanted = answer.version
    while wanted is not None and wanted not in found:
        try:
            found[wanted] = await lineage.get(wanted)
        except NotFound:
            break
        wanted = found[wanted].parent
    return AnswerLineage(
        answer_id=answer.id,
        user_id=answer.user,
        created_at=answer.at,
        version=answer.version,
        versions=[version_object(one, events=events or one.scope == user) for one in found.values()],
        memories=list(answer.memories),
    )


def version_object(
    version: Version,
    moves: list[Move] | None = None,
    *,
    events: bool = True,
    live: dict[str, Any] | None = None,
) -> AdapterVersion:
    """A version as routes and `pal adapters` show it."""
    told = [HistoryEntry(state=one.state, reason=one.reason, at=one.at) for one in moves or ()]
    tree = manifest_of(version)
    return AdapterVersion(
        **{**tree, "events": tree["events"] if events else None},
        state=version.state,
        learned_from=len(version.events),
        reason=version.reason,
        forgotten=version.forgotten,
        path=version.path,
        history=told or None,
        live=live or None,
    )


def lineage_of(services: Services) -> Lineage:
    """Who keeps the versions. Raises NotReady where nobody does."""
    if services.lineage is None:
        raise NotReady("this server keeps no adapter versions")
    return services.lineage


def _check_operator(user: str, services: Services) -> None:
    if not is_operator(user, services.settings):
        raise Forbidden("Only whoever runs this server, the user of its first API key, may do this.")
