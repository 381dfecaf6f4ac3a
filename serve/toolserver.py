"""The verbs of `serve.verbs` as tools of the Model Context Protocol: over HTTP and over stdio.

The one door to the library that speaks the protocol. Knows no memory.
"""

import inspect
import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.types import Receive, Scope
from starlette.types import Send as SendMessage

from actors.messages import Json, PalError
from serve.verbs import DESTRUCTIVE, READING, VERBS, Call, call_of

Send = Callable[[Call, Any], Awaitable[Json]]
"""Does a call for whoever made the HTTP request that came with it (None over stdio). Raises PalError."""

INSTRUCTIONS = (
    "A long-term memory of the user. Search it before you answer what the user may have told before; "
    "add what is worth knowing later, in the user's words. Newer facts take older ones' place by themselves."
)
TOOLS = [
    Tool(
        name=name,
        description=inspect.getdoc(arguments),
        input_schema=arguments.model_json_schema(),
        annotations=ToolAnnotations(
            read_only_hint=name in READING, destructive_hint=name in DESTRUCTIVE, open_world_hint=False
        ),
    )
    for name, arguments in VERBS.items()
]


async def respond(send: Send, most_bytes: int, scope: Scope, receive: Receive, reply: SendMessage) -> None:
    """Answer one HTTP request of the protocol. Nothing is kept between two, so any replica can answer."""
    manager = StreamableHTTPSessionManager(
        _server(send), json_response=True, stateless=True, max_request_body_size=most_bytes
    )
    async with manager.run():
        await manager.handle_request(scope, receive, reply)


async def serve_stdio(send: Send) -> None:
    """Answer on standard output what comes on standard input, until that ends."""
    server = _server(send)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


def _server(send: Send) -> "Server[dict[str, Any]]":
    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        try:
            found = await send(call_of(params.name, params.arguments or {}), context.request)
        except PalError as error:
            return _result(error.message, is_error=True)
        found = found if isinstance(found, dict) else {"results": found}
        return _result(json.dumps(found, ensure_ascii=False), found)

    return Server(
        "palimpsest",
        version=version("palimpsest"),
        instructions=INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=call_tool,
    )


async def _list_tools(_: object, __: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=TOOLS)


def _result(text: str, structured: Json = None, *, is_error: bool = False) -> CallToolResult:
    content = TextContent(type="text", text=text)
    return CallToolResult(content=[content], structured_content=structured, is_error=is_error)
