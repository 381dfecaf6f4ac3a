"""Ways to generate behind one call: our engine, transformers, vLLM and llama.cpp. Knows no table."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from actors.engines.protocol import Engine
from actors.messages import Sampling
from benchmarks.arrivals import Tokens, Took, due, play
from benchmarks.hosts import PATIENCE_S, ROOT, free_port
from configs.schema import EngineSettings

Runner = Callable[[Sequence[Tokens], int, int], Awaitable[Took]]
"""Prompts, tokens of each answer, and how many tokens apart the requests arrive (0: all at once)."""
Generate = Callable[[Sequence[Tokens], int, Callable[[], None]], None]
"""Prompts as one batch, tokens of each answer, and what to call after every step."""

_numbers = count()


@asynccontextmanager
async def ours(settings: EngineSettings, path: Path) -> AsyncIterator[Runner]:
    """The torch engine with these settings; several shards are Ray actors where Ray runs."""
    from actors.engines.torch import TorchEngine
    from actors.models.tokenizer import ModelTokenizer

    engine = await TorchEngine.create(settings, path, ModelTokenizer(path))

    async def run(prompts: Sequence[Tokens], tokens: int, apart: int) -> Took:
        return await play(partial(_stream, engine, tokens), prompts, apart)

    try:
        yield run
    finally:
        await engine.close()


async def _stream(engine: Engine, tokens: int, index: int, prompt: Tokens) -> AsyncIterator[int]:
    sampling = Sampling(max_tokens=tokens, temperature=0, ignore_eos=True)
    async for delta in engine.generate(f"bench-{next(_numbers)}-{index}", prompt, sampling):
        yield len(delta.token_ids)


@asynccontextmanager
async def transformers(path: Path, dtype: str, staggered: bool) -> AsyncIterator[Runner]:
    """transformers' generate: static batches of what has arrived, or one batch as if all had arrived."""
    generate = await asyncio.to_thread(_generating, path, dtype)

    async def run(prompts: Sequence[Tokens], tokens: int, apart: int) -> Took:
        return await asyncio.to_thread(static, generate, prompts, tokens, apart if staggered else 0)

    yield run


def static(generate: Generate, prompts: Sequence[Tokens], tokens: int, apart: int) -> Took:
    """Whenever the model is free, all requests that have arrived by then become one batch, run to its end."""
    began = time.perf_counter()
    arrived = [began] * due(len(prompts), apart, 0)
    first: list[float] = []
    yielded = 0
    while len(first) < len(prompts):
        batch = prompts[len(first) : len(arrived)]
        steps = 0

        def step(batch: Sequence[Tokens] = batch) -> None:
            nonlocal yielded, steps
            now = time.perf_counter()
            if steps == 0:
                first.extend(now - sent for sent in arrived[len(first) : len(first) + len(batch)])
            steps += 1
            yielded += len(batch)
            arrived.extend([now] * (due(len(prompts), apart, yielded) - len(arrived)))

        generate(batch, tokens, step)
    return Took(time.perf_counter() - began, first)


def _generating(path: Path, dtype: str) -> Generate:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        str(path), dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
    ).eval()

    def generate(batch: Sequence[Tokens], tokens: int, step: Callable[[], None]) -> None:
        width = max(map(len, batch))
        ids = torch.tensor([[0] * (width - len(one)) + one for one in batch])
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch])

        def after_step(*_: Any, **__: Any) -> Any:
            step()
            return torch.zeros(len(batch), dtype=torch.bool)

        model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
            stopping_criteria=[after_step],
        )

    return generate


@asynccontextmanager
async def vllm(model: Path, dtype: str, sequences: int) -> AsyncIterator[Runner]:
    """vLLM's AsyncLLM in a process of its own, without room for adapters."""
    environ = {
        "PAL_ENGINE__MODEL": str(model),
        "PAL_ENGINE__DTYPE": dtype,
        "PAL_ENGINE__MAX_SEQUENCES": str(sequences),
        "PAL_ENGINE__MAX_ADAPTERS": "0",
        "OMP_NUM_THREADS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bare_vllm",
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    source, sink = process.stdout, process.stdin
    if not await source.readline():
        raise RuntimeError("vLLM did not start")

    async def run(prompts: Sequence[Tokens], tokens: int, apart: int) -> Took:
        order = {"prompts": prompts, "max_tokens": tokens, "apart": apart}
        sink.write(json.dumps(order).encode() + b"\n")
        return Took(**json.loads(await source.readline()))

    try:
        yield run
    finally:
        sink.close()
        await process.wait()


@asynccontextmanager
async def llama(program: str, gguf: Path, sequences: int, longest: int) -> AsyncIterator[Runner]:
    """llama.cpp's own server with one compute thread; `longest` is prompt plus answer in tokens."""
    port = free_port()
    size = ["--parallel", str(sequences), "--ctx-size", str(sequences * longest)]
    threads = ["--threads", "1", "--threads-batch", "1"]
    address = ["--host", "127.0.0.1", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        program,
        *("--model", str(gguf), *size, *threads, *address),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            await _healthy(client, process)

            async def run(prompts: Sequence[Tokens], tokens: int, apart: int) -> Took:
                return await play(partial(_completion, client, tokens), prompts, apart)

            yield run
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _healthy(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    """Wait until the server has loaded its model. Raises RuntimeError if it ends instead."""
    while process.returncode is None:
        try:
            if (await client.get("/health")).status_code == 200:
                return
        except httpx.ConnectError:
            pass
        await asyncio.sleep(0.2)
    raise RuntimeError(f"the llama.cpp server ended with {process.returncode}")


async def _completion(
    client: httpx.AsyncClient, tokens: int, _index: int, prompt: Tokens
) -> AsyncIterator[int]:
    body = {
        "prompt": prompt,
        "n_predict": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "return_tokens": True,
        "stream": True,
    }
    async with client.stream("POST", "/completion", json=body) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if line.startswith("data: "):
                yield len(json.loads(line[6:]).get("tokens", ()))
