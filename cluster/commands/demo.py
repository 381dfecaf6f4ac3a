"""`pal demo`: the project's own pages, three questions, cited answers."""

from pathlib import Path

import typer

from cluster.commands.ask import show_answer
from cluster.commands.docs import add_all, store_id
from cluster.context import FAILED, JsonFlag, KeyOption, UrlOption, emit, fail, settings_of

ROOT = Path(__file__).parents[2]
STORE = "palimpsest-demo"
QUESTIONS = (
    "Where are documents stored?",
    "When is an API key needed?",
    "What happens when nothing in the documents supports an answer?",
)


def demo(
    ctx: typer.Context, url: UrlOption = None, api_key: KeyOption = None, as_json: JsonFlag = False
) -> None:
    """Add this project's own pages and ask three questions about them."""
    from cluster.client import connect

    pages = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if path.is_file()]
    with connect(settings_of(ctx).settings, url, api_key) as client:
        failed = [one for one in add_all(client, pages, STORE, quiet=as_json) if one.status == "failed"]
        if failed:
            fail(f"{failed[0].filename}: {failed[0].error}", FAILED)
        store = store_id(client, STORE)
        if not as_json:
            typer.echo(f"{len(pages)} pages of this project are in the store {STORE}.")
        for question in QUESTIONS:
            answer = client.post("/v1/qa", {"question": question, "vector_store_ids": [store]})
            if as_json:
                emit({"question": question, **answer})
            else:
                typer.echo(f"\n> {question}")
                show_answer(answer)
    if not as_json:
        typer.echo('\nNow your own: pal docs add PATH, then pal ask "…", or just: pal chat')
