"""`pal mcp`: a user's memories as tools for other agents, over standard input and output. Stores nothing."""

from typing import TYPE_CHECKING

import typer

from cluster.context import KeyOption, UrlOption, settings_of
from cluster.memories import UserOption, owner

if TYPE_CHECKING:
    from actors.messages import Json
    from cluster.client import Client
    from serve.verbs import Call


def mcp(
    ctx: typer.Context, user: UserOption = None, url: UrlOption = None, api_key: KeyOption = None
) -> None:
    """Offer the memories to other agents, over the Model Context Protocol on stdin and stdout."""
    import asyncio

    from cluster.client import connect
    from serve.toolserver import serve_stdio

    settings = settings_of(ctx).settings
    name = owner(settings, user, api_key)
    with connect(settings, url, api_key) as client:

        async def ask(call: "Call", _: object) -> "Json":
            return await asyncio.to_thread(_asked, client, name, call)

        asyncio.run(serve_stdio(ask))


def _asked(client: "Client", user: str, call: "Call") -> "Json":
    if call.method == "POST":
        return client.post(call.path, {**(call.body or {}), "user_id": user})
    if call.method == "PUT":
        return client.put(call.path, call.body, user_id=user)
    if call.method == "DELETE":
        return client.delete(call.path, user_id=user)
    return client.get(call.path, user_id=user, **call.query)
