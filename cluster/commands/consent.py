"""`pal consent`: whether what is kept of a user may be trained on. Talks to a server."""

from typing import Annotated

import typer

from actors.messages import Json
from cluster.context import JsonFlag, KeyOption, UrlOption, emit
from cluster.memories import UserOption, local_time, server

PATH = "/v1/train/consent"
SAID = {
    "on": "may be trained on",
    "off": "may not be trained on",
    "unset": "may not be trained on, but for what a request allowed by itself",
}

app = typer.Typer(no_args_is_help=True, help="Whether what is kept of a user may be trained on.")


@app.command()
def show(
    ctx: typer.Context,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what the user said."""
    with server(ctx, user, url, api_key) as (client, whose):
        _tell(client.get(PATH, **whose), as_json)


@app.command()
def on(
    ctx: typer.Context,
    shared: Annotated[
        bool,
        typer.Option("--shared", help="What is nobody's in particular may teach everybody's model too."),
    ] = False,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Allow training on all that is kept of the user, but for what a request excepted."""
    with server(ctx, user, url, api_key) as (client, whose):
        _tell(client.put(PATH, {"consent": "on", "shared": shared, **whose}), as_json)


@app.command()
def off(
    ctx: typer.Context,
    user: UserOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Withdraw it, for what was said before too; adapters that learned from it stop serving."""
    with server(ctx, user, url, api_key) as (client, whose):
        _tell(client.put(PATH, {"consent": "off", **whose}), as_json)


def _tell(consent: Json, as_json: bool) -> None:
    if as_json:
        emit(consent)
        return
    since = f", since {local_time(consent['changed_at'])}" if consent["changed_at"] else ""
    shared = "; what is nobody's in particular may teach everybody's model too" if consent["shared"] else ""
    typer.echo(f"what is kept of {consent['user_id']} {SAID[consent['consent']]}{since}{shared}")
