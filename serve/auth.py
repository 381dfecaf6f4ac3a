"""Who is asking: API keys, and what protects an open loopback server from foreign web pages."""

from collections.abc import Mapping
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.messages import Forbidden, PalError, Unauthorized
from configs.schema import LOOPBACK_HOSTS, Settings
from serve.errors import error_response

DEFAULT_USER = "default"
OPEN_PATHS = frozenset({"/health", "/ready"})
LOCAL_PATHS = frozenset({"/metrics", "/version", "/openapi.json"})


class Auth:
    """ASGI middleware: sets `state.user`, or answers 401 or 403."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._users = read_keys(settings.api_keys)
        self._host = settings.serve.host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed connection on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            user = self._user(scope)
        except PalError as error:
            await refuse(error, scope, receive, send)
            return
        scope.setdefault("state", {})["user"] = user
        await self._app(scope, receive, send)

    def _user(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        if not self._users:
            self._check_browser(headers)
            return DEFAULT_USER
        if scope["path"] in OPEN_PATHS or (scope["path"] in LOCAL_PATHS and _is_local(scope)):
            return DEFAULT_USER
        return identify(self._users, headers.get("authorization", ""))

    def _check_browser(self, headers: Headers) -> None:
        """Without keys, a page of another site could otherwise read answers or spend the machine."""
        if not _is_own_name(headers.get("host", ""), self._host):
            raise Forbidden("This server answers to loopback names only. Set an API key to use another name.")
        origin = headers.get("origin")
        if origin is not None and not _is_loopback(urlsplit(origin).hostname or ""):
            raise Forbidden("A web page of another origin may not use this server without an API key.")


def read_keys(entries: tuple[str, ...]) -> dict[str, str]:
    """Map each key to its user; an entry is `user:key` or a bare key."""
    split = [entry.partition(":") if ":" in entry else (DEFAULT_USER, "", entry) for entry in entries]
    return {key: user for user, _, key in split}


def identify(users: Mapping[str, str], authorization: str) -> str:
    """The user behind an Authorization header; every key is compared, so that time tells nothing.

    Raises Unauthorized.
    """
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise Unauthorized("You didn't provide an API key: send it as 'Authorization: Bearer KEY'.")
    given_bytes = given.strip().encode()
    matches = [user for key, user in users.items() if compare_digest(key.encode(), given_bytes)]
    if not matches:
        raise Unauthorized("Incorrect API key provided.")
    return matches[0]


def acting_user(user: str, named: str | None, settings: Settings) -> str:
    """Whose data a request may see: the key's user, or whom an open loopback server is told of."""
    return user if settings.api_keys or not named else named


def named_user(user: str, named: str, settings: Settings) -> str:
    """The user whom a request must name: the key's own, or anyone on an open loopback server.

    Raises Forbidden where the name is another's.
    """
    if settings.api_keys and named != user:
        raise Forbidden(f"This key is user {user!r}'s: user_id must be {user!r}.", "user_id")
    return named


def is_operator(user: str, settings: Settings) -> bool:
    """Whether a user runs this server: anyone on an open loopback server, else whose key is the first."""
    return not settings.api_keys or user == next(iter(read_keys(settings.api_keys).values()))


async def refuse(error: PalError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a connection with an error, whether HTTP or a WebSocket that is not open yet."""
    response = error_response(error)
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
        return
    await response(scope, receive, send)


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and _is_loopback(client[0])


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name in LOOPBACK_HOSTS or name.endswith(".localhost")


def _is_own_name(host: str, bound: str) -> bool:
    """Refuses names that a foreign DNS server could point here; an address or a single label cannot be."""
    name = urlsplit(f"//{host}").hostname or ""
    if "." not in name or name == bound or _is_loopback(name):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
