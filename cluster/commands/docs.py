"""`pal docs`: put documents in, list, search and remove them. Reads no document itself."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from actors.messages import Json, NotFound, NotReady, PalError, Unauthorized
from cluster.context import FAILED, JsonFlag, KeyOption, UrlOption, emit, note, settings_of, show_table

if TYPE_CHECKING:
    from cluster.client import Client

TYPES = frozenset(
    {".txt", ".text", ".md", ".markdown", ".mdown", ".mkd", ".mdx", ".html", ".htm", ".xhtml", ".pdf"}
)
"""Endings that are taken from a directory; a file named outright is always tried."""
TOGETHER = 2
"""Files sent at the same time: as many as the server reads at once."""

Status = Literal["added", "updated", "unchanged", "failed"]
Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories to walk.")]

app = typer.Typer(no_args_is_help=True, help="Add, list, search and remove documents.")


@dataclass(frozen=True)
class Candidate:
    """A file that may be added under `name`; `skipped` says why it is not."""

    path: Path
    name: str
    skipped: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    path: str
    filename: str
    status: Status
    id: str | None = None
    error: str | None = None


@app.command()
def add(
    ctx: typer.Context,
    paths: Paths,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="NAME", help="Also put them in this store; made if there is none."),
    ] = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Add txt, Markdown, HTML and PDF files, or whole directories of them."""
    from cluster.client import connect

    with connect(settings_of(ctx).settings, url, api_key) as client:
        outcomes = list(add_all(client, paths, store, quiet=as_json))
    if as_json:
        for outcome in outcomes:
            emit(outcome)
    else:
        _report(outcomes)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(FAILED)


@app.command("list")
def list_(
    ctx: typer.Context, url: UrlOption = None, api_key: KeyOption = None, as_json: JsonFlag = False
) -> None:
    """List the documents that are stored."""
    from cluster.client import connect

    with connect(settings_of(ctx).settings, url, api_key) as client:
        files = list(client.pages("/v1/files"))
    if as_json:
        for file in files:
            emit(file)
    elif not files:
        note("no documents yet; add some with: pal docs add PATH")
    else:
        show_table(
            ["Name", "Bytes", "Added", "Id"],
            ([file["filename"], file["bytes"], _when(file["created_at"]), file["id"]] for file in files),
        )


@app.command()
def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    store: Annotated[
        str | None, typer.Option("--store", metavar="ID|NAME", help="Look only in this store.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="Passages to show.")] = 5,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find the passages that fit a query best."""
    from cluster.client import connect

    with connect(settings_of(ctx).settings, url, api_key) as client:
        where = store_id(client, store) if store else "all"
        found = client.post(f"/v1/vector_stores/{where}/search", {"query": query, "max_num_results": k})[
            "data"
        ]
    if as_json:
        for hit in found:
            emit(hit)
        return
    if not found:
        note("nothing found")
    for hit in found:
        place = hit["attributes"]
        typer.echo(f"{hit['filename']}, characters {place['start']}–{place['end']}, score {hit['score']:.3f}")
        typer.echo("".join(f"  {line}\n" for part in hit["content"] for line in part["text"].splitlines()))


@app.command()
def rm(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="ID|NAME...", help="Ids or names of documents.")],
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Remove documents for good, with their passages and vectors."""
    from cluster.client import connect

    with connect(settings_of(ctx).settings, url, api_key) as client:
        ids = {file["filename"]: file["id"] for file in client.pages("/v1/files")}
        unknown = [name for name in names if name not in ids and name not in ids.values()]
        if unknown:
            raise NotFound(f"no such document: {', '.join(unknown)} (pal docs list shows them); none removed")
        for name in names:
            gone = client.delete(f"/v1/files/{ids.get(name, name)}")
            emit(gone) if as_json else typer.echo(f"removed {name}")


def add_all(
    client: "Client", paths: Iterable[Path], store: str | None = None, quiet: bool = False
) -> Iterator[Outcome]:
    """Add the files, showing progress on stderr; yields in their order, and one that fails stops no other.

    Raises NotReady and Unauthorized: these would fail for every file.
    """
    from rich.console import Console
    from rich.progress import track

    candidates = [candidate for path in paths for candidate in candidates_in(path)]
    _tell_skipped([candidate for candidate in candidates if candidate.skipped])
    wanted, clashes = _distinct(candidates)
    yield from clashes
    stored = {file["filename"]: file for file in client.pages("/v1/files")}
    target = _store_for(client, store) if store else None
    console = Console(stderr=True)
    with ThreadPoolExecutor(TOGETHER) as pool:
        outcomes = pool.map(lambda one: _add_one(client, one, stored.get(one.name), target), wanted)
        yield from track(
            outcomes,
            "Adding",
            total=len(wanted),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )


def candidates_in(path: Path, directory: Path | None = None) -> Iterator[Candidate]:
    """Files at `path`, sorted; named relative to `directory` (the working one) or to the path's parent."""
    base = (directory or Path.cwd()).resolve()
    root = path.resolve()
    if not root.is_relative_to(base):
        base = root.parent
    if not root.is_dir():
        yield Candidate(path, root.relative_to(base).as_posix())
        return
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            yield Candidate(file, file.relative_to(base).as_posix(), _why_skipped(file))


def _distinct(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Outcome]]:
    """Each file once; one whose name is another's too has failed, as it would replace that."""
    by_name: dict[str, Candidate] = {}
    clashes = []
    for candidate in candidates:
        if candidate.skipped:
            continue
        first = by_name.setdefault(candidate.name, candidate)
        if first.path.resolve() != candidate.path.resolve():
            error = f"{first.path} has the name {first.name} already; add this one from its own directory"
            clashes.append(Outcome(str(candidate.path), candidate.name, "failed", error=error))
    return list(by_name.values()), clashes


def store_id(client: "Client", name: str) -> str:
    """The id of a vector store given by id or name. Raises NotFound."""
    for store in client.pages("/v1/vector_stores"):
        if name in (store["id"], store["name"]):
            return str(store["id"])
    raise NotFound(f"no such store: {name}; `pal docs add PATH --store {name}` makes one")


def _store_for(client: "Client", name: str) -> str:
    try:
        return store_id(client, name)
    except NotFound:
        return str(client.post("/v1/vector_stores", {"name": name})["id"])


def _add_one(client: "Client", candidate: Candidate, before: Json | None, store: str | None) -> Outcome:
    path, name = str(candidate.path), candidate.name
    try:
        with candidate.path.open("rb") as content:
            digest = file_digest(content, "sha256").hexdigest()
            content.seek(0)
            file = client.upload(name, content)
        if store:
            client.post(f"/v1/vector_stores/{store}/files", {"file_id": file["id"]})
    except (NotReady, Unauthorized):
        raise
    except PalError as error:
        return Outcome(path, name, "failed", error=error.message)
    except OSError as error:
        return Outcome(path, name, "failed", error=error.strerror or str(error))
    if before is None:
        return Outcome(path, name, "added", file["id"])
    return Outcome(path, name, "unchanged" if before.get("sha256") == digest else "updated", file["id"])


def _why_skipped(file: Path) -> str:
    if file.name.startswith("."):
        return "hidden"
    return "" if file.suffix.lower() in TYPES else f"type {file.suffix or 'without ending'} is not read"


def _tell_skipped(skipped: Sequence[Candidate]) -> None:
    for reason, count in sorted(Counter(candidate.skipped for candidate in skipped).items()):
        note(f"skipped {count} {'file' if count == 1 else 'files'}: {reason}")


def _report(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.status == "failed":
            note(f"failed     {outcome.path}: {outcome.error}")
        else:
            typer.echo(f"{outcome.status:<10} {outcome.filename}")
    if not outcomes:
        note("no file to add")


def _when(created_at: float) -> str:
    return datetime.fromtimestamp(created_at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
