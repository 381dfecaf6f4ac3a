"""`pal compress`: make a file's text shorter, in this process and without a server. Decides on no word."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.messages import InvalidRequest, Json, NotFound, TooLarge, UnreadableType
from cluster.context import JsonFlag, emit, note, settings_of

if TYPE_CHECKING:
    from actors.compression.shortening import Shortened
    from configs.schema import Settings

STDIN = Path("-")


def compress(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Text to shorten; - reads standard input.")],
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget", help="Share of the tokens to keep; default: the setting compression.budget."
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", help="Favour what this question asks about.")
    ] = None,
    heatmap: Annotated[
        Path | None,
        typer.Option("--heatmap", metavar="OUT.html", help="Also write a page that shades every word."),
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Also guess the whole text from what was kept, with the model.")
    ] = False,
    reconstructor: Annotated[
        Path | None,
        typer.Option(
            "--reconstructor", metavar="DIR", help="Adapter of `pal train reconstructor`; default: its own."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Shorten a text to an exact share of its tokens; numbers, names, code and quotations stay whole."""
    from actors.compressor import load_shortener

    settings = settings_of(ctx).settings
    share = settings.compression.budget if budget is None else budget
    if not 0 < share <= 1:
        raise typer.BadParameter("it is a share of the tokens, above 0 and at most 1", param_hint="--budget")
    text = _read(file, settings.compression.max_characters)
    found = load_shortener(settings).shorten(text, share, question)
    if heatmap is not None:
        from cluster.heatmap import heatmap as drawn

        page = drawn(text, found, f"What was kept of {file.name}", f"asked for {share:.0%}")
        heatmap.write_text(page, encoding="utf-8")
    restored = {"restored": _restored(settings, found.text, reconstructor)} if restore else {}
    if as_json:
        emit(_report(found, share) | {"heatmap": heatmap} | restored)
        return
    typer.echo(found.text)
    for guess in restored.values():
        note("restored:")
        typer.echo(guess)
    kept = found.tokens_after / max(1, found.tokens_before)
    note(f"{found.tokens_before} tokens before, {found.tokens_after} after ({kept:.1%})")
    if found.over_budget:
        note("what is protected takes more than the budget; all of it was kept")
    if heatmap is not None:
        note(f"heat map: {heatmap}")


def _report(found: "Shortened", share: float) -> dict[str, Json]:
    return {
        "text": found.text,
        "tokens_before": found.tokens_before,
        "tokens_after": found.tokens_after,
        "budget": share,
        "over_budget": found.over_budget,
        "kept": found.kept,
        "protected": [{"start": one.start, "end": one.end, "kind": one.kind} for one in found.protected],
    }


def _restored(settings: "Settings", kept: str, adapter: Path | None) -> str:
    """The whole text as the reconstructor guesses it. Raises NotFound where none was trained."""
    from actors.compression.reconstructor import restored

    trained = settings.home / "training" / "reconstructor" / "adapter"
    if adapter is None and not trained.is_dir():
        raise NotFound(f"there is no reconstructor in {trained}: make one with `pal train reconstructor`")
    return asyncio.run(restored(settings, kept, adapter or trained))


def _read(file: Path, most: int) -> str:
    """The text of a file, or of standard input. Raises InvalidRequest, TooLarge, UnreadableType."""
    try:
        content = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"cannot read {file}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableType(f"{file} is no UTF-8 text: byte {error.start} is none") from error
    if not text.strip():
        raise InvalidRequest(f"{file} holds no text")
    if len(text) > most:
        raise TooLarge(f"{file} has {len(text)} characters, more than {most} (compression.max_characters)")
    return text
