"""vLLM's AsyncLLM alone, in a process of its own: reads rounds from stdin, prints what they took.

One JSON line in, `{"prompts": [...], "max_tokens": n}`, gives one out, `{"wall_s": s, "first_s": [s, ...]}`.
The engine's settings are those of the server; text is detokenised by vLLM.
"""

import asyncio
import json
import sys
import time
from typing import Any

from actors.engines.choose import model_directory
from actors.engines.vllm import VllmEngine
from actors.messages import ChatPrompt
from actors.models.template import render_chat
from actors.models.tokenizer import ModelTokenizer
from configs.load import load


async def _main() -> None:
    settings = load().settings
    model = model_directory(settings)
    tokenizer = ModelTokenizer(model)
    engine = await VllmEngine.create(settings.engine, model, tokenizer)
    _say({"ready": True})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        prompts = [_tokens(tokenizer, text) for text in order["prompts"]]
        _say(await _round(engine._llm, prompts, order["max_tokens"]))
    await engine.close()


def _tokens(tokenizer: ModelTokenizer, text: str) -> list[int]:
    prompt = ChatPrompt(messages=({"role": "user", "content": text},))
    return list(render_chat(tokenizer, prompt))


async def _round(llm: Any, prompts: list[list[int]], max_tokens: int) -> dict[str, Any]:
    began = time.perf_counter()
    first = await asyncio.gather(*(_one(llm, began, tokens, max_tokens) for tokens in prompts))
    return {"wall_s": time.perf_counter() - began, "first_s": first}


async def _one(llm: Any, began: float, tokens: list[int], max_tokens: int) -> float:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    params = SamplingParams(
        max_tokens=max_tokens, temperature=0, ignore_eos=True, output_kind=RequestOutputKind.DELTA
    )
    first: float | None = None
    async for _ in llm.generate({"prompt_token_ids": tokens}, params, f"bare-{began}-{id(tokens)}"):
        first = first or time.perf_counter() - began
    return first or float("nan")


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
