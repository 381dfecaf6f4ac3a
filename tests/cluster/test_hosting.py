"""`pal up` under Ray, as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
HELLO = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "hello"}]}
SLOW = {**HELLO, "messages": [{"role": "user", "content": "[[tokens:100]] [[delay:0.05]]"}], "stream": True}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(home: Path, port: int) -> subprocess.Popen[str]:
    """`pal up --json`, scripted."""
    settings = {
        "PAL_HOME": str(home),
        "PAL_ENGINE__KIND": "scripted",
        "PAL_MODELS__EMBEDDER": "hash",
        "PAL_CLUSTER__DASHBOARD_PORT": str(free_port()),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cluster", "up", "--json", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[subprocess.Popen[str], str]]:
    port = free_port()
    process = start(tmp_path, port)
    assert process.stdout is not None
    said = await asyncio.to_thread(process.stdout.readline)
    assert json.loads(said)["status"] == "ready"
    yield process, f"http://127.0.0.1:{port}"
    process.terminate()
    await asyncio.to_thread(process.wait)
    process.stdout.close()


async def test_running_streams_end_and_new_requests_are_turned_away(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = server
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as client,
        client.stream("POST", "/v1/chat/completions", json=SLOW) as reply,
    ):
        lines = reply.aiter_lines()
        await anext(lines)
        process.send_signal(signal.SIGTERM)
        refused = await client.post("/v1/chat/completions", json=HELLO)
        while refused.status_code == 200:
            refused = await client.post("/v1/chat/completions", json=HELLO)
        rest = [line async for line in lines if line]
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert refused.json()["error"]["code"] == "not_ready"
    assert rest[-1] == "data: [DONE]"
    assert await asyncio.to_thread(process.wait) == 0
