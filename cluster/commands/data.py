"""`pal data`: makes training data of one's own texts."""

from pathlib import Path
from typing import Annotated

import typer

from cluster.context import JsonFlag, emit, show_table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def data() -> None:
    """Make training data of texts and questions."""


@app.command()
def prepare(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Text files, directories of them, JSON lines with text and questions, SQuAD's JSON, "
            "or hf:NAME[:SPLIT] for a Hugging Face data set.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write the splits.")],
    domain: Annotated[
        str, typer.Option("--domain", metavar="NAME", help="What kind of text it is; figures are by kind.")
    ] = "text",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed splits otherwise.")] = 0,
    test_share: Annotated[
        float, typer.Option("--test-share", min=0, max=1, help="Share of the documents held out.")
    ] = 0.25,
    licence: Annotated[
        str,
        typer.Option("--licence", metavar="TEXT", help="What it is and may be used for, for the manifest."),
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Write texts and questions, split by document; where none are given, questions are made by rule."""
    from tune.prepare import prepare as prepared

    done = prepared(sources, out, domain=domain, seed=seed, test_share=test_share, licence=licence)
    if json:
        emit(done)
        return
    rows = [(name, done.documents[name], done.texts[name], done.questions[name]) for name in done.texts]
    show_table(("split", "documents", "texts", "questions"), rows)
    typer.echo(f"written to {out}")
