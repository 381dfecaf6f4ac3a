"""`pal models`."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def models() -> None:
    """Not built yet."""
