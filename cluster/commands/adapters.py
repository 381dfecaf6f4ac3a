"""`pal adapters`, `pal lineage`: trained versions of a server, or of the state directory while none runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from actors.messages import Json, PalError
from cluster.context import REFUSED, JsonFlag, KeyOption, UrlOption, emit, fail, settings_of, show_table

if TYPE_CHECKING:
    from actors.lineage import Lineage
    from cluster.client import Client
    from configs.schema import Settings

PATH = "/v1/adapters"
BASE = "the base model"
T = TypeVar("T")
VersionId = Annotated[str, typer.Argument(metavar="VERSION", help="A version, e.g. facts-1f0c….")]
ScopeOption = Annotated[
    str | None, typer.Option("--user", metavar="NAME", help="The version of one user, not that of all.")
]

app = typer.Typer(no_args_is_help=True, help="List, compare, promote, roll back, export and import adapters.")


class Place(Protocol):
    """Where versions are asked for; objects are those of the routes."""

    def versions(self) -> list[Json]: ...
    def version(self, id: str) -> Json: ...
    def promote(self, id: str, share: float, force: bool) -> Json: ...
    def rollback(self, user: str | None, reason: str, of: str | None) -> Json: ...
    def take(self, folder: Path, user: str | None) -> Json: ...
    def lineage(self, answer_id: str, user: str | None) -> Json: ...


@app.command("list")
def list_versions(
    ctx: typer.Context, url: UrlOption = None, api_key: KeyOption = None, as_json: JsonFlag = False
) -> None:
    """List versions, newest first."""
    with _place(ctx, url, api_key) as place:
        found = place.versions()[::-1]
    if as_json:
        for one in found:
            emit(one)
        return
    rows = (
        [_name(one), one["state"], _when(one), one["base_model"], one["parent"], _scores(one)]
        for one in found
    )
    show_table(["Version", "State", "Created", "Model", "Parent", "Scores"], rows)


@app.command()
def show(
    ctx: typer.Context,
    version: VersionId,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a version: what it learned from, its scores and verdict, and what became of it."""
    with _place(ctx, url, api_key) as place:
        found = place.version(version)
    if as_json:
        emit(found)
        return
    for name in ("version", "state", "reason", "scope", "base_model", "parent", "method", "path"):
        if found[name]:
            typer.echo(f"{name:14} {found[name]}")
    typer.echo(f"{'created':14} {_when(found)}")
    typer.echo(f"{'learned from':14} {', '.join(found['events'] or ()) or found['learned_from']}")
    for name, value in found["scores"].items():
        typer.echo(f"{'score':14} {name} {value:g}")
    for one in found["verdict"].get("slices", ()):
        typer.echo(f"{'passed' if one['passed'] else 'failed':14} {one['said']}")
    for one in found["history"] or ():
        typer.echo(f"{_when(one, 'at'):14} {one['state']}{': ' if one['reason'] else ''}{one['reason']}")


@app.command()
def diff(
    ctx: typer.Context,
    one: VersionId,
    other: VersionId,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare two versions: where they come from, what each learned from, their scores."""
    with _place(ctx, url, api_key) as place:
        found = _differences(place.version(one), place.version(other))
    if as_json:
        emit(found)
        return
    show_table(["", one, other], ([name, *pair] for name, pair in found["fields"].items()))
    show_table(["Score", one, other], ([name, *pair] for name, pair in found["scores"].items()))
    for id, events in ((one, found["only_in_first"]), (other, found["only_in_second"])):
        if events:
            typer.echo(f"{id} alone learned from {', '.join(events)}")


@app.command()
def promote(
    ctx: typer.Context,
    version: VersionId,
    shadow: Annotated[
        float, typer.Option("--shadow", min=0, max=0.99, help="Try it beside what serves, on this share.")
    ] = 0.0,
    force: Annotated[
        bool, typer.Option("--force", help="One that no gate judged, or that was retired.")
    ] = False,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Let a version serve; the one before it is retired."""
    with _place(ctx, url, api_key) as place:
        found = place.promote(version, shadow, force)
    emit(found) if as_json else typer.echo(f"{found['state']} {found['version']}")


@app.command()
def rollback(
    ctx: typer.Context,
    user: ScopeOption = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")] = "",
    of: Annotated[
        str | None, typer.Option("--of", metavar="VERSION", help="Only if this version serves still.")
    ] = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Retire the version that serves; the one that served well before it serves again."""
    with _place(ctx, url, api_key) as place:
        found = place.rollback(user, reason, of)
    emit(found) if as_json else typer.echo(f"serving {found['version'] or BASE}")


@app.command()
def export(
    ctx: typer.Context,
    version: VersionId,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that is new, or empty.")],
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy a version with its manifest, scores and verdict, for peft, or to be imported elsewhere."""
    from actors.training import manifests

    with _place(ctx, url, api_key) as place:
        found = place.version(version)
    manifests.export(Path(found["path"]), found, folder)
    emit({"version": version, "path": str(folder)}) if as_json else typer.echo(f"exported {folder}")


@app.command("import")
def import_(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", exists=True, file_okay=False, help="An adapter that was exported."),
    ],
    user: ScopeOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Check all of an exported adapter, and take it in as a candidate; exit code 4 where it is refused."""
    with _place(ctx, url, api_key) as place:
        found = place.take(folder.absolute(), user)
    emit(found) if as_json else typer.echo(f"{found['state']} {found['version']}")


def lineage(
    ctx: typer.Context,
    answer: Annotated[str, typer.Argument(metavar="ANSWER_ID", help="Id of a reply, e.g. chatcmpl-1f0c….")],
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Only if the answer was given to this user.")
    ] = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show which adapter, data and memories stand behind an answer."""
    with _place(ctx, url, api_key) as place:
        found = place.lineage(answer, user)
    if as_json:
        emit(found)
        return
    typer.echo(f"{'answer':14} {found['answer_id']} to {found['user_id']}, {_when(found)}")
    typer.echo(f"{'version':14} {found['version'] or BASE}")
    for one in found["versions"]:
        data = ", ".join(one["events"] or ()) or one["learned_from"]
        typer.echo(f"{one['version']:14} {one['state']}, {one['method']}, learned from {data}")
    typer.echo(f"{'memories':14} {', '.join(found['memories']) or 'none'}")


@contextmanager
def _place(ctx: typer.Context, url: str | None, api_key: str | None) -> Iterator[Place]:
    """The server that is named or runs, else the state directory. What a gate refuses exits with code 4."""
    from actors.training.manifests import REFUSED as CODE
    from cluster.client import connect
    from cluster.running import read_note

    settings = settings_of(ctx).settings
    try:
        if url is None and read_note(settings.home) is None:
            yield _Home(settings)
        else:
            with connect(settings, url, api_key) as client:
                yield _Server(client)
    except PalError as error:
        if error.code == CODE:
            fail(error.message, REFUSED)
        raise


class _Server:
    """Over the API."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def versions(self) -> list[Json]:
        return list(self._client.get(PATH)["data"])

    def version(self, id: str) -> Json:
        return self._client.get(f"{PATH}/{id}")

    def promote(self, id: str, share: float, force: bool) -> Json:
        return self._client.post(f"{PATH}/{id}/promote", {"shadow_share": share, "force": force})

    def rollback(self, user: str | None, reason: str, of: str | None) -> Json:
        return self._client.post(f"{PATH}/rollback", {"user_id": user, "reason": reason, "of": of})

    def take(self, folder: Path, user: str | None) -> Json:
        return self._client.post(f"{PATH}/import", {"path": str(folder), "user_id": user})

    def lineage(self, answer_id: str, user: str | None) -> Json:
        return self._client.get(f"/v1/lineage/{answer_id}", **({"user_id": user} if user else {}))


class _Home:
    """From the files, of which this is the only opener meanwhile."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def versions(self) -> list[Json]:
        async def ask(lineage: "Lineage") -> list[Json]:
            return [_object(version, events=False) for version in await lineage.versions()]

        return self._with(ask)

    def version(self, id: str) -> Json:
        async def ask(lineage: "Lineage") -> Json:
            return _object(await lineage.get(id), moves=await lineage.moves(id))

        return self._with(ask)

    def promote(self, id: str, share: float, force: bool) -> Json:
        async def ask(lineage: "Lineage") -> Json:
            return _object(await lineage.promote(id, share, force=force))

        return self._with(ask)

    def rollback(self, user: str | None, reason: str, of: str | None) -> Json:
        async def ask(lineage: "Lineage") -> Json:
            found = await lineage.rollback(user or "", reason, of=of)
            return {"version": found.id if found else None}

        return self._with(ask)

    def take(self, folder: Path, user: str | None) -> Json:
        async def ask(lineage: "Lineage") -> Json:
            return _object(await lineage.take(folder, user))

        return self._with(ask)

    def lineage(self, answer_id: str, user: str | None) -> Json:
        from serve.routes.adapters import behind

        async def ask(lineage: "Lineage") -> Json:
            return (await behind(lineage, answer_id, user, events=True)).model_dump()

        return self._with(ask)

    def _with(self, ask: Callable[["Lineage"], Awaitable[T]]) -> T:
        from actors.lineage import Lineage

        async def opened() -> T:
            lineage = Lineage(self._settings)
            await lineage.start()
            try:
                return await ask(lineage)
            finally:
                await lineage.close()

        return asyncio.run(opened())


def _object(version: Any, *, moves: Any = None, events: bool = True) -> Json:
    from serve.routes.adapters import version_object

    return version_object(version, moves, events=events).model_dump()


def _differences(one: Json, other: Json) -> Json:
    names = ("state", "scope", "base_model", "parent", "method", "created_at", "files")
    first, second = set(one["events"] or ()), set(other["events"] or ())
    return {
        "fields": {name: [one[name], other[name]] for name in names if one[name] != other[name]},
        "scores": {
            name: [one["scores"].get(name), other["scores"].get(name)]
            for name in sorted({*one["scores"], *other["scores"]})
        },
        "only_in_first": sorted(first - second),
        "only_in_second": sorted(second - first),
    }


def _name(one: Json) -> str:
    return f"{one['version']} ({one['scope']})" if one["scope"] else str(one["version"])


def _scores(one: Json) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in one["scores"].items())


def _when(one: Json, key: str = "created_at") -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(one[key]))
