"""The one-process host, as a process of its own."""

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

ROOT = Path(__file__).parents[2]
HELLO = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "hello"}]}
SLOW = {**HELLO, "messages": [{"role": "user", "content": "[[tokens:40]] [[delay:0.05]]"}], "stream": True}


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(home: Path, port: int, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """`pal up --local --json`, scripted."""
    command = [sys.executable, "-m", "cluster", "up", "--local", "--json", "--port", str(port), *arguments]
    settings = {"PAL_HOME": str(home), "PAL_ENGINE__KIND": "scripted", "PAL_MODELS__EMBEDDER": "hash"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **settings, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
async def server(tmp_path: Path, port: int) -> AsyncIterator[subprocess.Popen[str]]:
    process = start(tmp_path, port)
    assert process.stdout is not None
    said = await asyncio.to_thread(process.stdout.readline)
    assert json.loads(said)["status"] == "ready"
    yield process
    process.kill()
    process.communicate()


async def test_running_streams_end_and_new_requests_are_turned_away(
    server: subprocess.Popen[str], port: int
) -> None:
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
        client.stream("POST", "/v1/chat/completions", json=SLOW) as reply,
    ):
        lines = reply.aiter_lines()
        await anext(lines)
        server.send_signal(signal.SIGTERM)
        refused = await client.post("/v1/chat/completions", json=HELLO)
        while refused.status_code == 200:
            refused = await client.post("/v1/chat/completions", json=HELLO)
        rest = [line async for line in lines if line]
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    assert refused.json()["error"]["code"] == "shutting_down"
    assert rest[-1] == "data: [DONE]"
    assert await asyncio.to_thread(server.wait) == 0


async def test_the_note_goes_with_the_server(
    server: subprocess.Popen[str], tmp_path: Path, port: int
) -> None:
    note = tmp_path / "run" / "server.json"
    assert json.loads(note.read_text())["port"] == port
    second = await asyncio.to_thread(start(tmp_path, port).communicate)
    assert "already running" in second[1]
    server.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(server.wait) == 0
    assert not note.exists()


async def test_one_server_has_the_partitions_and_so_many_as_there_are(
    server: subprocess.Popen[str], tmp_path: Path, port: int
) -> None:
    (tmp_path / "run" / "server.json").unlink()
    second = start(tmp_path, port + 1)
    _, said = await asyncio.to_thread(second.communicate)
    assert second.returncode == 1
    assert f"keepers is open in process {server.pid}" in " ".join(said.split())
    server.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(server.wait) == 0
    other = start(tmp_path, port, PAL_MEMORY__PARTITIONS="2")
    _, said = await asyncio.to_thread(other.communicate)
    assert other.returncode == 3
    assert "pal memory rebalance --partitions 2" in " ".join(said.split())


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        process = start(tmp_path, port)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said


def test_a_model_that_cannot_be_had_is_not_ready(tmp_path: Path, port: int) -> None:
    process = start(tmp_path, port, "--engine", "torch", HF_HUB_OFFLINE="1")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3, said
    assert "smollm2-135m" in said


def test_no_ray_is_imported() -> None:
    code = "import sys, cluster.hosting, serve.local; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
