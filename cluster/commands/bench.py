"""`pal bench`."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Not built yet."""
