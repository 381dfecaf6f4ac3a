"""Generates one token with the settings' engine: in a process of its own, or by the server that runs."""

import asyncio
import subprocess
import sys
import time

import httpx

from actors.messages import ChatPrompt, PalError, Sampling
from cluster.doctor import Finding
from cluster.running import Running, read_note
from configs.schema import Settings

TIMEOUT_S = 300
CODE = "import sys; from cluster.probe import main; main(sys.stdin.read())"


def generation(settings: Settings, timeout_s: float = TIMEOUT_S) -> Finding:
    """Whether a token comes out, and how long that took with all loading."""
    running = read_note(settings.home)
    began = time.perf_counter()
    if running is not None:
        return _by_server(running, settings, timeout_s)
    try:
        done = subprocess.run(
            [sys.executable, "-c", CODE],
            input=settings.model_dump_json(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        fix = "Try a smaller model or engine.kind=torch, and see whether the machine is busy."
        return Finding(name="generation", ok=False, detail=f"nothing in {timeout_s:.0f} s", fix=fix)
    if done.returncode == 0:
        detail = (
            f"{done.stdout.strip().splitlines()[-1]} in {time.perf_counter() - began:.1f} s, loading included"
        )
        return Finding(name="generation", ok=True, detail=detail)
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    fix = "Fix the findings above first; if there are none, try engine.kind=torch."
    return Finding(name="generation", ok=False, detail=last, fix=fix)


def _by_server(running: Running, settings: Settings, timeout_s: float) -> Finding:
    headers = (
        {"Authorization": f"Bearer {settings.api_keys[0].rpartition(':')[2]}"} if settings.api_keys else {}
    )
    body = {"model": settings.engine.model, "prompt": "Hello", "max_tokens": 1}
    began = time.perf_counter()
    fix = "Look at its log, or restart it with `pal down` and `pal up`."
    try:
        url = f"{running.url}/v1/completions"
        response = httpx.post(url, json=body, headers=headers, timeout=timeout_s, trust_env=False)
    except httpx.TransportError as error:
        detail = f"the server at {running.url} does not answer: {error or type(error).__name__}"
        return Finding(name="generation", ok=False, detail=detail, fix=fix)
    if response.is_success:
        took = time.perf_counter() - began
        detail = f"one token from the server at {running.url} in {took:.2f} s"
        return Finding(name="generation", ok=True, detail=detail)
    detail = f"the server at {running.url} answered {response.status_code}: {response.text[:200]}"
    return Finding(name="generation", ok=False, detail=detail, fix=fix)


def main(settings_json: str) -> None:
    """Generate one token and print what was used; an expected error is one line and exit code 1."""
    try:
        print(asyncio.run(_one_token(Settings.model_validate_json(settings_json))))
    except PalError as error:
        sys.exit(error.message)


async def _one_token(settings: Settings) -> str:
    from actors.generator import Generator

    generator = Generator(settings)
    await generator.start()
    prompt = ChatPrompt(messages=({"role": "user", "content": "Hello"},))
    count = 0
    async for delta in generator.generate("doctor", prompt, Sampling(max_tokens=1, temperature=0)):
        count = max(count, delta.completion_tokens)
    capabilities = await generator.capabilities()
    await generator.close()
    if count != 1:
        raise PalError(f"asked {capabilities.engine} for one token, got {count}")
    return f"one token by {capabilities.engine} from {capabilities.model}"
