"""`pal ask`: one question, answered from the documents with its sources, or plainly not."""

from collections.abc import Iterable
from textwrap import shorten
from typing import Annotated, Any

import typer

from actors.messages import Json
from cluster.context import JsonFlag, KeyOption, UrlOption, emit, note, settings_of

GLANCE = 200
"""Characters of a quote that are shown beside its place; --json gives all of it."""
CompressOption = Annotated[
    str | None,
    typer.Option(
        "--compress", metavar="auto|SHARE", help="Shorten what the model reads; auto where it pays."
    ),
]
NOTHING = "Nothing in the documents supports an answer."


def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    store: Annotated[
        list[str] | None,
        typer.Option("--store", metavar="ID|NAME", help="Look only in this store; repeatable."),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, max=100, help="Passages to read.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model that words the answer.")] = None,
    compress: CompressOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask one question of your documents and get an answer with its sources."""
    from cluster.client import connect
    from cluster.commands.docs import store_id

    with connect(settings_of(ctx).settings, url, api_key) as client:
        body: dict[str, Any] = {"question": question, "k": k, "model": model}
        if store:
            body["vector_store_ids"] = [store_id(client, name) for name in store]
        if compress is not None:
            body["compression"] = compression_of(compress)
        answer = client.post("/v1/qa", {key: value for key, value in body.items() if value is not None})
    if as_json:
        emit(answer)
    else:
        show_answer(answer)
        note_compression(answer.get("compression"))


def compression_of(budget: str) -> Json:
    """What a request says of a `--compress` option. Raises BadParameter."""
    if budget == "auto":
        return {"budget": budget}
    try:
        share = float(budget)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise typer.BadParameter("auto, or a share above 0 and at most 1", param_hint="--compress")
    return {"budget": share}


def note_compression(found: Json) -> None:
    """Tell what was saved, or why nothing was."""
    if found == "unavailable":
        note("compression: unavailable")
    elif found:
        before, after = found["tokens_before"], found["tokens_after"]
        note(
            "compression: nothing to save" if found["bypassed"] else f"compressed: {before} → {after} tokens"
        )


def show_answer(answer: Json) -> None:
    """Print the answer, the sentence it rests on, and where that stands; or that there is none."""
    from rich.console import Console
    from rich.text import Text

    console = Console(markup=False, highlight=False, soft_wrap=True)
    if answer["abstained"]:
        console.print(Text(NOTHING, style="yellow"))
        return
    worded, quote = answer["answer"].strip(), " ".join(answer["quote"].split())
    if worded:
        console.print(Text(worded, style="bold"))
    if quote and quote != worded:
        console.print(Text(f"“{quote}”", style="italic"))
    for line in cited(answer["citations"]):
        console.print(Text(line, style="dim"))


def cited(citations: Iterable[Json]) -> list[str]:
    """One line for each citation: number, file, characters, and the quote, shortened to a glance."""
    return [
        f"  [{number}] {place['filename']}, characters {place['start']}–{place['end']}: "
        f"“{shorten(place['quote'], GLANCE, placeholder=' …')}”"
        for number, place in enumerate(citations, start=1)
    ]
