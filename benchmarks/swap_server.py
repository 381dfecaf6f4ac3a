"""Asks a server, and says of each reply what it says of its version. Knows no measurement."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

HEADER = "x-palimpsest-adapter"


@dataclass(frozen=True)
class Reply:
    """Texts of all choices, and all that was said of who made them; None: the base model."""

    texts: tuple[str, ...]
    said: set[str | None]
    first_s: float = 0.0
    gap_s: float = 0.0
    """Longest wait between two pieces. Both are 0 for what came at once."""


class Server:
    """One that listens at `url`, of the default model."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=f"{url}/v1", timeout=300)
        self._model = ""

    async def __aenter__(self) -> Self:
        self._model = (await self._json("GET", "/models"))["data"][0]["id"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def take(self, folder: Path, user: str | None = None) -> str:
        """Take an adapter in; returns its version."""
        body = {"path": str(folder), **({"user_id": user} if user else {})}
        return str((await self._json("POST", "/adapters/import", body))["version"])

    async def promote(self, version: str) -> None:
        """Returns once it serves."""
        await self._json("POST", f"/adapters/{version}/promote", {"force": True})

    async def version(self, version: str) -> dict[str, Any]:
        """As the server shows it."""
        found: dict[str, Any] = await self._json("GET", f"/adapters/{version}")
        return found

    async def whole(self, question: str, tokens: int, user: str | None = None, n: int = 1) -> Reply:
        """A chat's reply, at once."""
        body = {**self._body(tokens), "messages": _messages(question), "n": n}
        return await self._whole("/chat/completions", body | ({"user": user} if user else {}))

    async def two(self, question: str, tokens: int) -> Reply:
        """A chat's two replies."""
        return await self.whole(question, tokens, n=2)

    async def plain(self, question: str, tokens: int) -> Reply:
        """A plain completion."""
        return await self._whole("/completions", {**self._body(tokens), "prompt": question})

    async def streamed(self, question: str, tokens: int) -> Reply:
        """A chat's reply as it comes. Raises RuntimeError where it ends with an error."""
        body = {**self._body(tokens), "messages": _messages(question), "stream": True}
        began = last = time.perf_counter()
        first = gap = 0.0
        text = ""
        chunks: list[Any] = []
        async with self._client.stream("POST", "/chat/completions", json=body) as reply:
            async for line in reply.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line.removeprefix("data: "))
                if "error" in chunk:
                    raise RuntimeError(chunk["error"]["message"])
                chunks.append(chunk)
                now = time.perf_counter()
                piece = chunk["choices"][0]["delta"].get("content") or ""
                if piece:
                    first, gap = (first, max(gap, now - last)) if first else (now - began, gap)
                    last = now
                text += piece
        if reply.status_code != 200:
            raise RuntimeError(f"status {reply.status_code}")
        said = {_named(chunk["system_fingerprint"]) for chunk in chunks}
        said |= {chunks[-1]["palimpsest"]["adapter"], _header(reply)}
        return Reply((text,), said, first, gap)

    def _body(self, tokens: int) -> dict[str, Any]:
        return {"model": self._model, "max_tokens": tokens, "temperature": 0}

    async def _whole(self, path: str, body: dict[str, Any]) -> Reply:
        reply = await self._client.post(path, json=body)
        if reply.status_code != 200:
            raise RuntimeError(f"status {reply.status_code}: {reply.text[:200]}")
        found = reply.json()
        choices = found["choices"]
        texts = tuple(one["text"] if "text" in one else one["message"]["content"] for one in choices)
        said = {_named(found["system_fingerprint"]), found["palimpsest"]["adapter"], _header(reply)}
        return Reply(texts, said)

    async def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        reply = await self._client.request(method, path, json=body)
        if reply.status_code != 200:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text[:300]}")
        return reply.json()


def resident_bytes(pid: int) -> int:
    """Of a process and all that it started."""
    import psutil

    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(int(process.memory_info().rss) for process in processes)


def _messages(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def _named(fingerprint: str) -> str | None:
    name = fingerprint.partition("@")[2]
    return None if name == "base" else name


def _header(reply: httpx.Response) -> str | None:
    name = reply.headers[HEADER]
    return None if name == "none" else str(name)
