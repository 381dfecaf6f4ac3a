"""Speaks HTTP to a running server. Knows no command and prints nothing."""

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx

from actors.messages import Json, NotReady, PalError, Timeout, Unauthorized
from cluster.running import local_url, read_note
from configs.schema import LOOPBACK_HOSTS, Settings

PAGE = 100


class Client:
    """One server, one key. Every method raises PalError with the server's own message.

    NotReady means that nothing answers, or that the server is still starting.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        timeout_s: float = 600,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = _checked(url)
        beyond = httpx.URL(self.url).host not in LOOPBACK_HOSTS
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(timeout_s, connect=5),
            trust_env=beyond,
            transport=transport,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Json:
        """The JSON value at `path`."""
        return self._send("GET", path, params=params)

    def post(self, path: str, body: Json) -> Json:
        """What the server answers to a JSON body."""
        return self._send("POST", path, json=body)

    def put(self, path: str, body: Json, **params: Any) -> Json:
        """What the server answers to a JSON body that is put."""
        return self._send("PUT", path, json=body, params=params)

    def delete(self, path: str, **params: Any) -> Json:
        """What the server answers to a DELETE."""
        return self._send("DELETE", path, params=params)

    def lines(self, path: str, **params: Any) -> Iterator[bytes]:
        """The lines of a reply as they come, without their ends. Raises PalError too if it is cut short."""
        with self._errors(), self._http.stream("GET", path, params=params) as response:
            if response.is_error:
                response.read()
                raise _error_of(response)
            rest = b""
            for part in response.iter_bytes():
                *whole, rest = (rest + part).split(b"\n")
                yield from whole
            if rest:
                yield rest

    def send_lines(self, path: str, lines: Sequence[bytes], **params: Any) -> Json:
        """What the server answers to JSON lines."""
        headers = {"content-type": "application/x-ndjson"}
        return self._send("POST", path, content=b"\n".join(lines), params=params, headers=headers)

    def upload(self, filename: str, content: BinaryIO | bytes) -> Json:
        """The file object of a document that the server has now stored."""
        form = {"purpose": "assistants"}
        return self._send("POST", "/v1/files", files={"file": (filename, content)}, data=form)

    def pages(self, path: str, **params: Any) -> Iterator[Json]:
        """Every object of an OpenAI list, page by page."""
        after: dict[str, str] = {}
        while True:
            page = self.get(path, limit=PAGE, **params, **after)
            yield from page["data"]
            if not page.get("has_more") or not page["data"]:
                return
            after = {"after": page["data"][-1]["id"]}

    def stream(self, path: str, body: Json) -> Generator[Json, None, None]:
        """The chunks of a streamed answer as they come. Closing the iterator stops the generation."""
        with self._errors(), self._http.stream("POST", path, json={**body, "stream": True}) as response:
            if response.is_error:
                response.read()
                raise _error_of(response)
            for line in response.iter_lines():
                data = line.removeprefix("data:").strip()
                if not line.startswith("data:") or data == "[DONE]":
                    continue
                chunk = json.loads(data)
                if "error" in chunk:
                    raise PalError(chunk["error"]["message"], code=chunk["error"].get("code"))
                yield chunk

    def _send(self, method: str, path: str, **request: Any) -> Json:
        with self._errors():
            response = self._http.request(method, path, **request)
        if response.is_error:
            raise _error_of(response)
        try:
            return response.json()
        except ValueError as error:
            raise PalError(
                f"{self.url} answered something else than JSON; is it a palimpsest server?"
            ) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotReady(f"no server answers at {self.url}; start one with: pal up") from error
        except httpx.TimeoutException as error:
            raise Timeout(f"{self.url} did not answer in time") from error
        except httpx.TransportError as error:
            raise PalError(f"the connection to {self.url} broke: {error}") from error


def connect(settings: Settings, url: str | None = None, api_key: str | None = None) -> Client:
    """A client of the server at `url`, else of the one `pal up` noted, else at the configured address."""
    if url is None:
        running = read_note(settings.home)
        url = running.url if running else local_url(settings.serve.host, settings.port)
    if api_key is None and settings.api_keys:
        user, separator, key = settings.api_keys[0].partition(":")
        api_key = key if separator else user
    return Client(url, api_key, timeout_s=settings.serve.request_timeout_s + 10)


def _checked(url: str) -> str:
    full = url if "://" in url else f"http://{url}"
    try:
        parsed = httpx.URL(full)
    except httpx.InvalidURL as error:
        raise PalError(f"{url} is no http address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise PalError(f"{url} is no http address")
    return full.rstrip("/").removesuffix("/v1")


def _error_of(response: httpx.Response) -> PalError:
    try:
        error = response.json()["error"]
        message, code = str(error["message"]), error.get("code")
    except (ValueError, KeyError, TypeError):
        return PalError(f"the server answered {response.status_code} {response.reason_phrase}")
    if response.status_code == 401:
        return Unauthorized(f"{message} (give a key with --api-key, or set PAL_API_KEYS)")
    if code == NotReady.code:
        return NotReady(message)
    return PalError(message, error.get("param"), code)
