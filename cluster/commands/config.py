"""`pal config`."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Not built yet."""
