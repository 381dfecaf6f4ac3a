"""A server that answers from a table, so that commands can be tried without one of ours."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any
from urllib.parse import parse_qs

import pytest

Answer = tuple[int, Any]


class FakeServer:
    """Answers `(method, path)` from `routes`: a dict as JSON, bytes as they are, else server-sent events.

    Keeps all `requests`, and the `queries` of their URLs.
    """

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Callable[[Any], Answer]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.queries: list[dict[str, list[str]]] = []
        self.headers: dict[str, str] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def on(self, method: str, path: str, body: Any, status: int = 200) -> None:
        self.routes[method, path] = lambda _: (status, body)

    def bodies(self, path: str) -> list[Any]:
        return [body for _, asked, body in self.requests if asked == path]

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                path, _, query = self.path.partition("?")
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                is_json = self.headers.get("content-type") == "application/json"
                body = json.loads(raw) if is_json else raw
                fake.requests.append((self.command, path, body))
                fake.queries.append(parse_qs(query))
                fake.headers = dict(self.headers)
                missing = {"error": {"message": f"nothing at {path}", "code": "not_found"}}
                status, answer = fake.routes.get((self.command, path), lambda _: (404, missing))(body)
                if isinstance(answer, dict):
                    parts, kind = iter([json.dumps(answer)]), "application/json"
                elif isinstance(answer, bytes):
                    parts, kind = iter([answer.decode()]), "text/plain"
                else:
                    events = chain(map(json.dumps, answer), ["[DONE]"])
                    parts, kind = (f"data: {event}\n\n" for event in events), "text/event-stream"
                self.send_response(status)
                self.send_header("content-type", kind)
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):
                    for part in parts:
                        self.wfile.write(part.encode())

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.stop()
